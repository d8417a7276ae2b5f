"""Furrows and bulges that actions make in the skin, as layers of shading on the texture.

They follow the wrinkle lines that FACS describes for each action unit (Ekman, Friesen & Hager 2002).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from snnface.faces.actions import CHANNELS
from snnface.faces.curves import gauss
from snnface.faces.mesh import MOUTH_Y
from snnface.faces.texture import Wrinkles, line, template_grid


def _half_layers(a: np.ndarray, y: np.ndarray) -> dict[int, np.ndarray]:
    """Signed brightness per action at distance ``a`` from the midline: negative dark furrows, positive bulges."""
    d = y - MOUTH_Y

    def furrow(path: list[tuple[float, float]], depth: float, width: float = 0.13) -> np.ndarray:
        """A dark crease with light on both its shoulders."""
        return -depth * line(a, y, path, width) + 0.35 * depth * line(a, y, path, 2.6 * width)

    fold = [(1.5, -3.9), (2.3, -4.9), (3.0, -6.0), (3.35, -7.0)]
    w: dict[int, np.ndarray] = {}
    w[1] = sum((furrow([(0.0, h - 0.12), (1.2, h), (2.5, h - 0.2)], 0.6) for h in (3.9, 4.7, 5.5)), np.zeros_like(a))
    w[2] = sum(
        (furrow([(2.6, h - 0.1), (4.2, h + 0.15), (5.8, h - 0.4)], 0.6) for h in (3.7, 4.5, 5.3)), np.zeros_like(a)
    )
    w[4] = furrow([(0.42, 3.3), (0.5, 2.2), (0.36, 1.3)], 0.9, 0.15) - 0.22 * gauss(a, y, (1.6, 1.2), (1.0, 0.35))
    w[4] += furrow([(0.85, 2.9), (0.95, 2.4)], 0.4)
    w[6] = sum(
        (furrow([(4.9, 0.1 + 0.25 * k), (6.5, 0.5 * k)], 1.0, 0.14) for k in (-1.4, 0.0, 1.4)), np.zeros_like(a)
    )
    w[6] += furrow([(1.7, -0.9), (3.0, -1.4), (4.7, -0.95)], 1.0, 0.17) + 0.45 * gauss(a, y, (4.3, -2.3), (1.3, 0.7))
    w[6] += furrow([(1.8, -2.3), (3.0, -3.4), (4.8, -3.9)], 0.7, 0.24)
    w[7] = furrow([(1.8, -0.45), (3.1, -0.75), (4.5, -0.40)], 0.8, 0.11)
    w[9] = sum(
        (furrow([(0.0, h), (0.55, h), (1.15, h - 0.55)], 0.8, 0.11) for h in (0.9, 0.35, -0.2)), np.zeros_like(a)
    )
    w[9] += furrow([(1.25, -2.8), (1.75, -3.6), (1.9, -4.6)], 0.8, 0.16) - 0.3 * gauss(a, y, (1.0, -1.5), (0.4, 0.8))
    w[10] = furrow([(1.6, -3.8), (2.45, -4.4), (2.9, -5.3), (3.05, -6.2)], 0.7, 0.24)
    w[12] = furrow(fold, 0.85, 0.17) + 0.2 * gauss(a, y, (3.9, -4.2), (1.0, 0.9))
    w[14] = -1.0 * gauss(a, y, (3.0, -7.0), (0.34, 0.55)) + 0.45 * gauss(a, y, (3.9, -7.0), (0.35, 0.9))
    w[14] += furrow([(2.7, -5.9), (3.4, -7.0), (2.8, -8.2)], 0.8, 0.16)
    w[15] = furrow([(2.55, -7.2), (2.95, -8.0), (3.0, -8.9)], 0.85, 0.16) - 0.4 * gauss(a, y, (2.5, -7.4), (0.3, 0.3))
    w[20] = furrow([(3.0, -6.2), (3.4, -7.2), (3.3, -8.2)], 0.5, 0.13)
    w[16] = -0.35 * gauss(a, d, (0.0, -1.7), (1.5, 0.22))
    ripple = np.cos(4.6 * a + 1.3 * np.sin(3 * y)) * np.cos(4.8 * y + np.sin(2.3 * a))
    w[17] = 0.30 * ripple * gauss(a, y, (0.0, -9.9), (0.95, 0.65)) - 0.5 * gauss(a, y, (0.0, -8.75), (1.3, 0.2))
    pleats = np.clip(np.cos(2 * np.pi * a / 0.62), 0, 1) ** 2
    w[23] = -0.75 * gauss(a, d, (0.0, 0.0), (1.8, 0.75)) * pleats - 0.30 * gauss(a, d, (2.3, 0), (0.3, 0.4))
    w[24] = -0.7 * gauss(a, d, (0.0, 0.0), (2.1, 0.17)) - 0.7 * gauss(a, d, (2.7, -0.05), (0.26, 0.55))
    w[24] += 0.40 * gauss(a, d, (0.0, 1.2), (1.8, 0.26)) + 0.40 * gauss(a, d, (0.0, -1.45), (1.8, 0.28))
    w[24] += -0.35 * gauss(a, d, (0.0, -2.2), (1.5, 0.2))
    w[27] = -0.25 * gauss(a, y, (3.9, -6.5), (0.5, 1.8))
    return w


@cache
def wrinkle_layers(size: int) -> tuple[Wrinkles, np.ndarray]:
    """Layers for a texture of ``size`` rows of skin and the channel of each layer ``[L]``."""
    s, y = template_grid(size)
    halves = _half_layers(np.abs(s), y)
    right = 1 / (1 + np.exp(np.clip(s / 0.2, -30, 30)))
    patches, boxes, starts, channels, at = [], [], [], [], 0
    for i, (au, side) in enumerate(CHANNELS):
        if au not in halves:
            continue
        layer = halves[au] * (1.0 if side == 0 else right if side < 0 else 1 - right)
        rows, cols = np.flatnonzero(np.abs(layer).max(1) > 0.01), np.flatnonzero(np.abs(layer).max(0) > 0.01)
        box = (rows[0], rows[-1] + 1, cols[0], cols[-1] + 1)
        part = layer[box[0] : box[1], box[2] : box[3]].astype(np.float32).ravel()
        patches.append(part)
        boxes.append(box)
        starts.append(at)
        channels.append(i)
        at += len(part)
    layers = Wrinkles(np.concatenate(patches), np.array(boxes, np.int64), np.array(starts, np.int64))
    return layers, np.array(channels)

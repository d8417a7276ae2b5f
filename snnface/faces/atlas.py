"""Where each vertex finds its colour: the painted skin, or one of the patches beside it."""

from __future__ import annotations

import numpy as np

from snnface.faces.mesh import BODY, CAVITY, EAR, EYE, HAIR, TEETH_LOW, TEETH_UP, Template
from snnface.faces.texture import PATCH, PATCHES, SIZE, Y_RANGE, column_share


def skin_place(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``[N, 2]`` column and row (texels of the full atlas, 0 at the first texel's edge) of points of the template."""
    uv = np.zeros((len(s), 2))
    uv[:, 0] = column_share(s) * SIZE
    uv[:, 1] = (y - Y_RANGE[0]) / (Y_RANGE[1] - Y_RANGE[0]) * SIZE
    return uv


def patch_place(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``[N, 2]`` column and row of points -1 < x, y < 1 of a patch; y is up."""
    half = PATCH / 2 - 3
    return np.stack([SIZE + PATCH / 2 + x * half, (PATCHES.index(name) + 0.5) * PATCH - y * half], 1)


def texture_coordinates(t: Template) -> np.ndarray:
    """``[V, 2]`` column and row (texels of the full atlas, 0 at the first texel's edge) of each vertex."""
    uv = skin_place(t.s, t.y)
    # Folded vertices keep to their own lip or lid, away from the dark seam between them.
    fold = t.skin & (t.depth > 0) & (t.y < -5)
    uv[fold, 1] -= t.side[fold] * 5.0
    names = {EYE: "eye", TEETH_UP: "teeth", TEETH_LOW: "teeth", CAVITY: "dark", EAR: "ear", HAIR: "hair"}
    for part, name in names.items():
        k = t.part == part
        x, y = in_disc(t.s[k], t.y[k]) if name == "eye" else (t.s[k], t.y[k])
        uv[k] = patch_place(name, x, y)
    body = t.part == BODY
    for name, k in (("neck", body & (t.y > -0.1)), ("cloth", body & (t.y <= -0.1))):
        uv[k] = patch_place(name, t.s[k], t.y[k])
    return uv


def in_disc(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points of the square -1..1 drawn into the disc that it holds, along their rays."""
    r = np.sqrt(x**2 + y**2)
    stretch = np.where(r > 0, np.maximum(np.abs(x), np.abs(y)) / np.maximum(r, 1e-9), 1.0)
    return x * stretch, y * stretch

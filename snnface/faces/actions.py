"""What muscles do: displacement fields along muscle directions with Gaussian falloff (Waters, SIGGRAPH 1987).

Every field is given on the template (cm at full intensity) and so moves with the identity's features. The jaw and
the lids are joints: the jaw turns about its hinge, lids slide over the eyeballs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from snnface.faces.curves import gauss, smoothstep
from snnface.faces.mesh import CAVITY, EYE_HALF_WIDTH, EYE_S, MOUTH_HALF_WIDTH, MOUTH_Y, TEETH_LOW, template

#: Actions with a left and a right muscle; then those with one amplitude.
PAIRED = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 20)
SINGLE = (16, 17, 23, 24, 25, 26, 27)
#: Geometric channels: each paired action on the subject's right (picture left), then left; then the single ones.
CHANNELS: tuple[tuple[int, int], ...] = tuple((au, side) for au in PAIRED for side in (-1, 1)) + tuple(
    (au, 0) for au in SINGLE
)
CHANNEL_INDEX = {c: i for i, c in enumerate(CHANNELS)}

JAW_PIVOT = np.array([0.0, -1.5, 0.5])
JAW_DEGREES = {26: 11.0, 27: 24.0}
# How far each action moves the upper and the lower lid margin (cm) at full intensity.
LID_UPPER = {4: -0.16, 5: 0.42, 6: -0.10, 7: -0.30, 9: -0.15}
LID_LOWER = {6: 0.40, 7: 0.42, 9: 0.16, 12: 0.10}


@dataclass(frozen=True)
class ActionFields:
    """What moves the vertices: ``basis`` [channels, V, 3] (cm), ``jaw`` [V] the share of the jaw's turn,
    ``lid_upper`` and ``lid_lower`` [V] the share of the lid margins' travel."""

    basis: np.ndarray
    jaw: np.ndarray
    lid_upper: np.ndarray
    lid_lower: np.ndarray


def upper_share(a: np.ndarray, y: np.ndarray, side: np.ndarray) -> np.ndarray:
    """1 above the line of the mouth, 0 below: a step between the corners of the mouth, a soft passage beside them."""
    h = 0.035 + 1.15 * smoothstep(a, 0.45 * MOUTH_HALF_WIDTH, 1.35 * MOUTH_HALF_WIDTH)
    return 1 / (1 + np.exp(-np.clip((y - MOUTH_Y + 0.15 * side) / h * 2.0, -30, 30)))


@cache
def action_fields() -> ActionFields:
    """The fields on the template's vertices; parts that do not belong to the skin only follow the jaw."""
    t = template()
    s, y, side = np.where(t.skin, t.s, 0.0), np.where(t.skin, t.y, 0.0), np.where(t.skin, t.side, 0)
    a, sign = np.abs(s), np.sign(s)
    up = upper_share(a, y, np.where(np.abs(y - MOUTH_Y) < 0.01, side, 0))
    both = _mirrored_fields(a, y, up)
    basis = np.zeros((len(CHANNELS), len(s), 3))
    right = 1 / (1 + np.exp(np.clip(s / 0.22, -30, 30)))
    for i, (au, which) in enumerate(CHANNELS):
        if au in both:
            share = np.ones_like(s) if which == 0 else right if which < 0 else 1 - right
            basis[i] = both[au] * share[:, None]
            basis[i, :, 0] *= sign
    basis[:, ~t.skin] = 0.0
    jaw = np.where(t.skin, (1 - up) * (1 - smoothstep(a, 9.0, 12.0)) * (y < -1.0) * smoothstep(-y, 1.0, 5.0), 0.0)
    jaw[t.part == TEETH_LOW] = 1.0
    cavity = t.part == CAVITY
    jaw[cavity] = (1 - t.y[cavity]) / 2
    local = np.clip(1 - ((a - EYE_S) / EYE_HALF_WIDTH) ** 2, 0, 1) ** 0.55
    above = (y > 0) | ((y == 0) & (side > 0))
    below = (y < 0) | ((y == 0) & (side < 0))
    lid_upper = np.where(t.skin & above, local * (1 - smoothstep(y, -0.25, 1.75)), 0.0) / (
        1 - smoothstep(0.0, -0.25, 1.75)
    )
    lid_lower = np.where(t.skin & below, local * (1 - smoothstep(-y, -0.3, 1.6)), 0.0) / (
        1 - smoothstep(0.0, -0.3, 1.6)
    )
    return ActionFields(basis, jaw, lid_upper, lid_lower)


def _mirrored_fields(a: np.ndarray, y: np.ndarray, up: np.ndarray) -> dict[int, np.ndarray]:
    """Fields of both sides together as functions of the distance from the midline: (outward, up, forward)."""

    def pull(at: tuple[float, float], sigma: tuple[float, float], by: tuple[float, float, float]) -> np.ndarray:
        return gauss(a, y, at, sigma)[:, None] * np.array(by)

    low = 1 - up
    d = y - MOUTH_Y
    lip = np.clip(1 - (a / MOUTH_HALF_WIDTH) ** 2, 0, 1) ** 0.6
    near_up, near_low = np.exp(-0.5 * (d / 0.75) ** 2), np.exp(-0.5 * (d / 1.0) ** 2)
    vermilion = np.exp(-0.5 * (np.abs(d) / 0.75) ** 4) * smoothstep(np.abs(d), 0.0, 0.5)
    red = lip * vermilion * np.sign(d)
    corner = (2.4, MOUTH_Y)
    zero = np.zeros_like(a)
    f: dict[int, np.ndarray] = {}
    f[1] = pull((1.4, 2.5), (1.15, 1.2), (-0.05, 1.05, 0.1)) + pull((1.3, 4.6), (1.5, 1.2), (0, 0.45, 0))
    f[2] = pull((4.6, 2.4), (1.25, 1.1), (0.05, 1.0, 0.05)) + pull((4.6, 4.4), (1.6, 1.2), (0, 0.4, 0))
    f[4] = pull((1.5, 2.2), (1.3, 1.0), (-0.45, -0.75, 0.22)) + pull((3.9, 2.3), (1.3, 0.9), (-0.2, -0.5, 0.1))
    f[6] = (
        pull((4.3, -2.3), (1.8, 1.2), (0.0, 1.25, 0.85))
        + pull((5.3, -0.2), (0.9, 0.9), (-0.5, 0.05, 0.2))
        + pull((4.9, 2.1), (1.0, 0.8), (-0.05, -0.45, 0))
        + pull((2.6, -4.6), (0.9, 1.0), (0.15, 0.30, 0.15))
    )
    f[7] = pull((3.2, -0.9), (1.2, 0.45), (-0.05, 0.16, 0.12)) + pull((5.0, 0.0), (0.5, 0.5), (-0.12, 0, 0))
    f[9] = (
        pull((1.2, -4.0), (0.75, 1.0), (0.18, 0.6, 0.12))
        + pull((0.9, -0.8), (0.7, 1.2), (0.0, 0.35, 0.2))
        + pull((1.2, 1.9), (1.1, 0.9), (-0.25, -0.55, 0.2))
        + (up * gauss(a, y, (1.1, -6.2), (1.1, 1.1)))[:, None] * np.array([0.0, 0.45, 0.1])
        + pull((2.6, -2.0), (1.1, 1.0), (-0.1, 0.35, 0.25))
    )
    f[10] = (up * gauss(a, d, (0.8, 0.4), (1.25, 1.1)))[:, None] * np.array([0.05, 0.95, 0.2]) + pull(
        (2.4, -4.9), (1.0, 1.0), (0.15, 0.55, 0.35)
    )
    f[12] = (
        pull(corner, (1.25, 1.1), (1.05, 0.95, -0.35))
        + pull((3.8, -4.3), (1.3, 1.3), (0.2, 0.55, 0.5))
        - (lip * near_low)[:, None] * np.array([0.0, 0.12, 0.0])
    )
    f[14] = (
        pull((2.6, MOUTH_Y), (0.9, 0.8), (0.95, 0.16, -1.15))
        + pull((3.9, -7.0), (0.6, 1.2), (-0.35, 0, 0.55))
        + (lip * near_up * near_low)[:, None] * np.array([0.0, 0.0, -0.12])
        - (0.22 * red)[:, None] * np.array([0.0, 1.0, 0.0])
    )
    f[15] = pull((2.45, MOUTH_Y - 0.1), (0.85, 1.0), (0.22, -1.05, -0.1)) + pull(
        (2.9, -8.8), (0.9, 0.8), (0.1, -0.3, 0.25)
    )
    f[20] = pull(corner, (1.3, 1.1), (1.05, -0.25, -0.35))
    f[16] = (low * lip * near_low)[:, None] * np.array([0.1, -0.7, 0.12])
    f[17] = (
        pull((0.0, -9.6), (1.3, 0.9), (0, 0.75, 0.35))
        + (gauss(a, d, (0.0, -0.5), (1.5, 0.8)) * low)[:, None] * np.array([0, 0.50, 0.40])
        + (gauss(a, d, (0.0, 0.2), (1.5, 0.6)) * up)[:, None] * np.array([0, 0.42, 0.25])
        + pull((2.5, -7.3), (0.6, 0.8), (0, -0.25, 0))
    )
    # The ring of the mouth drawn tight: narrow, thin, a little forward. Pressed lips stay wide and turn inwards.
    inwards = np.minimum(a, 2.6) * np.exp(-0.5 * (d / 0.9) ** 2 - 0.5 * (np.maximum(a - 2.6, 0) / 0.7) ** 2)
    f[23] = np.stack([-0.40 * inwards, -0.42 * red, 0.42 * lip * np.exp(-0.5 * (d / 0.8) ** 2)], 1)
    f[24] = np.stack(
        [0.16 * gauss(a, d, (2.4, 0.0), (0.8, 0.7)), -0.70 * red, -0.55 * lip * np.exp(-0.5 * (d / 0.5) ** 2)], 1
    )
    f[24] += pull((0.0, MOUTH_Y - 1.6), (2.0, 0.5), (0, 0.30, 0.38)) + pull(
        (0.0, MOUTH_Y + 1.3), (1.8, 0.45), (0, -0.2, 0.30)
    )
    f[25] = np.stack([zero, lip * (0.30 * up * near_up - 0.62 * low * near_low), zero], 1)
    narrow = -0.16 * np.exp(-0.5 * (d / 1.6) ** 2) * np.where(a < 3, a, 3 * np.exp(-0.5 * ((a - 3) / 1.5) ** 2))
    f[26] = np.stack([0.3 * narrow, zero, zero], 1)
    f[27] = np.stack([narrow, 0.10 * lip * up * near_up, -0.15 * gauss(a, y, (4.2, -6.0), (1.2, 2.0))], 1)
    return f

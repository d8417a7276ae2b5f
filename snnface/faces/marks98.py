"""The 98 landmarks of WFLW (Wu et al., CVPR 2018) from the 68 of iBUG, the lower edges of the brows and the pupils.

Points of the 68 scheme that WFLW has too are the same points. Between them lie cubics through the neighbours: along
the jaw, and from corner to corner of each lid.
"""

from __future__ import annotations

import numpy as np

#: Template positions (s, y) of the brows' lower edges: inner end outwards, on the subject's left.
BROW_LOW = ((1.2, 1.2), (2.1, 1.5), (3.3, 1.8), (4.1, 1.5))
#: Points of the 98 scheme that are points of the 68 scheme.
_SAME = {
    **{2 * k: k for k in range(17)},
    **{33 + k: 17 + k for k in range(5)},
    **{42 + k: 22 + k for k in range(5)},
    **{51 + k: 27 + k for k in range(9)},
    60: 36, 64: 39, 68: 42, 72: 45,
    **{76 + k: 48 + k for k in range(20)},
}  # fmt: skip
#: Corner, two points and corner of each lid in the 68 scheme; the three points of the 98 scheme between the corners.
_LIDS = (
    ((36, 37, 38, 39), (61, 62, 63)),
    ((39, 40, 41, 36), (65, 66, 67)),
    ((42, 43, 44, 45), (69, 70, 71)),
    ((45, 46, 47, 42), (73, 74, 75)),
)


def _lagrange(at: float) -> np.ndarray:
    """Weights ``[4]`` of values at 0, 1/3, 2/3 and 1 in the cubic through them, at a place between."""
    nodes = np.arange(4) / 3
    others = [np.delete(nodes, k) for k in range(4)]
    return np.array([np.prod((at - o) / (nodes[k] - o)) for k, o in enumerate(others)])


def _weights() -> np.ndarray:
    """``[98, 78]``: what each of the 68 points, the 8 of the brows' lower edges and the 2 pupils adds."""
    w = np.zeros((98, 78))
    for k, same in _SAME.items():
        w[k, same] = 1
    for k in range(16):
        # Catmull and Rom's spline halfway between two points; at the ends of the jaw a parabola.
        if k == 0:
            w[1, :3] = 3 / 8, 6 / 8, -1 / 8
        elif k == 15:
            w[31, 14:17] = -1 / 8, 6 / 8, 3 / 8
        else:
            w[2 * k + 1, k - 1 : k + 3] = -1 / 16, 9 / 16, 9 / 16, -1 / 16
    for known, wanted in _LIDS:
        for place, k in enumerate(wanted):
            w[k, list(known)] = _lagrange((place + 1) / 4)
    for k in range(4):
        w[38 + k, 68 + k] = w[47 + k, 72 + k] = 1
    w[96, 76] = w[97, 77] = 1
    return w


_W = _weights()
#: The point of the 68 scheme whose skin says whether one of the 98 faces the camera: for lower edges the upper ones.
NEAREST = _W[:, :68].argmax(1)
NEAREST[[38, 39, 40, 41, 47, 48, 49, 50]] = 21, 20, 19, 18, 22, 23, 24, 25


def wflw(marks: np.ndarray, brow_low: np.ndarray, pupils: np.ndarray) -> np.ndarray:
    """``[..., 98, C]`` from ``[..., 68, C]``, ``[..., 8, C]`` (right brow outwards, left brow outwards) and
    ``[..., 2, C]`` (right, left)."""
    known = np.concatenate([marks, brow_low, pupils], -2)
    return np.einsum("ij,...jc->...ic", _W, known)

"""The 68 iBUG landmarks as fixed vertices of the template."""

from __future__ import annotations

from functools import cache

import numpy as np

from snnface.faces.marks98 import BROW_LOW
from snnface.faces.mesh import MOUTH_Y, Template, template

Points = list[tuple[float, ...]]

# Template positions (s, y, side of a slit) of the points on the subject's left and on the midline.
_JAW: Points = [
    (0.0, -11.2),
    (2.1, -11.0),
    (4.1, -10.5),
    (5.8, -9.7),
    (7.7, -8.7),
    (8.9, -7.0),
    (10.3, -4.75),
    (10.3, -2.3),
    (10.3, 0.0),
]
_BROW: Points = [(1.2, 1.8), (2.1, 2.4), (3.3, 2.4), (4.1, 2.4), (5.1, 2.1)]
_BRIDGE: Points = [(0.0, 0.2), (0.0, -1.4), (0.0, -2.8), (0.0, -4.25)]
_BASE: Points = [(0.0, -5.0), (0.4, -5.0), (1.2, -4.75)]
_EYE_UP: Points = [(1.7, 0.0, 0), (2.5, 0.0, 1), (3.7, 0.0, 1), (4.5, 0.0, 0)]
_EYE_LOW: Points = [(3.7, 0.0, -1), (2.5, 0.0, -1)]
_M = MOUTH_Y


def _mirrored(points: Points) -> Points:
    """The same points on the subject's right."""
    return [(-p[0], *p[1:]) for p in points]


def positions() -> Points:
    """Template positions of the 68 points: (s, y), or (s, y, side) on the edge of a slit."""
    jaw = _mirrored(_JAW[:0:-1]) + list(_JAW)
    brows = _mirrored(_BROW[::-1]) + list(_BROW)
    nose = list(_BRIDGE) + _mirrored(_BASE[:0:-1]) + list(_BASE)
    # iBUG goes from the picture's left: the right eye's outer corner first, the left eye's inner corner first.
    right = _mirrored(_EYE_UP[::-1]) + _mirrored([_EYE_LOW[1], _EYE_LOW[0]])
    left = list(_EYE_UP) + list(_EYE_LOW)
    upper: Points = [
        (-2.5, _M, 0),
        (-1.7, _M + 0.4),
        (-0.8, _M + 0.65),
        (0.0, _M + 0.65),
        (0.8, _M + 0.65),
        (1.7, _M + 0.4),
        (2.5, _M, 0),
    ]
    lower: Points = [(1.7, _M - 0.65), (0.8, _M - 0.95), (0.0, _M - 0.95), (-0.8, _M - 0.95), (-1.7, _M - 0.65)]
    inner: Points = [
        (-2.1, _M, 1),
        (-0.8, _M, 1),
        (0.0, _M, 1),
        (0.8, _M, 1),
        (2.1, _M, 1),
        (0.8, _M, -1),
        (0.0, _M, -1),
        (-0.8, _M, -1),
    ]
    return jaw + brows + nose + right + left + upper + lower + inner


def _nearest(t: Template, point: tuple[float, ...]) -> int:
    allowed = t.skin & (t.depth == 0)
    if len(point) == 3:
        allowed &= t.side == point[2]
    distance = np.where(allowed, (t.s - point[0]) ** 2 + (t.y - point[1]) ** 2, np.inf)
    return int(distance.argmin())


def facing_points() -> Points:
    """Template positions (s, y) whose normals say whether the 68 points face the camera: on the edge of a slit, where
    skin folds inwards, they lie beside it on the lip or lid."""
    return [(p[0], p[1] + 0.35 * p[2]) if len(p) == 3 else p for p in positions()]


@cache
def facing_vertices() -> np.ndarray:
    """int64 ``[68]``: the vertices at the :func:`facing_points`."""
    t = template()
    return np.array([_nearest(t, p) for p in facing_points()])


@cache
def landmark_vertices() -> np.ndarray:
    """int64 ``[68]``: the vertex of each landmark, iBUG order."""
    t = template()
    return np.array([_nearest(t, p) for p in positions()])


@cache
def brow_vertices() -> np.ndarray:
    """int64 ``[8]``: the vertices at the brows' lower edges, the right one first, inner ends first."""
    t = template()
    return np.array([_nearest(t, (side * s, y)) for side in (-1, 1) for s, y in BROW_LOW])


@cache
def contour_rows() -> np.ndarray:
    """int64 ``[17, 10]``: for each landmark of the jaw the skin beside it, from the landmark towards the midline."""
    t, marks = template(), landmark_vertices()[:17]
    rows = []
    for v in marks.tolist():
        level = np.flatnonzero(t.skin & (t.depth == 0) & (t.y == t.y[v]) & (t.s * t.s[v] >= 0))
        inwards = level[(np.abs(t.s[level]) <= abs(t.s[v])) & (np.abs(t.s[level]) >= 0.5 * abs(t.s[v]))]
        inwards = inwards[np.argsort(-np.abs(t.s[inwards]), kind="stable")]
        rows.append(np.resize(np.append(inwards, np.full(10, inwards[-1])), 10))
    return np.array(rows)


@cache
def lid_margins() -> np.ndarray:
    """int64 ``[2]``: a vertex in the middle of the upper lid's margin of the right and the left eye."""
    t = template()
    margin = t.skin & (t.side == 1) & (t.depth == 0) & (np.abs(np.abs(t.s) - 2.9) < 0.1)
    return np.array([np.flatnonzero(margin & (t.eye == e))[0] for e in range(2)])

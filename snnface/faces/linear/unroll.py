"""A model's vertices in the procedural face's frame, and on its unrolled template, where faces are painted."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.interpolate import RBFInterpolator

from snnface.errors import InputError
from snnface.faces.identity import SHAPE_MODES, draw_identity
from snnface.faces.landmarks import landmark_vertices, positions
from snnface.faces.linear.bases import Bases
from snnface.faces.mesh import ARC, EYE_S, MOUTH_Y, template
from snnface.faces.scene import FACE_CENTRE, FACE_HEIGHT
from snnface.faces.shape import rest_geometry

#: Half width and depth (cm) of the head that the template is unrolled from.
_WIDTH, _DEPTH = 7.3, 9.3
#: How far (cm) a model's landmarks lie, root mean square, from the average procedural face's at most.
_FAR = 1.5
#: Landmarks that lids and lips do not move: chin, brows, nose, corners of eyes and mouth.
STEADY = [8, *range(17, 36), 36, 39, 42, 45, 48, 54]


@cache
def mean_landmarks() -> np.ndarray:
    """float64 ``[68, 3]`` cm: the landmarks of the average procedural face, closed at rest."""
    who = draw_identity(0)
    average = type(who)(**{**who.__dict__, "shape": dict.fromkeys(SHAPE_MODES, 0.0)})
    return rest_geometry(template(), average).positions[landmark_vertices()]


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation ``[3, 3]`` and shift ``[3]`` from ``source`` to ``target`` [N, 3] (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, d, vt = np.linalg.svd(b.T @ a)
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    turn = (u * flip) @ vt
    scale = float((d * flip).sum() / (a**2).sum())
    return scale, turn, target.mean(0) - scale * turn @ source.mean(0)


def unroll(p: np.ndarray) -> np.ndarray:
    """``[N, 2]``: arc (cm) from the midline and height of points ``p`` [N, 3] of the head's surface."""
    return np.stack([ARC * np.arctan2(p[:, 0] / _WIDTH, p[:, 2] / _DEPTH), p[:, 1]], 1)


def frame_of(bases: Bases) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation and shift from the file's coordinates to the head's (cm; x to the subject's left, y up, z
    forward). Without landmarks the file's axes count and the box around the face is fitted."""
    if len(bases.landmarks):
        source, target = bases.neutral[bases.landmarks[STEADY]], mean_landmarks()[STEADY]
        with np.errstate(invalid="ignore", divide="ignore"):
            scale, turn, shift = similarity(source, target)
        away = np.sqrt((((scale * source @ turn.T + shift) - target) ** 2).sum(1).mean())
        # No face is so far; another order or a mirrored axis is. Not a number where all are one.
        if not away < _FAR:
            fix = "Give them in iBUG order, and vertices in axes that are not mirrored"
            raise InputError(bases.where, "its landmarks do not make a face", fix)
        return scale, turn, shift
    low, high = bases.neutral.min(0), bases.neutral.max(0)
    scale = float(FACE_HEIGHT / (high - low)[1])
    front = np.array([0.0, FACE_CENTRE[1], 12.0])
    return scale, np.eye(3), front - scale * np.array([*(low + high)[:2] / 2, high[2]])


def on_template(p: np.ndarray, marks: np.ndarray | None) -> np.ndarray:
    """``[N, 2]`` template coordinates (s, y) of points ``p`` [N, 3] of a head with ``marks`` [68, 3], if known.

    A thin-plate spline takes the landmarks to where the template has them; the back and the crown stay in place.
    """
    if marks is None:
        return unroll(p)
    wanted = np.array([point[:2] for point in positions()])
    still = np.array([(s, y) for s in (-22.0, -16.0, 0.0, 16.0, 22.0) for y in (-12.0, -4.0, 4.0, 12.0)])
    still = still[(np.abs(still[:, 0]) > 1) | (still[:, 1] > 10)]
    at = unroll(marks)
    known = np.concatenate([at, still])
    moves = np.concatenate([wanted - at, np.zeros_like(still)])
    # A little slack, because lips and lids that touch come from two places to one.
    warp = RBFInterpolator(known, moves, kernel="thin_plate_spline", smoothing=1e-3)
    here = unroll(p)
    return here + warp(here)


def off_the_seam(s: np.ndarray, y: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Heights ``y`` [N] of the template with lips kept apart from the dark line that is painted between them.

    lower ``[N]``: 1 on the lower lip, 0 on the upper.
    """
    near = (np.abs(s) < 2.3) & (np.abs(y - MOUTH_Y) < 0.9)
    apart = np.where(lower > 0.5, np.minimum(y, MOUTH_Y - 0.1), np.maximum(y, MOUTH_Y + 0.1))
    return np.where(near, apart, y)


def off_the_lashes(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Heights ``y`` [N] of the template with the skin of open upper lids spread over that of closed ones.

    A model at rest has its eyes open: what unfolds when they close lies so near the lids' margin that all of it would
    be painted as lashes.
    """
    a, fold = np.abs(s), 0.9
    near = np.clip(1 - ((a - EYE_S) / 1.7) ** 2, 0, 1) ** 0.5 * ((y > 0) & (y < fold))
    spread = fold * (np.clip(y, 0, fold) / fold) ** 0.5
    return y + near * (spread - y)

"""Things that are not the face: glasses on it, a hand or a bar in front of it, somebody who passes behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from snnface.faces.gestures import Pulse, minimum_jerk
from snnface.faces.scene import FACE_CENTRE


@dataclass(frozen=True)
class Prop:
    """Vertices ``points`` [P, 3] (cm), ``triangles`` [T, 3] counter-clockwise from where they are seen, ``bright``
    [P] the share of the light that they return, and the ``patch`` of the texture that gives their colour.

    path: shift ``[F, 3]`` (cm) by seconds, in the world's frame; None for what the head wears. hides: whether
    landmarks behind it count as hidden.
    """

    points: np.ndarray
    triangles: np.ndarray
    bright: np.ndarray
    patch: str
    path: Callable[[np.ndarray], np.ndarray] | None = None
    hides: bool = True


def _ribbon(left: np.ndarray, right: np.ndarray, closed: bool = False) -> np.ndarray:
    """Triangles ``[T, 3]`` between two rows of vertices, numbered ``left`` and ``right`` of the way along them."""
    a, b = (np.append(side, side[0]) if closed else side for side in (left, right))
    first, second = np.stack([a[:-1], b[:-1], b[1:]], 1), np.stack([a[:-1], b[1:], a[1:]], 1)
    return np.concatenate([first, second])


def _facing(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The triangles, those turned over that look away from +z."""
    a, b, c = (points[triangles[:, k], :2] for k in range(3))
    away = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0] < 0
    return np.where(away[:, None], triangles[:, ::-1], triangles)


def make_glasses(number: int, marks: np.ndarray) -> Prop:
    """Rims, bridge and temples for a head at rest with landmarks ``marks`` [68, 3], by the person's number."""
    rng = np.random.default_rng([32452843, number])
    eyes = np.stack([marks[36:42].mean(0), marks[42:48].mean(0)])
    half = np.array([rng.uniform(2.2, 2.75), rng.uniform(1.5, 2.2)])
    square, thick = rng.uniform(2.0, 4.5), rng.uniform(0.14, 0.42)
    front = max(marks[27, 2] + 0.55, float(eyes[:, 2].max()) + 1.1)
    turn = np.linspace(0, 2 * np.pi, 22, endpoint=False)
    cos, sin = np.cos(turn), np.sin(turn)
    around = np.stack([np.sign(cos) * np.abs(cos) ** (2 / square), np.sign(sin) * np.abs(sin) ** (2 / square)], 1)
    points, triangles, count = [], [], 0

    def add(rows: list[np.ndarray], closed: bool = False, both: bool = False) -> None:
        """A ribbon between two rows of points [N, 3]."""
        nonlocal count
        n = len(rows[0])
        strip = _ribbon(count + np.arange(n), count + n + np.arange(n), closed)
        points.extend(rows)
        triangles.append(np.concatenate([strip, strip[:, ::-1]]) if both else strip)
        count += 2 * n

    def bent(xy: np.ndarray) -> np.ndarray:
        """On a frame that bends back to the sides."""
        return np.concatenate([xy, (front - 0.045 * xy[:, :1] ** 2)], 1)

    middle = eyes[:, :2] - (0.0, 0.25)
    for eye in middle:
        add([bent(eye + around * (half - thick / 2)), bent(eye + around * (half + thick / 2))], closed=True)
    inner = np.linspace(middle[0, 0] + half[0] - 0.1, middle[1, 0] - half[0] + 0.1, 5)
    arch = middle[:, 1].mean() + 0.55 + 0.25 * np.sin(np.linspace(0, np.pi, 5))
    add([bent(np.stack([inner, arch + side], 1)) for side in (thick / 2, -thick / 2)])
    for k, sign in enumerate((-1, 1)):
        hinge = bent(middle[k : k + 1] + np.array([[sign * (half[0] + thick / 2), 0.5]]))[0]
        side = marks[0 if k == 0 else 16]
        ear = np.array([side[0] + 0.1 * sign, hinge[1] - 0.2, side[2] - 2.5])
        bar = hinge + np.linspace(0, 1, 4)[:, None] * (ear - hinge)
        add([bar + np.array([0, 0.2, 0]), bar - np.array([0, 0.2, 0])], both=True)
    joined = np.concatenate(points)
    order = np.concatenate([*(_facing(joined, part) for part in triangles[:3]), *triangles[3:]])
    return Prop(joined, order, np.full(len(joined), rng.uniform(0.6, 1.5)), "frame", hides=False)


def draw_passer(rng: np.random.Generator, seconds: float) -> Prop:
    """A head and shoulders far behind that walk through the picture."""
    turn = np.linspace(0, 2 * np.pi, 19)
    head = np.stack([8.0 * np.sin(turn), 11.0 * np.cos(turn)], 1)
    body = np.array([(22.0, -60.0), (23.0, -24.0), (5.0, -9.0), (-5.0, -9.0), (-23.0, -24.0), (-22.0, -60.0)])
    flat = np.concatenate([[(0.0, 0.0)], head, [(0.0, -30.0)], body, body[:1]])
    fans = [[0, 2 + k, 1 + k] for k in range(18)] + [[20, 21 + k, 22 + k] for k in range(6)]
    points = np.concatenate([flat, np.zeros((len(flat), 1))], 1)
    bright = np.where(np.arange(len(flat)) < 20, 0.9, 0.6) * rng.uniform(0.4, 1.3)
    depth, height, side = rng.uniform(-80, -35), rng.uniform(-6, 10), rng.choice((-1, 1))
    start, whole = rng.uniform(-1.5, 0.6 * seconds), rng.uniform(2.0, 5.0)

    def path(t: np.ndarray) -> np.ndarray:
        """Steady steps from one side to the other."""
        x = side * 75.0 * (1 - 2 * np.clip((t - start) / whole, 0, 1))
        return np.stack([x, height + 0.8 * np.abs(np.sin(6.0 * t)), np.full_like(x, depth)], 1)

    return Prop(points, _facing(points, np.array(fans)), bright, "cloth", path)


def draw_occluder(rng: np.random.Generator, seconds: float) -> Prop:
    """A hand that reaches for the face, or a bar that is moved across."""
    return _bar(rng, seconds) if rng.random() < 0.5 else _hand(rng, seconds)


def _bar(rng: np.random.Generator, seconds: float) -> Prop:
    tilt, wide = rng.uniform(-0.6, 0.6) + rng.choice((0.0, np.pi / 2)), rng.uniform(1.2, 4.5)
    along, across = np.array([np.sin(tilt), np.cos(tilt), 0]), np.array([np.cos(tilt), -np.sin(tilt), 0])
    rows = [np.array([-45.0, 0.0, 45.0])[:, None] * along + k * wide / 2 * across for k in (-1, 0, 1)]
    triangles = np.concatenate([_ribbon(np.arange(3), np.arange(3, 6)), _ribbon(np.arange(3, 6), np.arange(6, 9))])
    start, whole = rng.uniform(0.0, 0.6 * seconds), rng.uniform(0.5, 1.5)
    at = FACE_CENTRE + np.array([0.0, rng.uniform(-6, 6), rng.uniform(12, 18)])
    side = rng.choice((-1, 1))

    def path(t: np.ndarray) -> np.ndarray:
        """Across the picture, at right angles to the bar."""
        x = side * 40.0 * (1 - 2 * minimum_jerk((t - start) / whole))
        return at + x[:, None] * across

    points = np.concatenate(rows)
    bright = np.repeat([0.6, 1.0, 0.45], 3) * rng.uniform(0.5, 1.5)
    return Prop(points, _facing(points, triangles), bright, rng.choice(("cloth", "teeth", "frame")).item(), path)


def _hand(rng: np.random.Generator, seconds: float) -> Prop:
    """Palm, fingers and forearm as flat limbs that are darker at their edges."""
    limbs = [((0.0, -9.0), (0.0, -1.0), 3.6, 4.0), ((0.0, -30.0), (0.0, -8.0), 3.2, 2.9)]
    spread = rng.uniform(0.03, 0.16)
    for k, length in enumerate((6.2, 7.2, 6.8, 5.4)):
        x, turn = -2.9 + 1.95 * k, spread * (k - 1.5)
        limbs.append(((x, -2.0), (x + np.sin(turn) * length, np.cos(turn) * length - 0.5), 0.95, 0.75))
    limbs.append(((-3.0, -6.0), (-6.2, -2.2), 1.2, 0.9))
    points: list[np.ndarray] = []
    triangles: list[np.ndarray] = []
    bright: list[np.ndarray] = []
    for k, (a, b, from_, to) in enumerate(limbs):
        first, last = np.array(a), np.array(b)
        along = (last - first) / np.linalg.norm(last - first)
        across = np.array([along[1], -along[0]])
        # Two last rows round the tip.
        steps, widths = (0.0, 0.5, 0.92, 1.0), (from_, (from_ + to) / 2, to, 0.45 * to)
        where = [first + s * (last - first + along * 0.6 * to) for s in steps]
        base = len(points) * 4
        for side in (-1, 0, 1):
            points.append(np.array([p + side * w * across for p, w in zip(where, widths, strict=True)]))
            bright.append(np.full(4, (0.55, 1.0, 0.62)[side + 1]))
        rows = [base + 4 * r + np.arange(4) for r in range(3)]
        triangles += [_ribbon(rows[0], rows[1]), _ribbon(rows[1], rows[2])]
        points[-3:] = [np.concatenate([p, np.full((4, 1), 0.1 * k)], 1) for p in points[-3:]]
    flat = np.concatenate(points) * (rng.choice((-1, 1)), 1, 1)
    lean = rng.uniform(-0.9, 0.9)
    tilt = np.array([[np.cos(lean), np.sin(lean), 0], [-np.sin(lean), np.cos(lean), 0], [0, 0, 1]])
    touch = FACE_CENTRE + np.array([rng.uniform(-5, 5), rng.uniform(-12, -1), rng.uniform(9, 12)])
    away = touch + 38.0 * (tilt @ np.array([0.0, -1.0, 0.0])) + (0, -6, 4)
    start, rise = rng.uniform(0.0, 0.5 * seconds), rng.uniform(0.25, 0.6)
    pulse = Pulse(start, rise, start + rise + rng.uniform(0.1, 0.8), rng.uniform(0.25, 0.6))

    def path(t: np.ndarray) -> np.ndarray:
        """Up to the face and away again."""
        return away + pulse(t)[:, None] * (touch - away)

    leaning = flat @ tilt.T
    order = _facing(leaning, np.concatenate(triangles))
    return Prop(leaning, order, 1.1 * np.concatenate(bright), "neck", path)

"""Lids that close and lips that rest on one another, whoever the person is.

Identity modes open and shift lids and lips by some millimetres, so that a shape that closes the mean face leaves a
slit in another or cuts into it. What is missing is measured on each person and added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from snnface.faces.linear.fields import BLINK, Fields

#: By how much (cm) lips at rest lie over one another, from corner to corner: no tooth shows between.
_OVERLAP = np.array([0.0, 0.04, 0.04, 0.04, 0.0])
#: How near (cm) to the middle of an eye's landmarks the middle of its hole must be.
_NEAR = 1.0
#: Shares of the way from corner to corner at which an eye's opening is measured.
_AT = np.linspace(0.2, 0.8, 7)


@dataclass(frozen=True)
class LidMargins:
    """The edges of one eye's lids as vertices in the order of x: ``upper`` [U], ``lower`` [L], corners included."""

    upper: np.ndarray
    lower: np.ndarray

    def opening(self, p: np.ndarray) -> np.ndarray:
        """``[7]`` cm: height of the opening of the eye between its corners in ``p`` [V, 3]."""
        x = self._columns(p)
        return _height(p, self.upper, x) - _height(p, self.lower, x)

    def travel(self, p: np.ndarray, d: np.ndarray) -> float:
        """By how much (cm) displacements ``d`` [V, 3] widen the opening of ``p`` on average."""
        return float((self.opening(p + d) - self.opening(p)).mean())

    def slit(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x and height (cm) ``[20]`` of what is left open."""
        x = np.linspace(p[self.upper[0], 0], p[self.upper[-1], 0], 20)
        return x, _height(p, self.upper, x) - _height(p, self.lower, x)

    def _columns(self, p: np.ndarray) -> np.ndarray:
        first, last = p[self.upper[0], 0], p[self.upper[-1], 0]
        return np.asarray(first + (last - first) * _AT)


def _height(p: np.ndarray, edge: np.ndarray, x: np.ndarray) -> np.ndarray:
    order = edge[np.argsort(p[edge, 0], kind="stable")]
    return np.interp(x, p[order, 0], p[order, 1])


def find_margins(p: np.ndarray, skin: np.ndarray, landmarks: np.ndarray) -> list[LidMargins] | None:
    """The margins of both eyes: the holes of the ``skin`` triangles [T, 3] that lie about the eyes' landmarks.

    p ``[V, 3]`` neutral; landmarks ``[68]``. None where the skin has no holes for the eyes.
    """
    if not len(landmarks):
        return None
    edges = np.sort(np.concatenate([skin[:, [0, 1]], skin[:, [1, 2]], skin[:, [2, 0]]]), axis=1)
    edges, count = np.unique(edges, axis=0, return_counts=True)
    a, b = edges[count == 1].T
    _, loop = connected_components(coo_matrix((np.ones(len(a)), (a, b)), (len(p), len(p))), directed=False)
    rims = [np.flatnonzero(loop == k) for k in np.unique(loop[a])]
    found = []
    for eye in (range(36, 42), range(42, 48)):
        at = p[landmarks[list(eye)]].mean(0)
        away = [np.linalg.norm(p[rim].mean(0) - at) for rim in rims]
        if not away or min(away) > _NEAR:
            return None
        rim = rims[int(np.argmin(away))]
        corners = rim[[p[rim, 0].argmin(), p[rim, 0].argmax()]]
        line = _height(p, corners, p[rim, 0])
        halves = [np.union1d(rim[sign * (p[rim, 1] - line) > 1e-6], corners) for sign in (1, -1)]
        found.append(LidMargins(*(half[np.argsort(p[half, 0])] for half in halves)))
    return found


def seal_lids(margins: LidMargins, closed: np.ndarray, blink: np.ndarray) -> np.ndarray:
    """Displacements ``[V, 3]`` that take the upper lid down (or back up) the last bit in ``closed`` [V, 3], the face
    with this eye's ``blink`` [V, 3] at work; the skin above goes along as it does in a blink."""
    x, slit = margins.slit(closed)
    most = blink[margins.upper, 1].min()
    share = np.clip(blink[:, 1] / most, 0, 1) if most < 0 else np.zeros(len(blink))
    out = np.zeros_like(closed)
    out[:, 1] = -np.interp(closed[:, 0], x, slit + 0.015) * share
    return out


@dataclass(frozen=True)
class Lids:
    """How one person's lids close. opening ``[2]`` cm of the right and left eye at rest; widening ``[2, C]`` what
    each channel adds to it at its full; seals: see :func:`seal_lids`."""

    opening: np.ndarray
    widening: np.ndarray
    seals: list[np.ndarray]

    @classmethod
    def of(cls, margins: list[LidMargins], fields: Fields, rest: np.ndarray) -> Lids:
        """Measured on the person's ``rest`` [V, 3]."""
        opening, widening, seals = np.zeros(2), np.zeros((2, len(fields.start) - 1)), []
        for e, lid in enumerate(margins):
            opening[e] = lid.opening(rest).mean()
            for c in range(len(fields.start) - 1):
                widening[e, c] = lid.travel(rest, fields.dense(c, len(rest)))
            blink = fields.dense(BLINK + e, len(rest))
            seals.append(seal_lids(lid, rest - opening[e] / widening[e, BLINK + e] * blink, blink))
        return cls(opening, widening, seals)

    def blink(self, amount: np.ndarray, closure: np.ndarray) -> np.ndarray:
        """``[F, 2]``: how much of the blink it takes to close the share ``closure`` [F, 2] of what the other channels
        ``amount`` [F, C] leave open. All is linear, so this needs no search."""
        if not self.seals:
            return closure
        full = -self.widening[(0, 1), (BLINK, BLINK + 1)]
        opening = self.opening + amount @ self.widening.T
        return np.asarray(closure * np.clip(opening / full, 0, 2))


def rest_lips(p: np.ndarray, near: np.ndarray, lower: np.ndarray, marks: np.ndarray) -> None:
    """Move lips in ``p`` [V, 3] until they touch: ``near`` are the vertices around the mouth, ``lower`` [V] 1 on the
    lower lip, ``marks`` [68, 3] the landmarks."""
    upper_line, lower_line = marks[[60, 61, 62, 63, 64]], marks[[60, 67, 66, 65, 64]]
    x, y = p[near, 0], p[near, 1]
    gap = np.interp(x, upper_line[:, 0], upper_line[:, 1] - lower_line[:, 1] + _OVERLAP)
    middle = np.interp(x, upper_line[:, 0], (upper_line[:, 1] + lower_line[:, 1]) / 2)
    fade = np.exp(-(((y - middle) / 0.5) ** 2)) * (x > marks[60, 0]) * (x < marks[64, 0])
    p[near, 1] += np.where(lower[near] > 0.5, 0.5, -0.5) * gap * fade

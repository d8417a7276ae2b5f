"""The topology of the head: one grid of skin with slits for eyes and mouth, and the parts behind and below it.

Template coordinates are centimetres on the unrolled face: ``s`` runs sideways (0 is the midline, + is the subject's
left, which is right in the picture), ``y`` runs up (0 is the line where the lids meet, -7 the line of the lips).
In the template eyes and lips are closed: a slit is a doubled row of vertices, so lids and lips meet by construction
and an opening is only a displacement.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

MOUTH_Y, MOUTH_HALF_WIDTH = -7.0, 2.5
EYE_S, EYE_HALF_WIDTH = 3.1, 1.4
#: cm of ``s`` per radian of longitude; half the head's circumference is π times this.
ARC = 7.6

_HALF = (0.4, 0.8, 1.2, 1.7, 2.1, 2.5, 2.9, 3.3, 3.7, 4.1, 4.5, 5.1, 5.8, 6.7, 7.7, 8.9, 10.3, 11.9, 14.5, 17.5, 20.7)
COLUMNS = np.array([-np.pi * ARC, *(-s for s in reversed(_HALF)), 0.0, *_HALF])
ROWS = np.array(
    [12.6, 12.3, 11.6, 10.5, 9.3, 8.2, 7.3, 6.5, 5.7, 5.0, 4.4, 3.9, 3.4, 3.0, 2.7, 2.4, 2.1, 1.8, 1.5, 1.2,
     0.95, 0.7, 0.45, 0.2, 0.0, -0.2, -0.45, -0.7, -1.0, -1.4, -1.8, -2.3, -2.8, -3.2, -3.6, -3.95, -4.25,
     -4.5, -4.75, -5.0, -5.3, -5.6, -5.85, -6.1, -6.35, -6.6, -6.82, -7.0, -7.18, -7.4, -7.65, -7.95, -8.3,
     -8.7, -9.2, -9.7, -10.2, -10.7, -11.2, -11.7, -12.3, -13.0, -14.0]
)  # fmt: skip

#: What a vertex belongs to.
SKIN, EYE, TEETH_UP, TEETH_LOW, CAVITY, BODY, EAR, HAIR = range(8)


@dataclass(frozen=True)
class Template:
    """Vertices ``[V]`` and triangles ``[T, 3]`` (counter-clockwise from outside).

    s, y: template coordinates (cm) of skin; other parts keep their own parameters in the range -1..1 there.
    part: what the vertex belongs to. side: +1 on the upper edge of a slit, -1 on the lower edge, else 0.
    eye: 0 for vertices around the subject's right eye (left in the picture), 1 for the left one, else -1.
    depth: how far (cm) the vertex is folded inwards behind the surface (the thickness of lips and lids).
    """

    s: np.ndarray
    y: np.ndarray
    part: np.ndarray
    side: np.ndarray
    eye: np.ndarray
    depth: np.ndarray
    triangles: np.ndarray

    @property
    def skin(self) -> np.ndarray:
        """bool ``[V]``: vertices of the head's skin, hair included."""
        return self.part == SKIN


def _grid(rows: int, cols: int, first: int, flip: bool = False) -> np.ndarray:
    """Triangles of a grid of vertices numbered row by row from ``first``, rows downwards, columns to the right."""
    a = first + np.arange((rows - 1) * cols).reshape(rows - 1, cols)[:, :-1].ravel()
    b, c, d = a + 1, a + cols, a + cols + 1
    t = np.stack([np.stack([a, c, b], 1), np.stack([b, c, d], 1)], 1).reshape(-1, 3)
    return t[:, ::-1] if flip else t


class _Builder:
    def __init__(self) -> None:
        self.columns: list[tuple[np.ndarray, ...]] = []
        self.triangles: list[np.ndarray] = []
        self.count = 0

    def add(self, s, y, part, side=0, eye=-1, depth=0.0) -> np.ndarray:  # type: ignore[no-untyped-def]
        """Append vertices and return their numbers."""
        s = np.atleast_1d(np.asarray(s, float))
        cols = [np.broadcast_to(np.asarray(v), s.shape) for v in (s, y, part, side, eye, depth)]
        self.columns.append(tuple(cols))
        self.count += len(s)
        return np.arange(self.count - len(s), self.count)

    def patch(self, a: np.ndarray, b: np.ndarray, part: int, eye: int = -1, flip: bool = False) -> None:
        """Append a rectangular part with parameters ``a`` (columns) and ``b`` (rows)."""
        bb, aa = np.meshgrid(b, a, indexing="ij")
        ids = self.add(aa.ravel(), bb.ravel(), part, eye=eye)
        self.triangles.append(_grid(len(b), len(a), int(ids[0]), flip))

    def slit(self, grid: np.ndarray, row: int, inside: np.ndarray, eye: int, depth: float) -> None:
        """Cut the grid open along ``row`` at the columns ``inside`` and give both edges a fold inwards."""
        at = np.flatnonzero(inside)
        old = grid[row, at]
        s, y = COLUMNS[at], ROWS[row]
        ends = grid[row, [at[0] - 1, at[-1] + 1]]
        lower = self.add(s, y, SKIN, -1, eye)
        first_tri = self.triangles[0]
        below = set(grid[row + 1, at[0] - 1 : at[-1] + 2].tolist())
        swap = dict(zip(old.tolist(), lower.tolist(), strict=True))
        for tri in first_tri:
            if below & set(tri.tolist()):
                tri[:] = [swap.get(int(v), int(v)) for v in tri]
        cols = self.columns[0]
        cols[3][old], cols[4][old] = 1, eye
        for edge, side in ((old, 1), (lower, -1)):
            rim = np.concatenate([ends[:1], edge, ends[1:]])
            fold = self.add(COLUMNS[at[0] - 1 : at[-1] + 2], y, SKIN, side, eye, depth)
            strip = [(rim[i], fold[i], rim[i + 1]) for i in range(len(rim) - 1)]
            strip += [(rim[i + 1], fold[i], fold[i + 1]) for i in range(len(rim) - 1)]
            t = np.array(strip)
            self.triangles.append(t if side > 0 else t[:, ::-1])


@cache
def template() -> Template:
    """The one topology all identities share."""
    b = _Builder()
    nr, nc = len(ROWS), len(COLUMNS)
    yy, ss = np.meshgrid(ROWS, COLUMNS, indexing="ij")
    around = np.where((np.abs(np.abs(ss) - EYE_S) < 2.3) & (np.abs(yy) < 2.0), (ss > 0).astype(int), -1)
    cols = [ss.ravel(), yy.ravel(), np.full(nr * nc, SKIN), np.zeros(nr * nc, int), around.ravel(), np.zeros(nr * nc)]
    b.columns.append(tuple(cols))
    b.count = nr * nc
    grid = np.arange(nr * nc).reshape(nr, nc)
    wrapped = np.concatenate([grid, grid[:, :1]], 1)
    a, e, c, d = wrapped[:-1, :-1], wrapped[:-1, 1:], wrapped[1:, :-1], wrapped[1:, 1:]
    b.triangles.append(np.stack([np.stack([a, c, e], -1), np.stack([e, c, d], -1)], 2).reshape(-1, 3).copy())
    row_eye, row_mouth = int(np.flatnonzero(ROWS == 0.0)[0]), int(np.flatnonzero(ROWS == MOUTH_Y)[0])
    for i, sign in enumerate((-1, 1)):
        b.slit(grid, row_eye, np.abs(COLUMNS * sign - EYE_S) < EYE_HALF_WIDTH - 0.01, i, 0.3)
    b.slit(grid, row_mouth, np.abs(COLUMNS) < MOUTH_HALF_WIDTH - 0.01, -1, 0.9)
    unit = np.linspace(-1, 1, 9)
    for i in range(2):
        b.patch(unit, -unit, EYE, eye=i)
    b.patch(np.linspace(-1, 1, 13), np.array([1.0, 0.0, -1.0]), TEETH_UP)
    b.patch(np.linspace(-1, 1, 13), np.array([1.0, 0.0, -1.0]), TEETH_LOW)
    b.patch(np.linspace(-1, 1, 7), np.linspace(1, -1, 5), CAVITY)
    b.patch(np.linspace(-1, 1, 17), np.linspace(1, -1, 10), BODY)
    for i in range(2):
        b.patch(np.linspace(-1, 1, 6), np.linspace(1, -1, 8), EAR, eye=i, flip=i == 0)
    b.patch(np.linspace(-1, 1, 15), np.linspace(1, -1, 8), HAIR)
    s, y, part, side, eye, depth = (np.concatenate(c) for c in zip(*b.columns, strict=True))
    return Template(s, y, part, side, eye, depth, np.concatenate(b.triangles).astype(np.int32))

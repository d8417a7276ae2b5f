"""Vertices of a linear face, moved and placed (numba, one core, float32)."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from snnface.faces.render import JIT, project


class LinearModel(NamedTuple):
    """One person of a linear face, float32 unless said. A named tuple, because the kernels take it as it is.

    rest ``[V, 3]`` cm. Channel c moves the vertices ``vertex[start[c]:start[c + 1]]`` (int64) by ``delta`` [N, 3].
    eye int64 ``[V]``: 0 and 1 for the lids of the right and left eye, -1 elsewhere; eye_centres ``[2, 3]``,
    lid_radius ``[2]``: the balls they slide over. follow ``[V]``: 1 turns with the head, 0 stays with the body.
    occlusion ``[V]``: share of the light that gets there.
    """

    rest: np.ndarray
    start: np.ndarray
    vertex: np.ndarray
    delta: np.ndarray
    eye: np.ndarray
    eye_centres: np.ndarray
    lid_radius: np.ndarray
    follow: np.ndarray
    occlusion: np.ndarray

    def subset(self, vertices: np.ndarray) -> LinearModel:
        """The same face with only some of its vertices (increasing)."""
        number = np.full(len(self.rest), -1)
        number[vertices] = np.arange(len(vertices))
        kept = number[self.vertex] >= 0
        start = np.concatenate([[0], np.cumsum(kept)])[self.start]
        cut = {name: getattr(self, name)[vertices] for name in ("rest", "eye", "follow", "occlusion")}
        return self._replace(start=start, vertex=number[self.vertex[kept]], delta=self.delta[kept], **cut)


@numba.njit(**JIT)
def place(model, pose, i, camera, p, screen):  # type: ignore[no-untyped-def]
    """Vertices of moment ``i``: ``p`` [V, 3] in the head's frame (cm) and ``screen`` [V, 3] as of
    :func:`snnface.faces.render.project`. Lids that would cut into an eyeball are pushed in front of it."""
    p[:] = model.rest
    for c in range(len(model.start) - 1):
        a = pose.channels[i, c]
        if a != 0.0:
            for k in range(model.start[c], model.start[c + 1]):
                v = model.vertex[k]
                p[v, 0] += a * model.delta[k, 0]
                p[v, 1] += a * model.delta[k, 1]
                p[v, 2] += a * model.delta[k, 2]
    for v in range(p.shape[0]):
        e = model.eye[v]
        if e >= 0:
            dx, dy = p[v, 0] - model.eye_centres[e, 0], p[v, 1] - model.eye_centres[e, 1]
            left = model.lid_radius[e] * model.lid_radius[e] - dx * dx - dy * dy
            if left > 0.0:
                p[v, 2] = max(p[v, 2], model.eye_centres[e, 2] + np.sqrt(left))
    project(p, model.follow, pose.head[i], pose.body[i], camera, screen)


@numba.njit(**JIT)
def travelled(model, pose, camera):  # type: ignore[no-untyped-def]
    """float32 ``[F - 1]``: by how much (pixels) any vertex moves in x or y from each moment to the next."""
    moved = np.zeros(pose.channels.shape[0] - 1, np.float32)
    p, screen, before = np.empty_like(model.rest), np.empty_like(model.rest), np.empty_like(model.rest)
    place(model, pose, 0, camera, p, before)
    for i in range(moved.shape[0]):
        place(model, pose, i + 1, camera, p, screen)
        for v in range(p.shape[0]):
            moved[i] = max(moved[i], abs(screen[v, 0] - before[v, 0]), abs(screen[v, 1] - before[v, 1]))
        screen, before = before, screen
    return moved

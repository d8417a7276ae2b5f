"""The props of a clip as the kernels take them: one list of vertices, placed moment by moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from snnface.faces.atlas import patch_place
from snnface.faces.model import shrunk_coordinates
from snnface.faces.props import Prop


class Stage:
    """P vertices and T triangles of all props.

    triangles int32 ``[T, 3]``, bright float32 ``[P]``, hiding ``[H, 3]``: the triangles that hide landmarks. margin:
    how far the background drifts at most, in shares of the picture's longer side.
    """

    def __init__(self, props: Sequence[Prop], margin: float = 0.0) -> None:
        self.props, self.margin = props, margin
        counts = [len(p.points) for p in props]
        self._starts = np.cumsum([0, *counts])
        shifted = [p.triangles + start for p, start in zip(props, self._starts, strict=False)]
        none = np.empty((0, 3), np.int32)
        self.triangles = np.concatenate([none, *shifted]).astype(np.int32)
        self.hiding = np.concatenate([none, *(t for p, t in zip(props, shifted, strict=True) if p.hides)]).astype(int)
        self.bright = np.concatenate([[], *(p.bright for p in props)]).astype(np.float32)

    def places(self, shape: tuple[int, ...], shrink: int) -> np.ndarray:
        """float32 ``[P, 2]``: where the vertices find their colour in an atlas of ``shape``, shrunk by ``shrink``."""
        where = [np.empty((0, 2))]
        for prop in self.props:
            # Spread over the patch, so that cloth and skin keep their grain.
            x = 0.8 * np.clip(prop.points[:, :2] / max(np.abs(prop.points).max(), 1.0), -1, 1)
            where.append(patch_place(prop.patch, x[:, 0], x[:, 1]))
        return shrunk_coordinates(np.concatenate(where), shape, shrink)

    def seen(self, seconds: np.ndarray, pose: Any, camera: np.ndarray) -> np.ndarray:
        """float32 ``[F, P, 3]``: x and y in pixels and 1/distance (1/cm) of the vertices at some times (s), where the
        head's pose is ``pose``; what is behind the camera is far outside the picture."""
        where = np.empty((len(seconds), int(self._starts[-1]), 3), np.float32)
        for prop, start in zip(self.props, self._starts.tolist(), strict=False):
            part = where[:, start : start + len(prop.points)]
            if prop.path is None:
                part[:] = prop.points @ pose.head[:, :, :3].transpose(0, 2, 1) + pose.head[:, None, :, 3]
            else:
                part[:] = prop.points + prop.path(seconds)[:, None]
        inverse = 1 / np.maximum(camera[1] - where[..., 2], 1.0)
        x, y = camera[2] + camera[0] * where[..., 0] * inverse, camera[3] - camera[0] * where[..., 1] * inverse
        return np.stack([x, y, inverse], -1).astype(np.float32)

    def hidden(self, seen: np.ndarray, marks: np.ndarray) -> np.ndarray:
        """bool ``[F, L]``: whether something hides the ``marks`` ``[F, L, 3]`` (pixels, 1/cm), ``seen`` as of
        :meth:`seen`."""
        out = np.zeros(marks.shape[:2], bool)
        x, y, distance = np.moveaxis(marks, -1, 0)
        for triangle in self.hiding:
            (ax, ay, az), (bx, by, bz), (cx, cy, cz) = (seen[:, k].T[..., None] for k in triangle)
            area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
            area = np.where(np.abs(area) < 1e-9, 1e-9, area)
            of_a = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
            of_b = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
            of_c = 1 - of_a - of_b
            inside = np.minimum(np.minimum(of_a, of_b), of_c) >= 0
            out |= inside & (of_a * az + of_b * bz + of_c * cz > distance)
        return out

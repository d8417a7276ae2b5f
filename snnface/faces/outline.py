"""Landmarks of the jaw that follow the outline of a turned face, as people annotate them."""

from __future__ import annotations

import numpy as np

from snnface.faces.person import Mesh

#: Within which share of the mean step from vertex to vertex two of them count as about as far out.
_SOFT = 0.4


def follow_outline(mesh: Mesh, xy: np.ndarray, marks: np.ndarray) -> None:
    """Move each of the ``marks`` [68, 2] that has a row of ``mesh.contour`` to where that row lies outermost.

    xy ``[V, 2]``: where the vertices are in the picture (landmark marching; Zhu et al., CVPR 2015). Rows of points 0
    to 7 lie on the subject's right (left in the picture), those of 9 to 16 on the left; sideways is at right angles
    to the line from the chin to the root of the nose. Between vertices that lie about as far out the point moves
    smoothly: the finer the row, the closer it keeps to the outermost.
    """
    if not len(mesh.contour):
        return
    up = marks[27] - marks[8]
    side = np.array([-up[1], up[0]]) / np.hypot(*up)
    for mark, sign in ((slice(0, 8), -1.0), (slice(9, 17), 1.0)):
        rows = mesh.contour[mark]
        reach = sign * (xy[rows] @ side)
        soft = _SOFT * (reach.max(1) - reach.min(1)).mean() / rows.shape[1]
        weight = np.exp((reach - reach.max(1, keepdims=True)) / max(soft, 1e-6))
        marks[mark] = (weight[..., None] * xy[rows]).sum(1) / weight.sum(1, keepdims=True)

"""Landmarks of the jaw that follow the outline of a turned face, as people annotate them."""

from __future__ import annotations

import numpy as np

from snnface.faces.person import Mesh


def follow_outline(mesh: Mesh, xy: np.ndarray, marks: np.ndarray) -> None:
    """Move each of the ``marks`` [68, 2] that has a row of ``mesh.contour`` to the outermost vertex of that row.

    xy ``[V, 2]``: where the vertices are in the picture (landmark marching; Zhu et al., CVPR 2015). Rows of points 0
    to 7 lie on the subject's right (left in the picture), those of 9 to 16 on the left; sideways is at right angles
    to the line from the chin to the root of the nose.
    """
    if not len(mesh.contour):
        return
    up = marks[27] - marks[8]
    side = np.array([-up[1], up[0]])
    for mark, sign in ((slice(0, 8), -1.0), (slice(9, 17), 1.0)):
        rows = mesh.contour[mark]
        reach = sign * (xy[rows] @ side)
        marks[mark] = xy[rows[np.arange(len(rows)), reach.argmax(1)]]

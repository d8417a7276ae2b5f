"""Where the outline of a turned face may run beside the jaw's landmarks."""

from __future__ import annotations

import numpy as np

#: Steps (cm) forward from a landmark along the cheek.
_FORWARD = (0.5, 1.0, 1.5, 2.0, 2.6, 3.2)
#: Landmarks nearer to the chin than these keep their place.
_CHIN = range(6, 11)


def contour_rows(p: np.ndarray, skin: np.ndarray, landmarks: np.ndarray, substitutes: np.ndarray) -> np.ndarray:
    """int64 ``[17, C]``: vertices for each of the jaw's ``landmarks`` [17], the landmark first.

    p ``[V, 3]`` neutral face in the head's frame; skin: vertices to choose from. Forward along the cheek, where the
    far side's outline runs; and back to the model's own ``substitutes`` [17], where it has them, for the near side.
    """
    rows = []
    for i, mark in enumerate(landmarks):
        x, y, z = p[mark]
        chosen = [mark]
        if i not in _CHIN:
            side = skin[p[skin, 0] * np.sign(x) > 1.5]
            reach: list[tuple[np.ndarray, np.ndarray, tuple[int, ...]]] = [
                (side, np.array([y, z + step]), (1, 2)) for step in _FORWARD
            ]
            if len(substitutes):
                end = p[substitutes[i]]
                reach += [(skin, p[mark] + share * (end - p[mark]), (0, 1, 2)) for share in (0.25, 0.5, 0.75, 1.0)]
            for near, point, axes in reach:
                chosen.append(near[((p[near][:, axes] - point) ** 2).sum(1).argmin()])
        rows.append(chosen)
    width = max(map(len, rows))
    return np.array([row + row[:1] * (width - len(row)) for row in rows], np.int64)

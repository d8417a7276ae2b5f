"""Bytes of unpacked chunks put together as events, and looked at in the same pass."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_compiled: Any = numba.njit(cache=True, nogil=True)


@_compiled
def together(t: Any, x: Any, y: Any, p: Any, events: Any, latest: Any, width: int, height: int) -> bool:
    """Events into ``events`` ``[N]`` (``EVENT_DTYPE``); whether all are valid.

    ``t``, ``x``, ``y``, ``p``: uint8 ``[8 | 2 | 2 | 1, N]``, the lowest byte of each number first. Valid are times in
    order and none before ``latest`` (µs), pixels below ``width``, ``height`` and polarities of 0 and 1.
    """
    valid: Any = True
    for i in range(len(events)):
        low = np.int64(t[0, i]) | np.int64(t[1, i]) << 8 | np.int64(t[2, i]) << 16 | np.int64(t[3, i]) << 24
        high = np.int64(t[4, i]) | np.int64(t[5, i]) << 8 | np.int64(t[6, i]) << 16 | np.int64(t[7, i]) << 24
        time = high << 32 | low
        column = np.int64(x[0, i]) | np.int64(x[1, i]) << 8
        row = np.int64(y[0, i]) | np.int64(y[1, i]) << 8
        valid &= (time >= latest) & (column < width) & (row < height) & (p[0, i] <= 1)  # without a branch
        latest = time
        events[i].t, events[i].x, events[i].y, events[i].p = time, column, row, p[0, i] == 1
    return valid

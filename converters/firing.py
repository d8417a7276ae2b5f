"""The events of pixels between two pictures, and all of them in order of time."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

#: Rows of ``planes``, float32 ``[6, N]``: the last picture and its log; the low-pass; levels at which a pixel fires,
#: a little too close (and all of them while it recovers); leak a second, log contrast.
SEEN, LOG_LIGHT, LEVEL, HIGH, LOW, DRIFT = range(6)
#: Columns of ``own``, float64 ``[N, 4]``: the level that a pixel remembers, its thresholds, when it may fire again.
MEMORY, ON, OFF, READY = range(4)
#: Pixels of a block.
BLOCK = 64
#: More than single precision can be wrong by, log contrast.
_SLACK = 4e-6

_compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def set_levels(planes: Any, own: Any, i: Any) -> None:
    """From what a pixel remembers, the levels at which it fires."""
    planes[HIGH, i] = own[i, MEMORY] + own[i, ON] - _SLACK
    planes[LOW, i] = own[i, MEMORY] - own[i, OFF] + _SLACK


@_compiled
def larger(column: Any, room: int) -> Any:
    """The same column with twice the room that is asked."""
    return np.concatenate((column, np.empty(2 * room - len(column), column.dtype)))


@_compiled
def fire(
    which: Any, ends: Any, k: int, noise_pixel: Any, noise_t: Any, noise_on: Any, refractory: int, start: int,
    stop: int, epoch: Any, planes: Any, own: Any, t_out: Any, who_out: Any, count: int,
) -> int:  # fmt: skip
    """Events of pixels ``which`` ``[P]``, whose levels go in straight lines between their ``ends`` ``[P, 2]``.

    Their noise begins at ``k``; ``epoch`` ``[B]``: since when a block's leak is apart from memory. Returns how many
    events the columns hold. One loop for all: a call for each pixel would cost more than its events.
    """
    for n in range(len(which)):
        i, until = np.uint64(which[n]), k
        while until < len(noise_pixel) and noise_pixel[until] == which[n]:
            until += 1
        drift, v0 = np.float64(planes[DRIFT, i]) * 1e-6, np.float64(ends[n, 0])
        slope = (np.float64(ends[n, 1]) - v0) / (stop - start) + drift
        # What the memory must be for no gap, at the start.
        base = v0 + drift * (start - epoch[which[n] // BLOCK])
        now, threshold = max(np.float64(start), own[i, READY]), own[i, ON] if slope > 0 else -own[i, OFF]
        memory = own[i, MEMORY] if planes[HIGH, i] > -np.inf else base + slope * (now - start)
        ready = now < stop
        while now < stop:
            gap, crossing = base + slope * (now - start) - memory, np.inf
            if slope != 0:
                crossing = max(now, now + (threshold - gap) / slope)
            while k < until and noise_t[k] < now:
                k += 1
            fired, positive = crossing, slope > 0
            if k < until and noise_t[k] < crossing:
                fired, positive = noise_t[k], noise_on[k]
                k += 1
            if fired > stop:
                break
            # A crossing at a whole µs stays there in spite of rounding errors.
            t_out[count] = min(max(np.int64(np.ceil(fired - 1e-6)), start + 1), stop)
            who_out[count] = 2 * which[n] + positive
            count += 1
            now = fired + refractory
            own[i, READY] = now
            memory = base + slope * (now - start)
            ready = now <= stop
        k = until
        if ready:
            own[i, MEMORY] = memory
            set_levels(planes, own, i)
        else:
            planes[HIGH, i] = -np.inf
    return count


@_compiled
def in_order(t: Any, who: Any, start: int, stop: int, width: int, out: Any) -> None:
    """Put events ``[E]`` into a record array, sorted by time, µs after µs; events of one µs stay as they are."""
    place = np.zeros(stop - start + 1, np.int64)
    for i in range(len(t)):
        place[t[i] - start] += 1
    total = 0
    for s in range(len(place)):
        place[s], total = total, total + place[s]
    columns = np.uint32(width)
    for i in range(len(t)):
        k = place[t[i] - start]
        place[t[i] - start] = k + 1
        pixel = np.uint32(who[i] >> 1)
        y = np.uint32(pixel // columns)
        out[k].t, out[k].x, out[k].y, out[k].p = t[i], pixel - y * columns, y, who[i] & 1

"""One pixel's events between two pictures, and all of them in order of time."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

#: Rows of ``planes``, float32 ``[6, N]``: the last picture and its log; the low-pass; levels at which a pixel fires,
#: a little too close (and all of them while it recovers); leak a second, log contrast.
SEEN, LOG_LIGHT, LEVEL, HIGH, LOW, DRIFT = range(6)
#: Columns of ``own``, float64 ``[N, 4]``: the level that a pixel remembers, its thresholds, when it may fire again.
MEMORY, ON, OFF, READY = range(4)
#: More than single precision can be wrong by, log contrast.
_SLACK = 4e-6

_compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def set_levels(planes: Any, own: Any, i: Any) -> None:
    """From what a pixel remembers, the levels at which it fires."""
    planes[HIGH, i] = own[i, MEMORY] + own[i, ON] - _SLACK
    planes[LOW, i] = own[i, MEMORY] - own[i, OFF] + _SLACK


@_compiled
def _most_events(ends: Any, noise: int, planes: Any, own: Any, i: int, duration: float) -> Any:
    """No fewer than a pixel fires on its way from one end to the other."""
    far = abs(ends[1] - ends[0]) + planes[DRIFT, i] * duration * 1e-6
    return 2 + 2 * noise + int(far / min(own[i, ON], own[i, OFF]))


@_compiled
def _larger(column: Any, room: int) -> Any:
    """The same column with twice the room that is asked."""
    return np.concatenate((column, np.empty(2 * room - len(column), column.dtype)))


@_compiled
def fire(
    i: int, ends: Any, k: int, until: int, noise_t: Any, noise_on: Any, refractory: int, start: int,
    stop: int, epoch: float, planes: Any, own: Any, t_out: Any, who_out: Any, count: int,
) -> Any:  # fmt: skip
    """Events of a pixel whose level goes in a straight line between its two ``ends``; noise ``k`` to ``until`` its.

    Returns the columns, larger ones where there was no room (no burst is too large), and how many events they hold.
    """
    room = count + _most_events(ends, until - k, planes, own, i, np.float32(stop - start))
    if room > len(t_out):
        t_out, who_out = _larger(t_out, room), _larger(who_out, room)
    count = _fire(
        i, ends[0], ends[1], k, until, noise_t, noise_on, refractory, start, stop, epoch, planes, own, t_out, who_out,
        count,
    )  # fmt: skip
    return t_out, who_out, count


@_compiled
def _fire(
    i: int, v0: float, v1: float, k: int, until: int, noise_t: Any, noise_on: Any, refractory: int, start: int,
    stop: int, epoch: float, planes: Any, own: Any, t_out: Any, who_out: Any, count: int,
) -> int:  # fmt: skip
    drift = np.float64(planes[DRIFT, i]) * 1e-6
    slope = (np.float64(v1) - np.float64(v0)) / (stop - start) + drift
    # What the memory must be for no gap, at the start.
    base = np.float64(v0) + drift * (start - epoch)
    on, off, now = own[i, ON], own[i, OFF], max(np.float64(start), own[i, READY])
    memory = own[i, MEMORY] if planes[HIGH, i] > -np.inf else base + slope * (now - start)
    if now >= stop:
        return count
    while True:
        gap, crossing = base + slope * (now - start) - memory, np.inf
        if slope > 0:
            crossing = max(now, now + (on - gap) / slope)
        elif slope < 0:
            crossing = max(now, now - (off + gap) / slope)
        while k < until and noise_t[k] < now:
            k += 1
        fired, positive = crossing, slope > 0
        if k < until and noise_t[k] < crossing:
            fired, positive = noise_t[k], noise_on[k]
            k += 1
        if fired > stop:
            break
        # A crossing at a whole µs stays there in spite of rounding errors.
        t_out[count] = min(max(int(np.ceil(fired - 1e-6)), start + 1), stop)
        who_out[count] = 2 * i + positive
        count += 1
        now = fired + refractory
        own[i, READY] = now
        memory = base + slope * (now - start)
        if now >= stop:
            if now > stop:
                planes[HIGH, i] = -np.inf
                return count
            break
    own[i, MEMORY] = memory
    set_levels(planes, own, i)
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

"""One pass over the events of one segment each: what happens at a pixel, around it, in windows and at the readout.

Columns of a segment: t int64 ``[E]`` in µs from its start, sorted, 0 ≤ t ≤ duration; x, y uint16 ``[E]``; p bool
``[E]``. Work is O(E + pixels), memory O(pixels) and, in :func:`neighbour_pass`, one byte an event.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

#: Bins of intervals: one for 0 µs, then this many a decade from 1 µs up to 1000 s.
BINS_A_DECADE, DECADES = 20, 9
INTERVAL_BINS = 1 + BINS_A_DECADE * DECADES
#: Octaves of :func:`neighbour_pass`: the number of bits of a time in µs.
OCTAVES = 48
#: Largest number of events with one time stamp that has a bin of its own.
LARGEST_GROUP = 4096


@numba.njit(cache=True, nogil=True, inline="always")
def _interval_bin(dt):  # type: ignore[no-untyped-def]
    return min(1 + int(BINS_A_DECADE * math.log10(dt)), INTERVAL_BINS - 1) if dt > 0 else 0


@numba.njit(cache=True, nogil=True, inline="always")
def _bits(dt):  # type: ignore[no-untyped-def]
    """Bits of an integer ≥ 0: 0 has none, 1 has one, 2 and 3 two, …"""
    return max((np.float64(dt).view(np.int64) >> 52) - 1022, 0)  # the exponent of the number as a float


@numba.njit(cache=True, nogil=True)
def pixel_pass(t: Any, x: Any, y: Any, p: Any, width: int, counts: Any) -> Any:
    """Intervals between consecutive events of a pixel, int64 ``[4, INTERVAL_BINS]``.

    Rows by polarity before and after: OFF OFF, OFF ON, ON OFF, ON ON. ``counts`` int64 ``[2, pixels]`` (OFF, ON)
    takes the number of events of each pixel.
    """
    intervals = np.zeros((4, INTERVAL_BINS), np.int64)
    last = np.full(counts.shape[1], -1, np.int64)  # twice the time, plus the polarity
    for i in range(len(t)):
        pixel, on = int(y[i]) * width + int(x[i]), int(p[i])
        before = last[pixel]
        if before >= 0:
            intervals[2 * (before & 1) + on, _interval_bin(t[i] - (before >> 1))] += 1
        last[pixel] = 2 * t[i] + on
        counts[on, pixel] += 1
    return intervals


@numba.njit(cache=True, nogil=True)
def neighbour_pass(t: Any, x: Any, y: Any, p: Any, width: int, height: int, duration: int) -> Any:
    """Events and silences in the neighbourhood (the eight pixels around) of every pixel.

    Returns

    - gaps ``[OCTAVES]`` and their sum in µs ``[OCTAVES]``: times between consecutive events in a neighbourhood, of
      all neighbourhoods, by number of bits; the ends of the segment count as events;
    - alone ``[2, OCTAVES]``: events (OFF, ON) by the bits of the time to the nearest event, before or after, in their
      neighbourhood, the ends of the segment being such events too;
    - lags ``[2, INTERVAL_BINS]``: events by the time since the last one in their neighbourhood, which had the other
      polarity (row 0) or the same (row 1).
    """
    gaps, sums = np.zeros(OCTAVES, np.int64), np.zeros(OCTAVES, np.int64)
    alone, lags = np.zeros((2, OCTAVES), np.int64), np.zeros((2, INTERVAL_BINS), np.int64)
    before = np.empty(len(t), np.uint8)
    near = np.full(width * height, -2, np.int64)  # twice the time of the last neighbour, plus its polarity
    for i in range(len(t)):
        column, row, now, on = int(x[i]), int(y[i]), t[i], int(p[i])
        pixel = row * width + column
        last = near[pixel]
        if last >= 0:
            lags[int((last & 1) == on), _interval_bin(now - (last >> 1))] += 1
        before[i] = _bits(now - max(last >> 1, 0))
        for v in range(max(row - 1, 0), min(row + 2, height)):
            for other in range(v * width + max(column - 1, 0), v * width + min(column + 2, width)):
                if other == pixel:
                    continue
                gap = now - max(near[other] >> 1, 0)
                bits = _bits(gap)
                gaps[bits] += 1
                sums[bits] += gap
                near[other] = 2 * now + on
    for pixel in range(width * height):
        gap = duration - max(near[pixel] >> 1, 0)
        gaps[_bits(gap)] += 1
        sums[_bits(gap)] += gap
    near[:] = duration
    for i in range(len(t) - 1, -1, -1):
        column, row = int(x[i]), int(y[i])
        after = _bits(near[row * width + column] - t[i])
        alone[int(p[i]), min(int(before[i]), after)] += 1
        for v in range(max(row - 1, 0), min(row + 2, height)):
            for u in range(max(column - 1, 0), min(column + 2, width)):
                if v != row or u != column:
                    near[v * width + u] = t[i]
    return gaps, sums, alone, lags


@numba.njit(cache=True, nogil=True)
def window_pass(t: Any, x: Any, y: Any, width: int, pixels: int, windows: Any, duration: int) -> Any:
    """Counts of events of a pixel in windows of each length (``windows`` int64 ``[K]`` in µs) that fit whole.

    Returns int64 ``[K, 4]``: events; sum over pixels and windows of the squared count; sum over pixels of the squared
    count of all windows; pairs of a pixel and a window with an event.
    """
    found = np.zeros((len(windows), 4), np.int64)
    total = np.zeros(pixels, np.int64)
    number, count = np.full((pixels, len(windows)), -1, np.int32), np.zeros((pixels, len(windows)), np.int32)
    window, end = np.full(len(windows), -1, np.int64), np.zeros(len(windows), np.int64)
    limit = duration // windows * windows
    for i in range(len(t)):
        pixel = int(y[i]) * width + int(x[i])
        for k in range(len(windows)):
            if t[i] >= limit[k]:
                continue
            if t[i] >= end[k]:
                window[k] = t[i] // windows[k]
                end[k] = (window[k] + 1) * windows[k]
            if number[pixel, k] != window[k]:
                number[pixel, k], count[pixel, k] = window[k], 0
                found[k, 3] += 1
            # A count that grows from n to n + 1 adds 2n + 1 to its square.
            found[k, 0] += 1
            found[k, 1] += 2 * count[pixel, k] + 1
            found[k, 2] += 2 * total[pixel] + 1
            count[pixel, k] += 1
        total[pixel] += 1
    return found


@numba.njit(cache=True, nogil=True)
def readout_pass(t: Any, x: Any, y: Any, width: int, height: int) -> Any:
    """Events that share a time stamp.

    Returns groups int64 ``[LARGEST_GROUP + 1]``: events by the number of events of their time stamp (larger ones in
    the last bin); and the number of different rows, and of different columns, summed over time stamps.
    """
    groups = np.zeros(LARGEST_GROUP + 1, np.int64)
    row, column = np.full(height, -1, np.int64), np.full(width, -1, np.int64)
    rows, columns, first = 0, 0, 0
    for i in range(len(t)):
        if row[y[i]] != t[i]:
            row[y[i]] = t[i]
            rows += 1
        if column[x[i]] != t[i]:
            column[x[i]] = t[i]
            columns += 1
        if i + 1 == len(t) or t[i + 1] != t[i]:
            size = i + 1 - first
            groups[min(size, LARGEST_GROUP)] += size
            first = i + 1
    return groups, rows, columns

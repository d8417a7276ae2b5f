"""One pass over a block of EVT words: when each is, and which must go. What the results mean: ``evt_words.py``.

Of time words, K ``position`` int64 ``[K]`` in the block, their ``t`` in µs int64 ``[K]``, and bool ``[K]`` whether
that is ``wrong`` and whether to ``remove`` the word. ``started``, ``late``: whether the time was known before the
block, and whether it was wrong. Counts are those of :class:`~snnface.io.evt_clock.Tally`, in its order.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_KNOWN2 = np.isin(np.arange(16), [0x0, 0x1, 0x8, 0xA, 0xE, 0xF])
_KNOWN3 = np.isin(np.arange(16), [0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0x8, 0xA, 0xE, 0xF])
_ROW, _SINGLE, _BASE, _VECTOR12, _VECTOR8, _LOW, _HIGH = 0, 2, 3, 4, 5, 6, 8
_UNKNOWN, _FIRST, _UNDATED, _OUTSIDE, _BACKWARDS = range(5)
#: Most words that :func:`clean3` makes of one.
MOST3 = 4


@numba.njit(cache=True, nogil=True, inline="always")
def _unwrapped(counter, latest, range_):  # type: ignore[no-untyped-def]
    """A counter that is full at ``range_`` as a continuous one, nearest to ``latest``: a fall by three quarters of
    its range is a wrap, a rise by as much a step back over one."""
    step = counter - latest % range_
    if 4 * step <= -3 * range_:
        step += range_
    elif 4 * step >= 3 * range_:
        step -= range_
    return latest + step


@numba.njit(cache=True, nogil=True)
def times2(words: Any, started: bool, last: Any) -> Any:
    """``position`` and ``t`` of the TIME_HIGH words of EVT2 (uint32 ``[N]``); ``last``: µs before, where
    ``started``."""
    position, t = np.empty(len(words), np.int64), np.empty(len(words), np.int64)
    high, k = last >> 6, 0
    for i in range(len(words)):
        word = np.int64(words[i])
        if word >> 28 == _HIGH:
            high = _unwrapped(word & 0xFFFFFFF, high, 1 << 28) if started else word & 0xFFFFFFF
            started = True
            position[k], t[k] = i, high << 6
            k += 1
    return position[:k], t[:k]


@numba.njit(cache=True, nogil=True)
def times3(words: Any, started: bool, last: Any) -> Any:
    """``position`` and ``t`` of TIME_HIGH and TIME_LOW words of EVT3 (uint16 ``[N]``) from the first TIME_HIGH of the
    stream on; ``last``: µs before, where ``started``."""
    position, t = np.empty(len(words), np.int64), np.empty(len(words), np.int64)
    high, low, k = last >> 12, last & 0xFFF, 0
    for i in range(len(words)):
        word = np.int64(words[i])
        kind, value = word >> 12, word & 0xFFF
        if kind == _HIGH:
            before = high
            high = _unwrapped(value, high, 4096) if started else value
            if not started or high > before:
                low = 0
            elif high < before:
                low = 4095
            started = True  # sensors repeat TIME_HIGH: the low part goes on
        elif kind == _LOW and started:
            low = value
        else:
            continue
        position[k], t[k] = i, high << 12 | low
        k += 1
    return position[:k], t[:k]


@numba.njit(cache=True, nogil=True)
def clean2(
    words: Any, position: Any, wrong: Any, remove: Any, started: bool, late: bool, width: int, height: int
) -> Any:
    """EVT2 words without the bad ones, and the counts."""
    out, counts, n, k = np.empty(len(words), np.uint32), np.zeros(5, np.int64), 0, 0
    for i in range(len(words)):
        removed = False
        if k < len(position) and position[k] == i:
            started, late, removed, k = True, wrong[k], remove[k], k + 1
        word = np.int64(words[i])
        kind = word >> 28
        if not _KNOWN2[kind]:
            counts[_FIRST] = counts[_FIRST] if counts[_UNKNOWN] else i
            counts[_UNKNOWN] += 1
            continue
        if kind <= 1:
            if not started:
                counts[_UNDATED] += 1
            elif word >> 11 & 0x7FF >= width or word & 0x7FF >= height:
                counts[_OUTSIDE] += 1
            elif late:
                counts[_BACKWARDS] += 1
            else:
                out[n] = word
                n += 1
        elif not removed:
            out[n] = word
            n += 1
    return out[:n], counts


@numba.njit(cache=True, nogil=True, inline="always")
def _append3(out, n, high, word):  # type: ignore[no-untyped-def]
    """``word`` behind the ``n`` words of ``out``: how many there are now, and the TIME_HIGH then.

    Every wrap of TIME_HIGH that is not 4095 → 0, and every leap to the top, is spelt out: decoders expect both.
    """
    if word >> 12 == _HIGH:
        step = (word & 0xFFF) - high
        if -4095 < step <= -3072:
            out[n], out[n + 1], out[n + 2] = 0x8800, 0x8FFF, 0x8000
            n += 3
        elif step >= 4094:
            out[n] = 0x8800
            n += 1
        high = word & 0xFFF
    out[n] = word
    return n + 1, high


@numba.njit(cache=True, nogil=True, inline="always")
def _ones(bits):  # type: ignore[no-untyped-def]
    """Number of ones in 12 bits."""
    bits -= bits >> 1 & 0x555
    bits = (bits & 0x333) + (bits >> 2 & 0x333)
    return (bits & 0xF) + (bits >> 4 & 0xF) + (bits >> 8 & 0xF)


@numba.njit(cache=True, nogil=True)
def clean3(
    words: Any, prefix: Any, state: Any, position: Any, wrong: Any, remove: Any, started: bool, late: bool,
    width: int, height: int,
) -> Any:  # fmt: skip
    """EVT3 words, ``prefix`` first, without the bad ones, and the counts.

    ``state`` int64 ``[3]``: row, polarity and next column of a vector, −1 where there are none yet; those of the
    block before, and in the end of this one.
    """
    out, counts = np.empty(MOST3 * (len(words) + len(prefix)), np.uint16), np.zeros(5, np.int64)
    n, k, high = 0, 0, 0
    for word in prefix:
        n, high = _append3(out, n, high, np.int64(word))
    row, polarity, column = state
    based_off = column >= width
    # Decoders that keep one column for single events and vectors, or begin with this block, need it again.
    again = True
    for i in range(len(words)):
        removed = False
        if k < len(position) and position[k] == i:
            started, late, removed, k = True, wrong[k], remove[k], k + 1
        word = np.int64(words[i])
        kind, value, pixel = word >> 12, word & 0xFFF, word & 0x7FF
        if not _KNOWN3[kind]:
            counts[_FIRST] = counts[_FIRST] if counts[_UNKNOWN] else i
            counts[_UNKNOWN] += 1
        elif kind == _SINGLE:
            again = True
            if not started or row < 0:
                counts[_UNDATED] += 1
            elif row >= height or pixel >= width:
                counts[_OUTSIDE] += 1
            elif late:
                counts[_BACKWARDS] += 1
            else:
                out[n] = word
                n += 1
        elif kind in (_VECTOR12, _VECTOR8):
            length = 12 if kind == _VECTOR12 else 8
            mask = value & (1 << length) - 1
            inside = 0
            if not started or row < 0 or polarity < 0:
                counts[_UNDATED] += _ones(mask)
            else:
                if row < height and not based_off:
                    inside = mask & (1 << min(max(width - column, 0), 12)) - 1
                counts[_OUTSIDE] += _ones(mask ^ inside)
                if late:
                    counts[_BACKWARDS] += _ones(inside)
                    inside = 0
                if inside and again:
                    out[n] = _BASE << 12 | polarity | column
                    n, again = n + 1, False
            out[n] = kind << 12 | inside  # without events it still moves the column on
            n, column = n + 1, column + length
        elif kind == _BASE:
            polarity, column, again = value & 0x800, pixel, False
            based_off = pixel >= width
            if not based_off:
                out[n] = word
                n += 1
        elif kind == _ROW:
            row = pixel
            if row < height:
                out[n] = word
                n += 1
        elif not removed and (started or kind != _LOW):
            n, high = _append3(out, n, high, word)
    state[0], state[1], state[2] = row, polarity, column
    return out[:n], counts

"""The words of EVT2 and EVT3 streams, checked before a decoder sees them.

Decoders keep time monotonic by holding it, so one flipped bit in a time word silently freezes the clock; some take
every step back for a wrap, others miss a wrap that is not spelt out. Here the words are checked as the formats
define them (https://docs.prophesee.ai, "EVT 2.0 format" and "EVT 3.0 format"), bad ones are left out, and what
decoders read differently is spelt out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from snnface.io.damage import Damage
from snnface.io.order import JITTER_US, in_order, unwrapped

_KNOWN2 = np.isin(np.arange(16), [0x0, 0x1, 0x8, 0xA, 0xE, 0xF])
_KNOWN3 = np.isin(np.arange(16), [0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0x8, 0xA, 0xE, 0xF])
#: TIME_HIGH words that carry a decoder over a wrap of the 12-bit counter, whatever its value before.
_OVER_WRAP = np.array([0x8800, 0x8FFF, 0x8000], np.uint16)
_BACKWARDS = "time runs backwards at {} events"


class _Clock(NamedTuple):
    """What is known about time at each word, all bool ``[N]``: nothing yet; a wrong time; this word must go."""

    unset: np.ndarray
    wrong: np.ndarray
    remove: np.ndarray


def clean2(words: np.ndarray, size: tuple[int, int], damage: Damage) -> np.ndarray:
    """EVT2 words, uint32 ``[N]``, without the bad ones; the same array where all are good."""
    kind = words >> 28
    unknown = _unknown(_KNOWN2[kind], damage)
    event = kind <= 1
    high = np.flatnonzero(kind == 8)
    clock = _clock(high, unwrapped(words[high] & 0xFFFFFFF, 28) << 6, len(words))
    outside = event & (((words >> 11 & 0x7FF) >= size[0]) | ((words & 0x7FF) >= size[1]))

    _report(event, clock.unset, outside, clock.wrong, size, damage)
    bad = unknown | clock.remove | (event & (clock.unset | outside | clock.wrong))
    return words[~bad] if bad.any() else words


def clean3(words: np.ndarray, size: tuple[int, int], damage: Damage) -> np.ndarray:
    """EVT3 words, uint16 ``[N]``, without the bad ones; the same array where all are good."""
    kind, value = words >> 12, words & 0xFFF
    unknown = _unknown(_KNOWN3[kind], damage)
    clock = _clock(*_times3(kind, value), len(words))
    single, base_word, vector = kind == 2, kind == 3, (kind == 4) | (kind == 5)
    pixel = value & 0x7FF
    bad_row, bad_base = (kind == 0) & (pixel >= size[1]), base_word & (pixel >= size[0])
    row, base = _latest(kind == 0), _latest(base_word)

    length = np.where(kind == 4, 12, np.where(kind == 5, 8, 0))
    mask = value & ((1 << length) - 1).astype(np.uint16)
    after = np.cumsum(length)
    column = pixel[base] + after - length - after[base]  # of a vector's first pixel
    room = np.clip(size[0] - column, 0, 12).astype(np.uint16)
    events = np.where(single, 1, np.bitwise_count(mask))

    unplaced = clock.unset | (row < 0) | (vector & (base < 0))
    off = bad_row[row] | (single & (pixel >= size[0])) | (vector & bad_base[base])
    outside = np.where(off, events, np.bitwise_count(mask >> room))
    _report(events, unplaced, outside, clock.wrong, size, damage)

    silent = (unplaced | off | clock.wrong) & (events > 0)
    early = (kind == 6) & clock.unset
    bad = unknown | early | clock.remove | bad_row | bad_base | (silent & single)
    if silent.any():  # a vector without events still moves the column on
        words = np.where(silent & vector, words & 0xF000, words)
    moved = np.flatnonzero(vector & ~silent & (_latest(single) > base) & (column < size[0]))
    if moved.size:  # decoders that keep one column for single events and vectors need it again
        words = np.insert(words, moved, 0x3000 | (words[base[moved]] & 0x800) | column[moved].astype(np.uint16))
        bad = np.insert(bad, moved, False)
    return _over_wraps3(words[~bad] if bad.any() else words)


def _times3(kind: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of TIME_HIGH and TIME_LOW words from the first TIME_HIGH on, and the time in µs after each."""
    high = np.flatnonzero(kind == 8)
    if not high.size:
        return high, np.zeros(0, np.int64)
    counter = unwrapped(value[high], 12)
    step = np.diff(counter, prepend=-1)
    repeated = step == 0  # sensors repeat TIME_HIGH: the low part goes on
    position = np.flatnonzero((kind == 8) | (kind == 6))
    position = position[position >= high[0]]
    latest = np.searchsorted(high, position, side="right") - 1
    is_high = kind[position] == 8
    low = np.where(is_high, np.where(step < 0, 4095, 0)[latest], value[position]).astype(np.int64)
    goes_on = np.flatnonzero(is_high & repeated[latest])
    low[goes_on] = low[_latest(~(is_high & repeated[latest]))[goes_on]]
    return position, (counter[latest] << 12) | low


def _clock(position: np.ndarray, t: np.ndarray, length: int) -> _Clock:
    """The state of the clock at each of ``length`` words from its time words: positions, and times in µs."""
    good = in_order(t, JITTER_US)
    held = np.maximum.accumulate(np.where(good, t, -1))
    latest = np.searchsorted(position, np.arange(length), side="right") - 1
    remove = np.zeros(length, bool)
    # A word that steps back goes even where that is mere jitter: time is held there, in every decoder alike.
    remove[position[~good | (t < held)]] = True
    wrong = np.append(~good, False)[latest] if len(t) else np.zeros(length, bool)
    return _Clock(latest < 0, wrong & (latest >= 0), remove)


def _over_wraps3(words: np.ndarray) -> np.ndarray:
    """Spell out every wrap of TIME_HIGH that is not 4095 → 0, and every leap to the top: decoders expect both."""
    high = np.flatnonzero(words >> 12 == 8)
    step = np.diff((words[high] & 0xFFF).astype(np.int64), prepend=0)
    wraps, leaps = (step <= -3072) & (step > -4095), step >= 4094
    extra = np.where(wraps, 3, np.where(leaps, 1, 0))
    if not extra.any():
        return words
    before = np.repeat(np.arange(len(high)), extra)
    nth = np.arange(len(before)) - np.searchsorted(before, before)
    return np.insert(words, high[before], _OVER_WRAP[nth])


def _latest(mask: np.ndarray) -> np.ndarray:
    """int64 ``[N]``: position of the last true element at or before each position, −1 before the first."""
    return np.maximum.accumulate(np.where(mask, np.arange(len(mask)), -1))


def _unknown(known: np.ndarray, damage: Damage) -> np.ndarray:
    """bool ``[N]``: words of a type that the format does not have."""
    if not known.all():
        first = int(np.argmin(known))
        count = len(known) - np.count_nonzero(known)
        damage.found("unknown_words", count, f"{{}} words are of no known type, the first at word {first:,}")
    return ~known


def _report(
    events: np.ndarray,
    unplaced: np.ndarray,
    outside: np.ndarray,
    wrong: np.ndarray,
    size: tuple[int, int],
    damage: Damage,
) -> None:
    """Count the events of each word (``events``, ``outside``: numbers ``[N]``) under one reason each."""
    events, outside = events.astype(np.int64), outside.astype(np.int64)
    damage.drop("undated", events[unplaced].sum())
    damage.found(
        "outside_sensor", outside[~unplaced].sum(), f"{{}} events lie outside the {size[0]}x{size[1]} sensor"
    )
    damage.found("backwards", (events - outside)[wrong & ~unplaced].sum(), _BACKWARDS)

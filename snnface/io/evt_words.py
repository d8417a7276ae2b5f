"""The words of EVT2 and EVT3 streams, checked before a decoder sees them.

Decoders keep time monotonic by holding it, so one flipped bit in a time word silently freezes the clock, and a
time counter that wraps between two words is missed. Here the words are checked as the formats define them
(https://docs.prophesee.ai, "EVT 2.0 format" and "EVT 3.0 format"), bad ones are left out, and wraps are spelt out.
"""

from __future__ import annotations

import numpy as np

from snnface.io.damage import Damage
from snnface.io.order import JITTER_US, in_order, unwrapped

_KNOWN2 = np.isin(np.arange(16), [0x0, 0x1, 0x8, 0xA, 0xE, 0xF])
_KNOWN3 = np.isin(np.arange(16), [0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0x8, 0xA, 0xE, 0xF])
#: TIME_HIGH words that carry a decoder over a wrap of the 12-bit counter, whatever its value before.
_BRIDGE = np.array([0x8800, 0x8FFF, 0x8000], np.uint16)


def clean2(words: np.ndarray, size: tuple[int, int], damage: Damage) -> np.ndarray:
    """EVT2 words, uint32 ``[N]``, without the bad ones; the same array where all are good."""
    kind = words >> 28
    _unknown_words(~_KNOWN2[kind], damage)
    event = kind <= 1
    outside = event & (((words >> 11 & 0x7FF) >= size[0]) | ((words & 0x7FF) >= size[1]))
    high = np.flatnonzero(kind == 8)
    t = unwrapped(words[high] & 0xFFFFFFF, 28) << 6
    good = in_order(t, JITTER_US)
    state = _latest(kind == 8)
    undated = event & (state < 0)
    wrong = _wrong_time(high, good, len(words))
    backwards = event & (state >= 0) & wrong[state] & ~outside
    damage.drop("undated", np.count_nonzero(undated))
    damage.found("outside_sensor", np.count_nonzero(outside & ~undated), _outside(size))
    damage.found("backwards", np.count_nonzero(backwards), "time runs backwards")
    # A time word that steps back is left out even where it is mere jitter: decoders take it for a wrap.
    back = np.zeros(len(words), bool)
    back[high[t < np.maximum.accumulate(np.where(good, t, -1))]] = True
    bad = ~_KNOWN2[kind] | outside | undated | backwards | wrong | back
    return words[~bad] if bad.any() else words


def clean3(words: np.ndarray, size: tuple[int, int], damage: Damage) -> np.ndarray:
    """EVT3 words, uint16 ``[N]``, without the bad ones; the same array where all are good."""
    kind, value = words >> 12, words & 0xFFF
    _unknown_words(~_KNOWN3[kind], damage)
    single, vector = kind == 2, (kind == 4) | (kind == 5)
    mask = np.where(kind == 5, value & 0xFF, np.where(vector, value, 0)).astype(np.uint16)
    events = np.where(single, 1, np.bitwise_count(mask))

    pixel = value & 0x7FF
    bad_row, bad_column = (kind == 0) & (pixel >= size[1]), (kind == 3) & (pixel >= size[0])
    row, base = _latest(kind == 0), _latest(kind == 3)
    time_words, good, first_high = _timeline3(kind, value)
    wrong = _wrong_time(time_words, good, len(words))
    clock = _latest(_at(time_words, len(words)))

    undated = (np.arange(len(words)) < first_high) | (row < 0) | (vector & (base < 0))
    advance = np.cumsum(np.where(kind == 4, 12, np.where(kind == 5, 8, 0)))
    start = pixel[base] + (advance - np.where(kind == 4, 12, 8) - advance[base])
    room = np.clip(size[0] - start, 0, 12)
    beyond = np.where(vector, np.bitwise_count(mask >> room.astype(np.uint16)), 0)

    off = bad_row[row] | (single & (pixel >= size[0])) | (vector & bad_column[base])
    backwards = wrong[clock] & (clock >= 0) & ~off
    damage.drop("undated", events[undated].sum())
    damage.found("outside_sensor", np.where(off, events, beyond)[~undated].sum(), _outside(size))
    damage.found("backwards", events[backwards & ~undated].sum(), "time runs backwards")

    silent = (undated | off | backwards) & (events > 0)
    bad = ~_KNOWN3[kind] | bad_row | bad_column | wrong | (silent & single)
    if silent.any():  # a vector without events still moves the column on
        words = np.where(silent & vector, words & 0xF000, words)
    return _bridged3(words[~bad] if bad.any() else words)


def _timeline3(kind: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Positions of the words that set the time, which of them are in order, and where the first TIME_HIGH is."""
    high = np.flatnonzero(kind == 8)
    if not high.size:
        return high, np.ones(0, bool), len(kind)
    h = unwrapped(value[high], 12)
    changed = np.concatenate([[True], np.diff(h) != 0])  # sensors repeat TIME_HIGH
    low = np.flatnonzero(kind == 6)
    low = low[low > high[0]]
    position = np.concatenate([high[changed], low])
    t = np.concatenate([h[changed] << 12, (h[np.searchsorted(high, low) - 1] << 12) | value[low]])
    order = np.argsort(position)
    return position[order], in_order(t[order], JITTER_US), int(high[0])


def _bridged3(words: np.ndarray) -> np.ndarray:
    """Spell out every wrap of TIME_HIGH that is not 4095 → 0, and a start near the top: decoders expect both."""
    high = np.flatnonzero(words >> 12 == 8)
    value = (words[high] & 0xFFF).astype(np.int64)
    step = np.diff(value, prepend=0)
    wraps = (step < -2048) & (step != -4095)
    leap = step >= 4094
    at = high[wraps | leap]
    if not at.size:
        return words
    return np.insert(words, np.repeat(at, np.where(wraps[wraps | leap], 3, 1)), _bridge(wraps[wraps | leap]))


def _bridge(wraps: np.ndarray) -> np.ndarray:
    return np.concatenate([_BRIDGE if wrap else _BRIDGE[:1] for wrap in wraps])


def _latest(mask: np.ndarray) -> np.ndarray:
    """int64 ``[N]``: position of the last true element at or before each position, −1 before the first."""
    return np.maximum.accumulate(np.where(mask, np.arange(len(mask)), -1))


def _at(positions: np.ndarray, length: int) -> np.ndarray:
    mask = np.zeros(length, bool)
    mask[positions] = True
    return mask


def _wrong_time(positions: np.ndarray, good: np.ndarray, length: int) -> np.ndarray:
    """bool ``[N]``: the time words that are out of order."""
    return _at(positions[~good], length)


def _unknown_words(unknown: np.ndarray, damage: Damage) -> None:
    count = int(np.count_nonzero(unknown))
    if count:
        at = int(np.argmax(unknown))
        damage.found("unknown_words", count, f"garbled: {count:,} words of no known type, the first at word {at:,}")


def _outside(size: tuple[int, int]) -> str:
    return f"events lie outside the {size[0]}x{size[1]} sensor"

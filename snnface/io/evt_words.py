"""The words of EVT2 and EVT3 streams, checked before a decoder sees them.

Decoders keep time monotonic by holding it, so one flipped bit in a time word silently freezes the clock; some take
every step back for a wrap, others miss a wrap that is not spelt out. Here the words are checked as the formats
define them (https://docs.prophesee.ai, "EVT 2.0 format" and "EVT 3.0 format"), bad ones are left out, and what
decoders read differently is spelt out. Long streams are checked block by block.
"""

from __future__ import annotations

import numpy as np

from snnface.io.damage import Damage
from snnface.io.evt_clock import Clock, Tally
from snnface.io.order import unwrapped

_KNOWN2 = np.isin(np.arange(16), [0x0, 0x1, 0x8, 0xA, 0xE, 0xF])
_KNOWN3 = np.isin(np.arange(16), [0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0x8, 0xA, 0xE, 0xF])
#: TIME_HIGH words that carry a decoder over a wrap of the 12-bit counter, whatever its value before.
_OVER_WRAP = np.array([0x8800, 0x8FFF, 0x8000], np.uint16)
_BLOCK = 1 << 20


def clean2(words: np.ndarray, size: tuple[int, int], damage: Damage) -> np.ndarray:
    """EVT2 words, uint32 ``[N]``, without the bad ones."""
    high = np.flatnonzero(words >> 28 == 8)
    clock, tally, parts = Clock(high, unwrapped(words[high] & 0xFFFFFFF, 28) << 6), Tally(), []
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK]
        kind = block >> 28
        known, event = _KNOWN2[kind], kind <= 1
        unset, wrong, remove = clock.during(start, start + len(block))
        outside = event & (((block >> 11 & 0x7FF) >= size[0]) | ((block & 0x7FF) >= size[1]))
        tally.words(known, start)
        tally.events(event, unset, outside, wrong)
        parts.append(block[known & ~remove & ~(event & (unset | outside | wrong))])
    tally.report(size, damage)
    return np.concatenate(parts)


def clean3(words: np.ndarray, size: tuple[int, int], damage: Damage) -> np.ndarray:
    """EVT3 words, uint16 ``[N]``, without the bad ones, and with wraps of the clock spelt out."""
    clock, tally, parts = Clock(*_times3(words)), Tally(), []
    state = np.zeros(0, np.uint16)
    for start in range(0, len(words), _BLOCK):
        block = np.concatenate([state, words[start : start + _BLOCK]])
        during = clock.during(start - len(state), start + len(block) - len(state))
        tally.words(_KNOWN3[block >> 12], start - len(state))
        good, state = _clean_block3(block, len(state), during, size, tally)
        parts.append(good)
    tally.report(size, damage)
    return _over_wraps3(np.concatenate(parts))


def _clean_block3(
    words: np.ndarray,
    known: int,
    clock: tuple[np.ndarray, np.ndarray, np.ndarray],
    size: tuple[int, int],
    tally: Tally,
) -> tuple[np.ndarray, np.ndarray]:
    """A block without its bad words, and the words that set row and column as they are at its end.

    The block begins with ``known`` such words of the block before.
    """
    unset, wrong, remove = clock
    kind, value = words >> 12, words & 0xFFF
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

    unplaced = unset | (row < 0) | (vector & (base < 0))
    off = bad_row[row] | (single & (pixel >= size[0])) | (vector & bad_base[base])
    tally.events(events, unplaced, np.where(off, events, np.bitwise_count(mask >> room)), wrong)

    silent = (unplaced | off | wrong) & (events > 0)
    early = (kind == 6) & unset
    bad = ~_KNOWN3[kind] | early | remove | bad_row | bad_base | (silent & single)
    bad[:known] = True
    state = [words[row[-1]]] if row[-1] >= 0 else []
    if base[-1] >= 0:
        end = min(pixel[base[-1]] + after[-1] - after[base[-1]], 0x7FF)
        state.append(0x3000 | (words[base[-1]] & 0x800) | end)
    # A vector without events still moves the column on.
    inside = np.where(silent, 0, mask & ((1 << room) - 1).astype(np.uint16))
    words = np.where(vector, words & 0xF000 | inside, words)
    # Decoders that keep one column for single events and vectors, or lose it between blocks, need it again.
    again = vector & ~silent & ((_latest(single) > base) | (base < known)) & (column < size[0])
    moved = np.flatnonzero(again)
    words = np.insert(words, moved, 0x3000 | (words[base[moved]] & 0x800) | column[moved].astype(np.uint16))
    bad = np.insert(bad, moved, False)
    return words[~bad], np.array(state, np.uint16)


def _times3(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of TIME_HIGH and TIME_LOW words from the first TIME_HIGH on, and the time in µs after each."""
    position = np.flatnonzero((words >> 12 == 8) | (words >> 12 == 6))
    value, is_high = words[position] & 0xFFF, words[position] >> 12 == 8
    high = np.flatnonzero(is_high)
    if not high.size:
        return high, np.zeros(0, np.int64)
    position, value, is_high = position[high[0] :], value[high[0] :], is_high[high[0] :]
    counter = unwrapped(value[is_high], 12)
    step = np.diff(counter, prepend=-1)
    latest = np.cumsum(is_high) - 1
    low = np.where(is_high, np.where(step < 0, 4095, 0)[latest], value).astype(np.int64)
    repeated = is_high & (step == 0)[latest]  # sensors repeat TIME_HIGH: the low part goes on
    low = low[_latest(~repeated)]
    return position, (counter[latest] << 12) | low


def _over_wraps3(words: np.ndarray) -> np.ndarray:
    """Spell out every wrap of TIME_HIGH that is not 4095 → 0, and every leap to the top: decoders expect both."""
    high = np.flatnonzero(words >> 12 == 8)
    step = np.diff((words[high] & 0xFFF).astype(np.int64), prepend=0)
    wraps, leaps = (step <= -3072) & (step > -4095), step >= 4094
    extra = np.where(wraps, 3, np.where(leaps, 1, 0))
    before = np.repeat(np.arange(len(high)), extra)
    nth = np.arange(len(before)) - np.searchsorted(before, before)
    return np.insert(words, high[before], _OVER_WRAP[nth])


def _latest(mask: np.ndarray) -> np.ndarray:
    """int64 ``[N]``: position of the last true element at or before each position, −1 before the first."""
    return np.maximum.accumulate(np.where(mask, np.arange(len(mask)), -1))

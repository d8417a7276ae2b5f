"""The words of EVT2 and EVT3 streams, checked before a decoder sees them.

Decoders keep time monotonic by holding it, so one flipped bit in a time word silently freezes the clock; some take
every step back for a wrap, others miss a wrap that is not spelt out. Here the words are checked as the formats
define them (https://docs.prophesee.ai, "EVT 2.0 format" and "EVT 3.0 format"), bad ones are left out, and what
decoders read differently is spelt out. Streams are checked block by block, in constant memory; each block comes out
as a small stream of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from snnface.io.damage import Damage
from snnface.io.decoding import with_next
from snnface.io.evt_clock import Clock, Tally, Timing
from snnface.io.order import unwrapped

_KNOWN2 = np.isin(np.arange(16), [0x0, 0x1, 0x8, 0xA, 0xE, 0xF])
_KNOWN3 = np.isin(np.arange(16), [0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0x8, 0xA, 0xE, 0xF])
#: TIME_HIGH words that carry a decoder over a wrap of the 12-bit counter, whatever its value before.
_OVER_WRAP = np.array([0x8800, 0x8FFF, 0x8000], np.uint16)
#: µs after which the counter of a version begins anew.
_WRAP_US = {"evt2": 1 << 34, "evt3": 1 << 24}


def cleaned(
    version: str, blocks: Iterable[np.ndarray], size: tuple[int, int], damage: Damage
) -> Iterator[tuple[np.ndarray, int]]:
    """Blocks of words as streams that can be decoded one by one, and the µs to add to the times of each.

    ``version``: "evt2" (words uint32) or "evt3" (uint16). A block's clock is judged with the next block in sight.
    """
    clock, wrap = Clock(), _WRAP_US[version]
    state, start = np.zeros(0, np.uint16), 0
    for (words, position, t), following in with_next(_timed(version, blocks)):
        held = clock.held_us
        timing = clock.during(len(words), position, t, None if following is None else following[2])
        tally = Tally()
        if version == "evt2":
            good = _clean2(words, start, timing, size, tally)
            prefix: list[int] = [] if held is None else [0x80000000 | held >> 6 & 0xFFFFFFF]
        else:
            row = [int(word) for word in state if word >> 12 == 0 and word & 0x7FF < size[1]]
            prefix = row if held is None else [0x8000 | held >> 12 & 0xFFF, 0x6000 | held & 0xFFF, *row]
            good, state = _clean3(words, start, state, timing, size, tally)
        tally.report(size, damage)
        start += len(words)
        good = np.concatenate([np.array(prefix, words.dtype), good])
        if clock.first_us is not None:
            wraps = (clock.first_us if held is None else held) // wrap - clock.first_us // wrap
            yield (good if version == "evt2" else _over_wraps3(good)), wraps * wrap


def _timed(version: str, blocks: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Each block with positions and times (µs) of its time words."""
    times = _times2 if version == "evt2" else _times3
    last: int | None = None
    for words in blocks:
        position, t = times(words, last)
        last = int(t[-1]) if len(t) else last
        yield words, position, t


def _clean2(words: np.ndarray, start: int, timing: Timing, size: tuple[int, int], tally: Tally) -> np.ndarray:
    """A block of EVT2 words, the first being word ``start`` of the stream, without the bad ones."""
    kind = words >> 28
    known, event = _KNOWN2[kind], kind <= 1
    outside = event & (((words >> 11 & 0x7FF) >= size[0]) | ((words & 0x7FF) >= size[1]))
    tally.words(known, start)
    tally.events(event, timing.unset, outside, timing.wrong)
    return words[known & ~timing.remove & ~(event & (timing.unset | outside | timing.wrong))]


def _clean3(
    words: np.ndarray, start: int, state: np.ndarray, timing: Timing, size: tuple[int, int], tally: Tally
) -> tuple[np.ndarray, np.ndarray]:
    """A block of EVT3 words without the bad ones, and the words that set row and column as they are at its end.

    ``state``: such words of the block before.
    """
    known = len(state)
    words = np.concatenate([state, words])
    unset, wrong, remove = (np.concatenate([np.zeros(known, bool), flag]) for flag in timing)
    kind, value = words >> 12, words & 0xFFF
    tally.words(_KNOWN3[kind], start - known)
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
    state_words = [words[row[-1]]] if row[-1] >= 0 else []
    if base[-1] >= 0:
        end = min(pixel[base[-1]] + after[-1] - after[base[-1]], 0x7FF)
        state_words.append(0x3000 | (words[base[-1]] & 0x800) | end)
    # A vector without events still moves the column on.
    inside = np.where(silent, 0, mask & ((1 << room) - 1).astype(np.uint16))
    words = np.where(vector, words & 0xF000 | inside, words)
    # Decoders that keep one column for single events and vectors, or begin with this block, need it again.
    again = vector & ~silent & ((_latest(single) > base) | (base < known)) & (column < size[0])
    moved = np.flatnonzero(again)
    words = np.insert(words, moved, 0x3000 | (words[base[moved]] & 0x800) | column[moved].astype(np.uint16))
    bad = np.insert(bad, moved, False)
    return words[~bad], np.array(state_words, np.uint16)


def _times2(words: np.ndarray, last: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the TIME_HIGH words of EVT2 and the time in µs after each; ``last``: the time before the block."""
    position = np.flatnonzero(words >> 28 == 8)
    high = words[position] & 0xFFFFFFF
    if last is None:
        return position, unwrapped(high, 28) << 6
    high = np.concatenate([[last >> 6 & 0xFFFFFFF], high])
    return position, (unwrapped(high, 28)[1:] << 6) + (last >> 34 << 34)


def _times3(words: np.ndarray, last: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Positions of TIME_HIGH and TIME_LOW words from the first TIME_HIGH of the stream on, and the time in µs after
    each; ``last``: the time before the block."""
    before = [] if last is None else [0x8000 | last >> 12 & 0xFFF, 0x6000 | last & 0xFFF]
    words = np.concatenate([np.array(before, np.uint16), words])
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
    t = ((counter[latest] << 12) | low) + ((last or 0) >> 24 << 24)
    return position[len(before) :] - len(before), t[len(before) :]


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

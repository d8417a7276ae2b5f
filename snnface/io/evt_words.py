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
from snnface.io.evt_clock import Clock, Tally
from snnface.io.evt_kernels import clean2, clean3, times2, times3

#: µs after which the counter of a version begins anew.
_WRAP_US = {"evt2": 1 << 34, "evt3": 1 << 24}


def cleaned(
    version: str, blocks: Iterable[np.ndarray], size: tuple[int, int], damage: Damage
) -> Iterator[tuple[np.ndarray, int]]:
    """Blocks of words as streams that can be decoded one by one, and the µs to add to the times of each.

    ``version``: "evt2" (words uint32) or "evt3" (uint16). A block's clock is judged with the next block in sight.
    """
    clock, wrap = Clock(), _WRAP_US[version]
    state, start = np.full(3, -1), 0
    for (words, position, t), following in with_next(_timed(version, blocks)):
        held = clock.held_us
        timing = clock.during(t, None if following is None else following[2])
        if version == "evt2":
            good, counts = clean2(words, position, *timing, *size)
            good = np.concatenate([np.array(_beginning2(held), np.uint32), good])
        else:
            beginning = np.array(_beginning3(held, int(state[0]), size[1]), np.uint16)
            good, counts = clean3(words, beginning, state, position, *timing, *size)
        Tally(*counts.tolist()).report(start, size, damage)
        start += len(words)
        if clock.first_us is not None:
            wraps = (clock.first_us if held is None else held) // wrap - clock.first_us // wrap
            yield good, wraps * wrap


def _beginning2(held_us: int | None) -> list[int]:
    """Words that tell a decoder the time."""
    return [] if held_us is None else [0x80000000 | held_us >> 6 & 0xFFFFFFF]


def _beginning3(held_us: int | None, row: int, height: int) -> list[int]:
    """Words that tell a decoder the time and the row."""
    time = [] if held_us is None else [0x8000 | held_us >> 12 & 0xFFF, 0x6000 | held_us & 0xFFF]
    return [*time, row] if 0 <= row < height else time


def _timed(version: str, blocks: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Each block with positions and times (µs) of its time words."""
    times = times2 if version == "evt2" else times3
    started, last = False, 0
    for words in blocks:
        position, t = times(words, started, last)
        if len(t):
            started, last = True, int(t[-1])
        yield words, position, t

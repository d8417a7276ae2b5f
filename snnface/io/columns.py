"""Decoded blocks to valid structured arrays: the checks that all formats share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from snnface.events import pack
from snnface.io.damage import Damage
from snnface.io.decoding import Block, with_next
from snnface.io.order import Order

#: A pause longer than this inside one recording is a garbled time stamp.
LONGEST_PAUSE_US = 3_600_000_000


def assembled(
    blocks: Iterable[Block], size: tuple[int, int], damage: Damage, stretch: int | None = 0
) -> Iterator[tuple[np.ndarray, float]]:
    """Blocks of integer columns as structured arrays of ``EVENT_DTYPE``, sorted by time, with how much was read, 0-1.

    Raises :class:`~snnface.errors.InputError` (or, under repair, drops and counts) events with a polarity other
    than 0 and 1, a pixel outside ``size`` (width, height), a negative time, a time that runs backwards, or a
    pause of more than an hour; raises in any case where no event is left. Of the stretches between such pauses the
    one of number ``stretch`` is kept, or all where it is None.
    """
    order, stretches = Order(), Stretches()
    number = kept = 0
    for block, following in with_next(_plausible(blocks, size, damage)):
        checked = _Checked(block, number, damage)
        checked.keep(
            "backwards", order.keep(block.t, None if following is None else following.t), "time runs backwards"
        )
        numbers = stretches.of(checked.columns[0])
        if stretch is not None and len(numbers) and (numbers[0] != stretch or numbers[-1] != stretch):
            checked.keep("time_jump", numbers == stretch, "time jumps by more than an hour")
        number += len(block.t)
        if len(checked.columns[0]):
            kept += len(checked.columns[0])
            yield pack(*checked.columns), block.done
    if not kept:
        raise damage.lost("holds no valid events")


def _plausible(blocks: Iterable[Block], size: tuple[int, int], damage: Damage) -> Iterator[Block]:
    """Blocks of events that are possible each by itself, times as int64."""
    width, height = size
    number = 0
    for block in blocks:
        checked = _Checked(block, number, damage)
        number += len(block.t)
        # Least and most first: they need no arrays, and nearly always say that all is well.
        p = checked.columns[3]
        if not _within(p, 2):
            checked.keep("bad_polarity", (p == 0) | (p == 1), "polarity is neither 0 nor 1")
        x, y = checked.columns[1:3]
        if not (_within(x, width) and _within(y, height)):
            inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
            checked.keep("outside_sensor", inside, f"pixel outside the {width}x{height} sensor")
        checked.columns[0] = checked.columns[0].astype(np.int64, copy=False)
        if not _within(checked.columns[0], None):
            checked.keep("negative_time", checked.columns[0] >= 0, "time is negative")
        t, x, y, p = checked.columns
        yield Block(t, x, y, p, block.done)


def _within(values: np.ndarray, stop: int | None) -> bool:
    """Whether integers are all ≥ 0 and below ``stop``."""
    return not len(values) or bool(values.min() >= 0 and (stop is None or values.max() < stop))


class _Checked:
    """Columns t, x, y, p of a block that begins with event ``number`` of the recording."""

    def __init__(self, block: Block, number: int, damage: Damage) -> None:
        self.columns = list(block[:4])
        self._number, self._damage = number, damage

    def keep(self, reason: str, good: np.ndarray, what: str) -> None:
        """Leave only ``good`` events, bool ``[E]``; raises or counts where others are lost."""
        bad = len(good) - int(np.count_nonzero(good))
        if not bad:
            return
        i = int(np.argmin(good))
        event = ", ".join(f"{n} {int(c[i])}" for n, c in zip("txyp", self.columns, strict=True))
        self._damage.found(reason, bad, f"{what} at event {self._number + i} ({event}), {{}} so far")
        self.columns = [c[good] for c in self.columns]


class Stretches:
    """Numbers the stretches between pauses of more than an hour; ``events`` counts those of each."""

    def __init__(self) -> None:
        self.events = [0]
        self._latest: int | None = None

    def of(self, t: np.ndarray) -> np.ndarray:
        """int64 ``[N]``: the stretch of each of the next times, which are sorted."""
        if not len(t):
            return np.zeros(0, np.int64)
        before = int(t[0]) if self._latest is None else self._latest
        if t[-1] - before <= LONGEST_PAUSE_US:
            self.events[-1] += len(t)
            self._latest = int(t[-1])
            return np.broadcast_to(len(self.events) - 1, len(t))
        numbers = len(self.events) - 1 + np.cumsum(np.diff(t, prepend=before) > LONGEST_PAUSE_US)
        counts = np.bincount(numbers, minlength=len(self.events))
        counts[: len(self.events)] += self.events
        self.events, self._latest = counts.tolist(), int(t[-1])
        return numbers

    @property
    def longest(self) -> int:
        """The stretch with the most events so far."""
        return int(np.argmax(self.events))

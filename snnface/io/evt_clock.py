"""Time in EVT streams, and the count of what is wrong in one block of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from snnface.io.damage import Damage
from snnface.io.order import JITTER_US, Order


class Timing(NamedTuple):
    """For each word of a block, bool ``[N]``: the time is not known yet; it is wrong; the word sets the time and must
    go."""

    unset: np.ndarray
    wrong: np.ndarray
    remove: np.ndarray


class Clock:
    """The clock of a stream whose words come block by block.

    ``first_us``, ``held_us``: the first and the latest time that was kept, None before there is one.
    """

    def __init__(self) -> None:
        self._order = Order(JITTER_US)
        self._started = self._wrong = False
        self.first_us: int | None = None
        self.held_us: int | None = None

    def during(self, length: int, position: np.ndarray, t: np.ndarray, ahead: np.ndarray | None) -> Timing:
        """Timing of the next ``length`` words, whose K time words at ``position`` say ``t`` µs (int64 ``[K]``);
        ``ahead``: the times of the block after it."""
        wrong = ~self._order.keep(t, ahead)
        before = np.iinfo(np.int64).min if self.held_us is None else self.held_us
        held = np.maximum.accumulate(np.maximum(np.where(wrong, before, t), before))
        latest = np.searchsorted(position, np.arange(length), side="right") - 1
        remove = np.zeros(length, bool)
        # A word that steps back goes even where that is mere jitter: time is held there, in every decoder alike.
        remove[position] = wrong | (t < held)
        timing = Timing((latest < 0) & (not self._started), np.append(wrong, self._wrong)[latest], remove)
        if len(t):
            self._started, self._wrong = True, bool(wrong[-1])
        kept = t[~wrong]
        if len(kept):
            self.first_us = int(kept[0]) if self.first_us is None else self.first_us
            self.held_us = int(held[-1])
        return timing


@dataclass
class Tally:
    """Counts of a block: words of unknown type, and each bad event under one reason."""

    unknown: int = 0
    first_unknown: int = -1
    undated: int = 0
    outside: int = 0
    backwards: int = 0

    def words(self, known: np.ndarray, start: int) -> None:
        """Count words that are not ``known``, bool ``[N]``, the first being word ``start`` of the stream."""
        if not known.all():
            self.first_unknown = start + int(np.argmin(known))
            self.unknown = len(known) - int(np.count_nonzero(known))

    def events(self, events: np.ndarray, undated: np.ndarray, outside: np.ndarray, wrong: np.ndarray) -> None:
        """Count events: ``events``, ``outside`` are numbers a word, ``undated``, ``wrong`` bool, all ``[N]``."""
        dated = ~undated
        self.undated = int(events[undated].sum())
        self.outside = int(outside[dated].sum())
        late = wrong & dated
        self.backwards = int(events[late].sum()) - int(outside[late].sum())

    def report(self, size: tuple[int, int], damage: Damage) -> None:
        """Raise the first damage, or note all of it where repair is wanted."""
        first = f"{{}} words are of no known type, the first at word {self.first_unknown:,}"
        damage.found("unknown_words", self.unknown, first)
        damage.drop("undated", self.undated)
        damage.found("outside_sensor", self.outside, f"{{}} events lie outside the {size[0]}x{size[1]} sensor")
        damage.found("backwards", self.backwards, "time runs backwards at {} events")

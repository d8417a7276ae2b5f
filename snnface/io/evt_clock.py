"""Time in EVT streams, and the count of what is wrong in one block of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from snnface.io.damage import Damage
from snnface.io.order import JITTER_US, Order


class Timing(NamedTuple):
    """Of the K time words of a block, bool ``[K]``: the time is wrong; the word must go. And before the first of
    them: whether the time is known, and whether it is wrong."""

    wrong: np.ndarray
    remove: np.ndarray
    started: bool
    late: bool


class Clock:
    """The clock of a stream whose words come block by block.

    ``first_us``, ``held_us``: the first and the latest time that was kept, None before there is one.
    """

    def __init__(self) -> None:
        self._order = Order(JITTER_US)
        self._started = self._wrong = False
        self.first_us: int | None = None
        self.held_us: int | None = None

    def during(self, t: np.ndarray, ahead: np.ndarray | None) -> Timing:
        """Timing of the next block, whose time words say ``t`` µs (int64 ``[K]``); ``ahead``: the times of the block
        after it."""
        wrong = ~self._order.keep(t, ahead)
        before = np.iinfo(np.int64).min if self.held_us is None else self.held_us
        held = np.maximum.accumulate(np.maximum(np.where(wrong, before, t), before))
        # A word that steps back goes even where that is mere jitter: time is held there, in every decoder alike.
        timing = Timing(wrong, wrong | (t < held), self._started, self._wrong)
        if len(t):
            self._started, self._wrong = True, bool(wrong[-1])
        kept = t[~wrong]
        if len(kept):
            self.first_us = int(kept[0]) if self.first_us is None else self.first_us
            self.held_us = int(held[-1])
        return timing


class Tally(NamedTuple):
    """Counts of a block: words of unknown type and where the first stands, and each bad event under one reason."""

    unknown: int
    first_unknown: int
    undated: int
    outside: int
    backwards: int

    def report(self, start: int, size: tuple[int, int], damage: Damage) -> None:
        """Raise the first damage of a block that begins with word ``start`` of the stream, or note all of it where
        repair is wanted."""
        first = f"{{}} words are of no known type, the first at word {start + self.first_unknown:,}"
        damage.found("unknown_words", self.unknown, first)
        damage.drop("undated", self.undated)
        damage.found("outside_sensor", self.outside, f"{{}} events lie outside the {size[0]}x{size[1]} sensor")
        damage.found("backwards", self.backwards, "time runs backwards at {} events")

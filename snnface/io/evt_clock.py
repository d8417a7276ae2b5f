"""Time in EVT streams, and the count of what is wrong in one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnface.io.damage import Damage
from snnface.io.order import JITTER_US, in_order


class Clock:
    """The clock of a stream, from its K time words: positions int64 ``[K]`` and times int64 ``[K]`` in µs."""

    def __init__(self, position: np.ndarray, t: np.ndarray) -> None:
        self._position = position
        self._wrong = ~in_order(t, JITTER_US)
        held = np.maximum.accumulate(np.where(self._wrong, -1, t))
        # A word that steps back goes even where that is mere jitter: time is held there, in every decoder alike.
        self._remove = self._wrong | (t < held)

    def during(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For the words from ``start`` to ``stop``, three times bool ``[stop - start]``: time is not known yet; it
        is wrong; the word sets the time and must go."""
        latest = np.searchsorted(self._position, np.arange(start, stop), side="right") - 1
        unset = latest < 0
        wrong = np.append(self._wrong, False)[latest] & ~unset
        remove = np.zeros(stop - start, bool)
        first, last = np.searchsorted(self._position, [start, stop])
        remove[self._position[first:last] - start] = self._remove[first:last]
        return unset, wrong, remove


@dataclass
class Tally:
    """Counts of a whole stream: words of unknown type, and each bad event under one reason."""

    unknown: int = 0
    first_unknown: int = -1
    undated: int = 0
    outside: int = 0
    backwards: int = 0

    def words(self, known: np.ndarray, start: int) -> None:
        """Count words that are not ``known``, bool ``[N]``, the first being word ``start`` of the stream."""
        if not known.all():
            if not self.unknown:
                self.first_unknown = start + int(np.argmin(known))
            self.unknown += len(known) - int(np.count_nonzero(known))

    def events(self, events: np.ndarray, undated: np.ndarray, outside: np.ndarray, wrong: np.ndarray) -> None:
        """Count events: ``events``, ``outside`` are numbers a word, ``undated``, ``wrong`` bool, all ``[N]``."""
        dated = ~undated
        self.undated += int(events[undated].sum())
        self.outside += int(outside[dated].sum())
        late = wrong & dated
        self.backwards += int(events[late].sum()) - int(outside[late].sum())

    def report(self, size: tuple[int, int], damage: Damage) -> None:
        """Raise the first damage, or note all of it where repair is wanted."""
        first = f"{{}} words are of no known type, the first at word {self.first_unknown:,}"
        damage.found("unknown_words", self.unknown, first)
        damage.drop("undated", self.undated)
        damage.found("outside_sensor", self.outside, f"{{}} events lie outside the {size[0]}x{size[1]} sensor")
        damage.found("backwards", self.backwards, "time runs backwards at {} events")

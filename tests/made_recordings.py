"""Recordings of any length of a large sensor, known event by event without being kept."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np

from snnface import io
from snnface.events import EVENT_DTYPE

SIZE = (1280, 720)
#: Events made together, and how many such parts there are before pixels repeat.
PART, DIFFERENT = 1 << 20, 4


class Made:
    """Edges that cross the sensor, with a tenth of noise: ``parts`` x ``part`` events, ``events_per_ms`` on end."""

    def __init__(self, parts: int, events_per_ms: int = 5_000, part: int = PART, seed: int = 0) -> None:
        self.parts, self.events, self._part, self._rate = parts, parts * part, part, events_per_ms
        rng = np.random.default_rng(seed)
        self._pixels = []
        for number in range(min(parts, DIFFERENT)):
            events = np.empty(part, EVENT_DTYPE)
            step = self._times(number * part, part) // 500
            edge = (step + rng.integers(0, 3, part) + 320 * rng.integers(0, 4, part)) % SIZE[0]
            events["x"] = np.where(rng.random(part) < 0.1, rng.integers(0, SIZE[0], part), edge)
            events["y"] = rng.integers(0, SIZE[1], part)
            events["p"] = rng.random(part) < 0.5
            self._pixels.append(events)

    @property
    def last_us(self) -> int:
        """Time of the last event, µs; the first is at 0."""
        return (self.events - 1) * 1000 // self._rate

    def __iter__(self) -> Iterator[np.ndarray]:
        for number in range(self.parts):
            events = self._pixels[number % DIFFERENT].copy()
            events["t"] = self._times(number * self._part, self._part)
            yield events

    def window(self, start_us: int, stop_us: int) -> np.ndarray:
        """Events with ``start_us`` ≤ t < ``stop_us``, structured ``[E]``."""
        first, stop = (min(-(-t * self._rate // 1000), self.events) for t in (start_us, stop_us))
        numbers = np.arange(first, stop)
        part, row = numbers // self._part % DIFFERENT, numbers % self._part
        events = np.empty(len(numbers), EVENT_DTYPE)
        for i, pixels in enumerate(self._pixels):
            events[part == i] = pixels[row[part == i]]
        events["t"] = numbers * 1000 // self._rate
        return events

    def _times(self, first: int, count: int) -> np.ndarray:
        return np.arange(first, first + count) * 1000 // self._rate


def equal(first: Iterator[np.ndarray] | Made | io.Parts, second: Iterator[np.ndarray] | Made | io.Parts) -> bool:
    """Whether two streams of parts hold the same events, wherever their parts end."""
    nothing = np.empty(0, EVENT_DTYPE)
    pairs = zip_longest(_regrouped(first), _regrouped(second), fillvalue=nothing)
    return all(a.tobytes() == b.tobytes() for a, b in pairs)  # bytes: structured arrays compare slowly


def equal_files(first: Path, second: Path) -> bool:
    """The same of two recordings."""
    return equal(io.Parts(first, size=SIZE), io.Parts(second, size=SIZE))


def _regrouped(parts: Iterator[np.ndarray] | Made | io.Parts, rows: int = 1 << 16) -> Iterator[np.ndarray]:
    waiting = np.empty(0, EVENT_DTYPE)
    for part in parts:
        waiting = np.concatenate([waiting, part])
        whole = len(waiting) // rows * rows
        yield from np.split(waiting[:whole], range(rows, whole, rows)) if whole else ()
        waiting = waiting[whole:]
    yield waiting

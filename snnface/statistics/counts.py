"""What is counted in a recording or a data set. Counts of segments add up to those of the whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np

from snnface.events import EVENT_DTYPE, pack
from snnface.statistics import kernels

#: Lengths of the windows in which events of a pixel are counted, µs.
WINDOWS_US = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
#: Windows of the event rate, µs; wider ones are joined from these.
RATE_US = 1_000


class Segment(NamedTuple):
    """A stretch of time: t int64 ``[E]`` in µs from its start, in order; x, y uint16 and p bool ``[E]``."""

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray
    duration_us: int


def segment(events: np.ndarray, start_us: int, duration_us: int) -> Segment:
    """Structured events ``[E]`` of ``duration_us`` from ``start_us`` on; only the times are copied."""
    if events.dtype != EVENT_DTYPE:  # kernels are compiled for one layout
        events = pack(*(events[name] for name in "txyp"))
    return Segment(events["t"] - start_us, events["x"], events["y"], events["p"], duration_us)


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.int64)


@dataclass
class Counts:
    """Counts of the segments seen so far; arrays are int64, times in µs.

    Shapes as the kernels return them: ``pixels`` ``[2, H · W]``, ``intervals`` ``[4, bins]``, ``gaps``, ``gap_us``
    ``[octaves]``, ``alone`` ``[2, octaves]``, ``lags`` ``[2, bins]``, ``groups`` ``[sizes]``; ``windows`` ``[K, 4]``,
    and of the same lengths ``windows_seen`` ``[K]``. ``durations`` has one entry a segment, ``rates`` one array a
    segment: events in each whole ``RATE_US``. ``variance`` float64 ``[K]``: sum of the squared deviations of the
    counts of a pixel from their mean, times M / (M - 1) of a segment of M windows.
    """

    width: int
    height: int
    pixels: np.ndarray
    durations: list[int] = field(default_factory=list)
    rates: list[np.ndarray] = field(default_factory=list)
    intervals: np.ndarray = field(default_factory=lambda: _zeros(4, kernels.INTERVAL_BINS))
    gaps: np.ndarray = field(default_factory=lambda: _zeros(kernels.OCTAVES))
    gap_us: np.ndarray = field(default_factory=lambda: _zeros(kernels.OCTAVES))
    alone: np.ndarray = field(default_factory=lambda: _zeros(2, kernels.OCTAVES))
    lags: np.ndarray = field(default_factory=lambda: _zeros(2, kernels.INTERVAL_BINS))
    windows: np.ndarray = field(default_factory=lambda: _zeros(len(WINDOWS_US), 4))
    windows_seen: np.ndarray = field(default_factory=lambda: _zeros(len(WINDOWS_US)))
    variance: np.ndarray = field(default_factory=lambda: np.zeros(len(WINDOWS_US)))
    groups: np.ndarray = field(default_factory=lambda: _zeros(kernels.LARGEST_GROUP + 1))
    lines: np.ndarray = field(default_factory=lambda: _zeros(2))

    @property
    def events(self) -> int:
        """Number of events."""
        return int(self.pixels.sum())

    @property
    def duration_us(self) -> int:
        """Length of all segments together."""
        return sum(self.durations)

    def __add__(self, other: Counts) -> Counts:
        """Counts of both, of one sensor size."""
        assert (self.width, self.height) == (other.width, other.height)
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("width", "height")}
        return Counts(self.width, self.height, **{name: a + getattr(other, name) for name, a in own.items()})


def no_counts(width: int, height: int) -> Counts:
    """Counts of nothing."""
    return Counts(width, height, _zeros(2, width * height))


def count(part: Segment, width: int, height: int) -> Counts:
    """Counts of one segment of a sensor of ``width`` × ``height`` pixels, in time O(events + pixels)."""
    t, x, y, p, duration = part
    result = no_counts(width, height)
    result.durations = [duration]
    edges = np.arange(0, duration // RATE_US * RATE_US + 1, RATE_US)
    result.rates = [np.diff(np.searchsorted(t, edges))]
    result.intervals = kernels.pixel_pass(t, x, y, p, width, result.pixels)
    neighbours = kernels.neighbour_pass(t, x, y, p, width, height, duration)
    result.gaps, result.gap_us, result.alone, result.lags = neighbours
    lengths = np.array(WINDOWS_US)
    found = kernels.window_pass(t, x, y, width, width * height, lengths, duration)
    seen = duration // lengths
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (found[:, 1] - found[:, 2] / seen) * seen / (seen - 1)
    enough = seen >= 2
    result.variance = np.where(enough, variance, 0.0)
    result.windows, result.windows_seen = found * enough[:, None], seen * enough
    result.groups, *lines = kernels.readout_pass(t, x, y, width, height)
    result.lines = np.array(lines)
    return result


def total(segments: Iterable[Segment], width: int, height: int) -> Counts:
    """Counts of all segments."""
    result = no_counts(width, height)
    for part in segments:
        result = result + count(part, width, height)
    return result

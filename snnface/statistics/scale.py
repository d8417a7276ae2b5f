"""The scales on which recordings of different lengths and sensors can be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnface.statistics.counts import Counts
from snnface.statistics.kernels import BINS_A_DECADE, INTERVAL_BINS

#: Middle of each bin of intervals, µs; intervals of 0 µs stand at half a µs.
MIDDLE_US = np.concatenate([[0.5], 10 ** ((np.arange(1, INTERVAL_BINS) - 0.5) / BINS_A_DECADE)])
#: Windows of the event rate to choose from, µs, and how many of them a recording must hold.
RATE_WINDOWS_US, FEWEST_WINDOWS = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000), 8
#: Longest support time of the noise floor: 2^(this - 1) µs.
LONGEST_SUPPORT = 15
#: Least share of all pixel time that must be quiet to speak of a noise floor.
LEAST_QUIET = 0.01


@dataclass(frozen=True)
class Scale:
    """The scales on which two recordings are compared: those that the shorter of them can show.

    ``horizon_us``: longest interval; ``rate_us``: window of the event rate (None: too short); ``octave``: the support
    time of the noise floor is 2^(octave - 1) µs (None: nowhere quiet enough).
    """

    horizon_us: float
    rate_us: int | None
    octave: int | None

    @property
    def support_us(self) -> int | None:
        """Support time of the noise floor, µs."""
        return None if self.octave is None else 1 << (self.octave - 1)


def scale_of(*recordings: Counts) -> Scale:
    """The scales that all of these can show."""
    longest = min(max(c.durations) for c in recordings)
    rates = [w for w in RATE_WINDOWS_US if w * FEWEST_WINDOWS <= longest]
    octaves = [
        k
        for k in range(1, LONGEST_SUPPORT + 1)
        if 2 << k <= longest and all(quiet_us(c, k) >= LEAST_QUIET * pixel_us(c) for c in recordings)
    ]
    return Scale(longest / 2, max(rates, default=None), max(octaves, default=None))


def quiet_us(counts: Counts, octave: int) -> float:
    """Pixel time, µs, that is at least 2^(octave - 1) µs from all events in the neighbourhood, and from the ends."""
    long = slice(octave + 1, None)
    return float(counts.gap_us[long].sum() - (counts.gaps[long].sum() << octave))


def isolated(counts: Counts, octave: int) -> np.ndarray:
    """Events (OFF, ON) in that time."""
    return counts.alone[:, octave:].sum(1)


def pixel_us(counts: Counts) -> float:
    """Time of all pixels together, µs."""
    return float(counts.duration_us) * counts.width * counts.height

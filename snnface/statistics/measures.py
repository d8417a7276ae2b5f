"""From counts to statistics: figures to read, a curve to draw, and the shape that distances compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snnface.statistics.counts import RATE_US, WINDOWS_US, Counts
from snnface.statistics.kernels import BINS_A_DECADE, INTERVAL_BINS
from snnface.statistics.scale import (
    FEWEST_WINDOWS,
    LEAST_QUIET,
    LONGEST_SUPPORT,
    MIDDLE_US,
    Scale,
    isolated,
    pixel_us,
    quiet_us,
)

#: A hot pixel has at least so many events, and this many times as many as its second-busiest neighbour.
HOT_EVENTS, HOT_RATIO = 10, 5
#: The share of intervals below the one that is called shortest.
SHORTEST = 0.001
#: Places on a Lorenz curve: shares of the pixels.
SHARES = np.linspace(0, 1, 1001)
#: Fano factors are compared from here on: perfectly regular counts have none.
LEAST_FANO = 0.01


@dataclass(frozen=True)
class Measured:
    """One statistic of one recording: ``figures`` by name, ``shape`` to compare, ``x`` and ``y`` to draw."""

    figures: Mapping[str, float | None]
    shape: np.ndarray
    x: np.ndarray
    y: np.ndarray


def rate(counts: Counts, scale: Scale) -> Measured:
    """Events a second, in all, per pixel and per pixel that ever fired; drawn over time."""
    seconds = counts.duration_us * 1e-6
    each, active = counts.events / seconds, int(np.count_nonzero(counts.pixels.sum(0)))
    pixels = counts.width * counts.height
    figures = {"events_per_s": each, "hz_per_pixel": each / pixels, "hz_per_active_pixel": each / active}
    longest = counts.rates[int(np.argmax(counts.durations))]
    window = max(RATE_US, -(-len(longest) // 250) * RATE_US)  # as many points as a plot can show
    course = _joined([longest], window) / (window * 1e-6 * pixels)
    return Measured(figures, np.array([each / pixels]), (np.arange(len(course)) + 0.5) * window * 1e-6, course)


def rate_over_time(counts: Counts, scale: Scale) -> Measured:
    """Rates of windows relative to their mean, sorted; drawn as the share of windows below."""
    found = _joined(counts.rates, scale.rate_us) if scale.rate_us else np.zeros(0)
    relative = np.sort(found / found.mean()) if found.sum() else np.zeros(0)
    spread = float(relative.std()) if len(relative) else None
    return Measured({"variation": spread}, relative, relative, (np.arange(len(relative)) + 1) / max(len(relative), 1))


def fano(counts: Counts, scale: Scale) -> Measured:
    """Variance over mean of a pixel's counts in windows, by window length, pooled over pixels by their events."""
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(counts.windows_seen >= FEWEST_WINDOWS, counts.variance / counts.windows[:, 0], np.nan)
    return Measured(_by_window(factor), np.maximum(factor, LEAST_FANO), np.array(WINDOWS_US, float), factor)


def occupancy(counts: Counts, scale: Scale) -> Measured:
    """Share of the pixels that fire in a window, by window length."""
    pixels = counts.width * counts.height
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(counts.windows_seen, counts.windows[:, 3] / (counts.windows_seen * pixels), np.nan)
    return Measured(_by_window(share), share, np.array(WINDOWS_US, float), share)


def polarity(counts: Counts, scale: Scale) -> Measured:
    """Events by polarity."""
    return _shares(("off", "on"), counts.pixels.sum(1))


def transitions(counts: Counts, scale: Scale) -> Measured:
    """Consecutive events of a pixel by their two polarities, of those within the horizon."""
    seen = counts.intervals * (scale.horizon_us >= MIDDLE_US)
    return _shares(("off_off", "off_on", "on_off", "on_on"), seen.sum(1))


def intervals_same(counts: Counts, scale: Scale) -> Measured:
    """Intervals of a pixel between events of one polarity."""
    return _times(counts.intervals[0] + counts.intervals[3], counts, scale)


def intervals_opposite(counts: Counts, scale: Scale) -> Measured:
    """Intervals of a pixel between an event and one of the other polarity."""
    return _times(counts.intervals[1] + counts.intervals[2], counts, scale)


def shortest_interval(counts: Counts, scale: Scale) -> Measured:
    """The interval that one in a thousand of a pixel's intervals is shorter than; drawn: the share below."""
    found = counts.intervals.sum(0)
    below = found.cumsum() / max(int(found.sum()), 1)
    low = np.concatenate([[0.5], 10 ** (np.arange(INTERVAL_BINS - 1) / BINS_A_DECADE)])
    some = bool(found.any())
    figures: dict[str, float | None] = {
        "shortest_us": float(low[np.argmax(below > SHORTEST)]) if some else None,
        "least_us": float(low[np.argmax(found > 0)]) if some else None,
    }
    seen = (below > 0) & (scale.horizon_us >= MIDDLE_US)
    return Measured(figures, np.zeros(0), MIDDLE_US[seen], below[seen])


def neighbour_lag(counts: Counts, scale: Scale) -> Measured:
    """Time since the last event among the eight pixels around."""
    return _times(counts.lags.sum(0), counts, scale)


def neighbour_polarity(counts: Counts, scale: Scale) -> Measured:
    """Whether that event had the same polarity."""
    seen = counts.lags * (scale.horizon_us >= MIDDLE_US)
    return _shares(("other", "same"), seen.sum(1))


def density(counts: Counts, scale: Scale) -> Measured:
    """Lorenz curve: the share of the events that the quietest pixels have."""
    each = np.sort(counts.pixels.sum(0))
    lorenz = np.concatenate([[0], each.cumsum()]) / each.sum()
    curve = np.interp(SHARES, np.linspace(0, 1, len(lorenz)), lorenz)
    gini = 1 - 2 * float(np.trapezoid(lorenz, dx=1 / len(each)))
    return Measured({"gini": gini, "active_pixels": float((each > 0).mean())}, curve, SHARES, curve)


def hot_pixels(counts: Counts, scale: Scale) -> Measured:
    """Pixels that fire alone, much more than any two neighbours; shares of the pixels and of the events."""
    each = counts.pixels.sum(0).reshape(counts.height, counts.width)
    padded = np.pad(each, 1, "reflect")  # an edge that leaves the sensor goes on
    shifts = [(dy, dx) for dy in range(3) for dx in range(3) if (dy, dx) != (1, 1)]
    around = np.stack([padded[dy : dy + counts.height, dx : dx + counts.width] for dy, dx in shifts])
    second = np.partition(around, -2, axis=0)[-2]
    hot = (each >= HOT_EVENTS) & (each > HOT_RATIO * second)
    events = each[hot].sum()
    figures = {"pixels": float(hot.mean()), "events": float(events / each.sum())}
    shape = np.array([events, each.sum() - events], float)
    return Measured(figures, shape, np.zeros(0), np.array(list(figures.values())))


def noise_floor(counts: Counts, scale: Scale) -> Measured:
    """Rate of a pixel while its neighbourhood is quiet for a support time before and after; drawn over that time."""
    octaves = [k for k in range(1, LONGEST_SUPPORT + 3) if quiet_us(counts, k) >= LEAST_QUIET * pixel_us(counts)]
    curve = np.array([isolated(counts, k).sum() / quiet_us(counts, k) * 1e6 for k in octaves])
    support = np.array([2.0 ** (k - 1) for k in octaves])
    figures: dict[str, float | None] = {"hz_per_pixel": None, "isolated_events": None, "quiet_share": None}
    shape = np.zeros(0)
    if scale.octave is not None:
        quiet, found = quiet_us(counts, scale.octave), int(isolated(counts, scale.octave).sum())
        figures = {
            "hz_per_pixel": found / quiet * 1e6,
            "isolated_events": found,
            "quiet_share": quiet / pixel_us(counts),
        }
        shape = np.array([(found + 0.5) / quiet * 1e6])  # half an event more, so that silence has a logarithm
    return Measured(figures, shape, support, curve)


def noise_polarity(counts: Counts, scale: Scale) -> Measured:
    """Isolated events by polarity."""
    return _shares(("off", "on"), np.zeros(2) if scale.octave is None else isolated(counts, scale.octave))


def readout(counts: Counts, scale: Scale) -> Measured:
    """Events by how many share their time stamp; drawn as the share in groups of at least that size."""
    size = np.maximum(np.arange(len(counts.groups)), 1)
    mean = float(counts.events / (counts.groups / size).sum())
    at_least = counts.groups[::-1].cumsum()[::-1] / counts.events
    seen = at_least > 0
    figures = {"events_per_time": mean, "alone": float(counts.groups[1] / counts.events)}
    return Measured(figures, counts.groups.astype(float), size[seen][1:].astype(float), at_least[seen][1:])


def readout_lines(counts: Counts, scale: Scale) -> Measured:
    """Shares of the events that have the row, or the column, of another one with the same time stamp before them."""
    shares = 1 - counts.lines / counts.events
    row, column = shares.tolist()
    return Measured({"row": row, "column": column}, np.stack([shares, 1 - shares], 1), np.zeros(0), shares)


def _joined(rates: list[np.ndarray], window_us: int) -> np.ndarray:
    """Counts in whole windows of all segments."""
    size = window_us // RATE_US
    return np.concatenate([r[: len(r) // size * size].reshape(-1, size).sum(1) for r in rates])


def _shares(names: tuple[str, ...], found: np.ndarray) -> Measured:
    whole = found.sum()
    share = found / whole if whole else np.full(len(found), np.nan)
    figures = {n: float(s) if whole else None for n, s in zip(names, share, strict=True)}
    return Measured(figures, found.astype(float), np.zeros(0), share)


def _times(found: np.ndarray, counts: Counts, scale: Scale) -> Measured:
    """Density of log time up to the horizon, each time weighted by how rarely it fits into the segments.

    A time τ fits into a segment of length T in T - τ places, so that its count is divided by that (the weights of
    Horvitz and Thompson 1952): recordings of different lengths show the same law.
    """
    durations = np.array(counts.durations, float)[:, None]
    within = scale.horizon_us >= MIDDLE_US
    room = np.maximum(durations - np.where(within, MIDDLE_US, 0), 0).sum(0)
    weight = np.where(within, found / room, 0.0)
    whole = weight.sum()
    share = weight / whole if whole else weight
    middle = float(MIDDLE_US[np.argmax(share.cumsum() >= 0.5)]) if whole else None
    drawn = within & (share.cumsum() > 0)
    return Measured({"median_us": middle}, share, MIDDLE_US[drawn], share[drawn] * BINS_A_DECADE)


def _by_window(curve: np.ndarray) -> dict[str, float | None]:
    return {f"{w / 1000:g}_ms": None if np.isnan(v) else float(v) for w, v in zip(WINDOWS_US, curve, strict=True)}

"""The statistics of ``snnface compare``: what each is, how it is measured, compared and drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snnface.statistics import distances, measures
from snnface.statistics.counts import Counts
from snnface.statistics.measures import Measured
from snnface.statistics.scale import MIDDLE_US, Scale

DECADES = "decades"
JENSEN_SHANNON = "Jensen-Shannon, 0 to 1"


@dataclass(frozen=True)
class Curve:
    """How ``y`` over ``x`` is drawn: what the axes say, and which are logarithmic."""

    x: str
    y: str
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Bars:
    """How the shares ``y`` are drawn: a bar for each label."""

    labels: tuple[str, ...]


@dataclass(frozen=True)
class Statistic:
    """One statistic. ``about``: whether the sensor or the scene decides it; ``text``: one plain paragraph."""

    name: str
    title: str
    about: Literal["sensor", "scene"]
    unit: str
    measure: Callable[[Counts, Scale], Measured]
    distance: Callable[[Measured, Measured], float | None]
    drawn: Curve | Bars
    text: str


def _times(a: Measured, b: Measured) -> float | None:
    return distances.wasserstein(np.log10(MIDDLE_US), a.shape, b.shape)


def _groups(a: Measured, b: Measured) -> float | None:
    return distances.wasserstein(np.log10(np.maximum(np.arange(len(a.shape)), 1)), a.shape, b.shape)


def _histograms(a: Measured, b: Measured) -> float | None:
    return distances.jensen_shannon(a.shape, b.shape)


def _lines(a: Measured, b: Measured) -> float | None:
    found = [distances.jensen_shannon(*pair) for pair in zip(a.shape, b.shape, strict=True)]
    return max((d for d in found if d is not None), default=None)


def _samples(a: Measured, b: Measured) -> float | None:
    return distances.wasserstein_of(a.shape, b.shape)


def _curves(a: Measured, b: Measured) -> float | None:
    return distances.mean_decades(a.shape, b.shape)


def _lorenz(a: Measured, b: Measured) -> float | None:
    return distances.between_curves(measures.SHARES, a.shape, b.shape)


STATISTICS = (
    Statistic(
        "rate", "Event rate", "scene", DECADES, measures.rate, _curves, Curve("time, s", "Hz per pixel"),
        "How many events a pixel of the sensor sends a second, silent pixels counted. Rates per pixel can be held "
        "against each other whatever the sensor's size. Light, contrast and speed of the scene decide it first, and "
        "the sensor's threshold next. The distance is the logarithm of the ratio of the two mean rates.",
    ),
    Statistic(
        "rate_over_time", "Unevenness of the rate", "scene", "of the mean rate", measures.rate_over_time, _samples,
        Curve("rate of a window, of the mean", "share of windows below"),
        "Whether events come evenly or in waves: the rate of every window of one length, divided by the mean rate, "
        "as the share of windows below each value. A steady scene climbs at 1. The window is the longest of 1, 2, 5 "
        "to 100 ms that fits eight times into the shorter recording. The distance is the Wasserstein-1 distance of "
        "the two distributions.",
    ),
    Statistic(
        "fano", "Bursts: Fano factor", "scene", DECADES, measures.fano, _curves,
        Curve("window, µs", "variance over mean", log_x=True, log_y=True),
        "The variance of the number of events of a pixel in a window, over its mean (Fano 1947). 1 is chance: "
        "events that know nothing of each other. Above 1 a pixel fires in bursts, as under a passing edge; below 1 "
        "something spaces its events, such as a dead time. Pixels are pooled by their events, so that silent ones "
        "do not count, and every variance is within one pixel, so that unequal pixels are no bursts. The distance "
        "is the mean over window lengths of the logarithm of the ratio.",
    ),
    Statistic(
        "occupancy", "Occupancy", "scene", DECADES, measures.occupancy, _curves,
        Curve("window, µs", "share of pixels that fire", log_x=True, log_y=True),
        "How much of the sensor fires within a window. A line through the origin of slope one means that every "
        "event comes from another pixel; where it bends, pixels repeat themselves. It does not depend on how long a "
        "recording is. The distance is the mean over window lengths of the logarithm of the ratio.",
    ),
    Statistic(
        "polarity", "Polarity balance", "scene", JENSEN_SHANNON, measures.polarity, _histograms,
        Bars(("OFF", "ON")),
        "Events by polarity. In the long run light goes up as far as it goes down, so that a lasting imbalance "
        "shows unequal thresholds (or leak, which makes ON events only), and a short one the scene. The distance is "
        "the Jensen-Shannon distance of the two pairs of shares.",
    ),
    Statistic(
        "transitions", "Polarity from event to event", "scene", JENSEN_SHANNON, measures.transitions, _histograms,
        Bars(("OFF to OFF", "OFF to ON", "ON to OFF", "ON to ON")),
        "Consecutive events of one pixel by their two polarities, as far apart as the horizon allows at most. High "
        "contrast gives runs of one polarity, a threshold after the other; flicker and shot noise alternate. The "
        "distance is the Jensen-Shannon distance of the four shares.",
    ),
    Statistic(
        "intervals_same", "Intervals, same polarity", "scene", DECADES, measures.intervals_same, _times,
        Curve("interval, µs", "share per decade", log_x=True),
        "Time between consecutive events of a pixel that have one polarity, on a logarithmic axis. Its peak is the "
        "time in which the light at a pixel passes one threshold, its left edge the dead time. Long intervals fit "
        "less often into a short recording, and are weighted for it. The distance is the Wasserstein-1 distance of "
        "log intervals, up to half the length of the shorter recording (the horizon).",
    ),
    Statistic(
        "intervals_opposite", "Intervals, opposite polarity", "scene", DECADES, measures.intervals_opposite, _times,
        Curve("interval, µs", "share per decade", log_x=True),
        "The same where the polarity turns: the time from an edge's front to its back, half a period of a flicker, "
        "or the pause between two movements. Measured and compared like the intervals above.",
    ),
    Statistic(
        "shortest_interval", "Shortest interval of a pixel", "sensor", DECADES, measures.shortest_interval,
        lambda a, b: distances.decades(a.figures["shortest_us"], b.figures["shortest_us"]),
        Curve("interval, µs", "share of intervals below", log_x=True, log_y=True),
        "The share of a pixel's intervals that are shorter than a time. A dead time (refractory period) is where "
        "the curve breaks off on its left; the figure is the interval that one in a thousand falls below, in steps "
        "of 12 %. Any scene that is fast enough to reach the dead time shows it. The distance is the logarithm of "
        "the ratio.",
    ),
    Statistic(
        "readout", "Events with one time stamp", "sensor", DECADES, measures.readout, _groups,
        Curve("events with the time stamp, at least", "share of events", log_x=True, log_y=True),
        "How many events share their time stamp. Asynchronous pixels under little load hardly ever do; readout in "
        "rows or frames, a coarse clock and simulation frame by frame make clusters. The load matters too: at one "
        "event a µs and more, any sensor with µs stamps must share them. The distance is the Wasserstein-1 distance "
        "of the logarithm of the number.",
    ),
    Statistic(
        "readout_lines", "Rows and columns in one time stamp", "sensor", JENSEN_SHANNON, measures.readout_lines,
        _lines, Bars(("row already seen", "column already seen")),
        "The share of events whose row, or column, has another event with the same time stamp. Where one is far "
        "above the other, the sensor reads row by row, or column by column. The distance is the larger one of the "
        "Jensen-Shannon distances for rows and for columns.",
    ),
    Statistic(
        "density", "Density over the sensor", "scene", "area, 0 to 1", measures.density, _lorenz,
        Curve("share of pixels, quietest first", "share of events"),
        "The Lorenz curve (Lorenz 1905): the share of all events that the quietest part of the pixels has. The "
        "diagonal is an even load; the further below, the fewer pixels carry it. Few events a pixel look uneven by "
        "chance alone. The distance is twice the area between the curves; the Gini coefficient is twice that to the "
        "diagonal.",
    ),
    Statistic(
        "hot_pixels", "Hot pixels", "sensor", JENSEN_SHANNON, measures.hot_pixels, _histograms,
        Bars(("of pixels", "of events")),
        f"Pixels that fire alone: at least {measures.HOT_EVENTS} events, and more than {measures.HOT_RATIO} times "
        "as many as the second-busiest of the eight pixels around. Edges keep at least two neighbours busy and do "
        "not count, nor does one hot pixel hide another beside it. The rule is our own. The distance is the "
        "Jensen-Shannon distance of the shares of events from hot and from other pixels.",
    ),
    Statistic(
        "noise_floor", "Noise floor", "sensor", DECADES, measures.noise_floor, _curves,
        Curve("support time, µs", "Hz per pixel", log_x=True, log_y=True),
        "Background activity: the rate of a pixel while the eight around it are silent for a support time before "
        "and after. Events without support in their neighbourhood are what background-activity filters take for "
        "noise (Delbruck 2008); dividing them by the pixel time that is quiet makes a rate that does not depend on "
        "how much else happens, and that is exact for noise that is independent from pixel to pixel. The curve "
        "starts at the mean rate and falls to a level where only noise is left; slow, lone edges keep it above, so "
        "that it is an upper bound. The distance is the logarithm of the ratio at the longest support time that "
        "both recordings allow.",
    ),
    Statistic(
        "noise_polarity", "Polarity of the noise", "sensor", JENSEN_SHANNON, measures.noise_polarity, _histograms,
        Bars(("OFF", "ON")),
        "The same isolated events by polarity. Leak makes ON events only, shot noise both. The distance is the "
        "Jensen-Shannon distance of the two pairs of shares.",
    ),
    Statistic(
        "neighbour_lag", "Time since a neighbour's event", "scene", DECADES, measures.neighbour_lag, _times,
        Curve("time since the last event around, µs", "share per decade", log_x=True),
        "Correlation of event pairs in space and time: for every event, how long ago one of the eight pixels around "
        "fired last. Edges give short times, noise the long ones of chance. Weighted and compared like the "
        "intervals.",
    ),
    Statistic(
        "neighbour_polarity", "Polarity of that neighbour", "scene", JENSEN_SHANNON, measures.neighbour_polarity,
        _histograms, Bars(("other", "same")),
        "Whether that last event around had the same polarity. An edge moves with one polarity in front; noise "
        "agrees half of the time, where its polarities are balanced. The distance is the Jensen-Shannon distance of "
        "the two pairs of shares.",
    ),
)  # fmt: skip

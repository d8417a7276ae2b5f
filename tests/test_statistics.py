"""Counts against plain loops, statistics against processes whose law is known, distances against their axioms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnface.errors import InputError
from snnface.events import Recording, pack
from snnface.statistics import distances, kernels, measures
from snnface.statistics.catalogue import STATISTICS
from snnface.statistics.comparison import compared
from snnface.statistics.counts import WINDOWS_US, Counts, count, segment, total
from snnface.statistics.scale import Scale, isolated, quiet_us, scale_of
from snnface.statistics.source import Counted, of_recording

WIDTH, HEIGHT = 6, 5
NAMES = [s.name for s in STATISTICS]


def events_of(draw: list[tuple[int, int, int, bool]], width: int = WIDTH) -> np.ndarray:
    """Gaps, pixels and polarities as structured events."""
    gaps, x, y, p = (np.array(c) for c in zip(*draw, strict=True))
    return pack(np.cumsum(gaps), x % width, y, p)


EVENTS = st.lists(
    st.tuples(st.sampled_from([0, 0, 1, 7, 90, 400, 5000]), st.integers(0, 5), st.integers(0, 4), st.booleans()),
    min_size=2,
    max_size=60,
).map(events_of)


def poisson(rate_hz: float, seconds: float, width: int, height: int, seed: int, on: float = 0.5) -> np.ndarray:
    """Events of independent pixels that fire by chance, structured, sorted."""
    random = np.random.default_rng(seed)
    number = random.poisson(rate_hz * seconds * width * height)
    t = np.sort(random.integers(0, round(seconds * 1e6), number))
    return pack(t, random.integers(0, width, number), random.integers(0, height, number), random.random(number) < on)


def counted_events(events: np.ndarray, duration_us: int, width: int, height: int) -> Counts:
    return count(segment(events, 0, duration_us), width, height)


def own_scale(counts: Counts) -> Scale:
    return scale_of(counts, counts)


@settings(max_examples=60, deadline=None)
@given(events=EVENTS)
def test_kernels_count_what_plain_loops_count(events) -> None:
    duration = int(events["t"][-1]) + 3
    counts = counted_events(events, duration, WIDTH, HEIGHT)
    rows = [tuple(int(v) for v in e) for e in events]
    intervals, lags = np.zeros_like(counts.intervals), np.zeros_like(counts.lags)
    alone, gaps = np.zeros_like(counts.alone), []

    def bin_of(dt: int) -> int:
        return 0 if dt == 0 else 1 + math.floor(20 * math.log10(dt))

    def around(x: int, y: int) -> list[tuple[int, int, int]]:
        return [(i, r[0], r[3]) for i, r in enumerate(rows) if max(abs(r[1] - x), abs(r[2] - y)) == 1]

    for i, (t, x, y, p) in enumerate(rows):
        own = [r for r in rows[:i] if r[1:3] == (x, y)]
        if own:
            intervals[2 * own[-1][3] + p, bin_of(t - own[-1][0])] += 1
        before, after = ([r for r in around(x, y) if (r[0] < i) == early] for early in (True, False))
        if before:
            lags[int(before[-1][2] == p), bin_of(t - before[-1][1])] += 1
        nearest = min(t - (before[-1][1] if before else 0), (after[0][1] if after else duration) - t)
        alone[p, nearest.bit_length()] += 1
    for y, x in np.ndindex(HEIGHT, WIDTH):
        gaps += np.diff([0, *(t for _, t, _ in around(x, y)), duration]).tolist()
    assert (counts.intervals == intervals).all()
    assert (counts.lags == lags).all()
    assert (counts.alone == alone).all()
    assert (counts.gaps == np.bincount([g.bit_length() for g in gaps], minlength=kernels.OCTAVES)).all()
    assert counts.gap_us.sum() == sum(gaps)
    for octave in (3, 7, 10):
        support = 2 ** (octave - 1)
        assert quiet_us(counts, octave) == sum(max(g - 2 * support, 0) for g in gaps)
    cells = np.bincount(events["y"].astype(int) * WIDTH + events["x"], minlength=WIDTH * HEIGHT)
    assert (counts.pixels.sum(0) == cells).all()
    assert counts.pixels[1].sum() == events["p"].sum()


@settings(max_examples=60, deadline=None)
@given(events=EVENTS)
def test_windows_and_time_stamps(events) -> None:
    duration = int(events["t"][-1])
    counts = counted_events(events, duration, WIDTH, HEIGHT)
    pixel = events["y"].astype(int) * WIDTH + events["x"]
    for k, length in enumerate(WINDOWS_US):
        number = duration // length
        if number < 2:
            assert counts.windows_seen[k] == 0
            assert counts.windows[k].sum() == 0
            continue
        table = np.zeros((WIDTH * HEIGHT, number))
        whole = events["t"] < number * length
        np.add.at(table, (pixel[whole], events["t"][whole] // length), 1)
        assert counts.windows[k].tolist() == [
            table.sum(), (table**2).sum(), (table.sum(1) ** 2).sum(), (table > 0).sum()
        ]  # fmt: skip
        assert counts.variance[k] == pytest.approx(number * table.var(1, ddof=1).sum())
    _, size = np.unique(events["t"], return_counts=True)
    assert (counts.groups == np.bincount(np.repeat(size, size), minlength=len(counts.groups))).all()
    assert counts.lines.tolist() == [
        len(np.unique(np.stack([events["t"], events[n].astype(int)]), axis=1).T) for n in "yx"
    ]


def test_counts_of_segments_add_up() -> None:
    parts = [segment(poisson(20, 0.5, WIDTH, HEIGHT, seed), 0, 500_000) for seed in range(3)]
    together = total(parts, WIDTH, HEIGHT)
    separate = [count(p, WIDTH, HEIGHT) for p in parts]
    assert together.events == sum(c.events for c in separate)
    assert together.durations == [500_000] * 3
    assert (together.intervals == sum(c.intervals for c in separate)).all()
    assert (together.variance == sum(c.variance for c in separate)).all()
    assert len(together.rates) == 3


def test_chance_has_the_statistics_of_chance() -> None:
    rate, seconds, size = 8.0, 4.0, 40
    counts = counted_events(poisson(rate, seconds, size, size, 1, on=0.7), round(seconds * 1e6), size, size)
    scale = own_scale(counts)
    assert scale.support_us == 16_384
    found = {s.name: s.measure(counts, scale) for s in STATISTICS}
    assert found["rate"].figures["hz_per_pixel"] == pytest.approx(rate, rel=0.02)
    assert found["fano"].y == pytest.approx(1, abs=0.03)
    expected = 1 - np.exp(-rate * 1e-6 * np.array(WINDOWS_US))
    assert found["occupancy"].y == pytest.approx(expected, rel=0.03)
    assert found["polarity"].figures["on"] == pytest.approx(0.7, abs=0.01)
    assert found["transitions"].figures["on_on"] == pytest.approx(0.49, abs=0.01)
    # Intervals are exponential, whatever their polarities; those of the eight around are eight times as short.
    for name, times in (("intervals_same", 1), ("intervals_opposite", 1), ("neighbour_lag", 8)):
        assert found[name].figures["median_us"] == pytest.approx(1e6 * math.log(2) / rate / times, rel=0.12)
    assert found["noise_floor"].figures["hz_per_pixel"] == pytest.approx(rate, rel=0.05)
    assert found["noise_floor"].y == pytest.approx(rate, rel=0.1)
    assert found["noise_polarity"].figures["on"] == pytest.approx(0.7, abs=0.02)
    assert found["neighbour_polarity"].figures["same"] == pytest.approx(0.7**2 + 0.3**2, abs=0.01)
    assert found["hot_pixels"].figures == {"pixels": 0, "events": 0}


def test_the_noise_floor_is_that_of_the_noise_beside_a_busy_signal() -> None:
    """A bar of eight columns flickers at 100 Hz, all of it at once: 10 times as many events as noise."""
    noise, size, seconds = 2.0, 32, 4.0
    t = np.repeat(np.arange(5_000, 4_000_000, 10_000), size * 8)
    x, y = np.tile(np.arange(8), len(t) // 8), np.tile(np.repeat(np.arange(size), 8), len(t) // size // 8)
    signal = pack(t + x * 3, x, y, np.ones(len(t)))
    both = np.concatenate([signal, poisson(noise, seconds, size, size, 3)])
    counts = counted_events(both[np.argsort(both["t"], kind="stable")], 4_000_000, size, size)
    floor = measures.noise_floor(counts, own_scale(counts))
    assert measures.rate(counts, own_scale(counts)).figures["hz_per_pixel"] > 10 * noise
    assert floor.figures["hz_per_pixel"] == pytest.approx(noise, rel=0.1)
    # A threshold on isolated events alone, without the time that is quiet, would find too few.
    assert isolated(counts, 15).sum() < 0.8 * noise * seconds * size * size


def test_a_dead_time_shows_as_the_shortest_interval_and_spaces_counts() -> None:
    dead_us, rows = 1000, []
    random = np.random.default_rng(4)
    for pixel in range(100):
        times = np.cumsum(dead_us + random.exponential(1000, 1200).astype(int))
        rows.append(pack(times, np.full(1200, pixel % 10), np.full(1200, pixel // 10), random.random(1200) < 0.5))
    events = np.concatenate(rows)
    events = events[np.argsort(events["t"], kind="stable")]
    events = events[events["t"] < 2_000_000]
    counts = counted_events(events, 2_000_000, 10, 10)
    shortest = measures.shortest_interval(counts, own_scale(counts)).figures["shortest_us"]
    assert shortest == pytest.approx(dead_us, rel=0.13)
    # Renewal theory: the variance over the mean of long counts is that of the intervals over their squared mean.
    assert measures.fano(counts, own_scale(counts)).y[-2] == pytest.approx(0.25, abs=0.04)


def test_a_clock_has_no_variance() -> None:
    t = np.arange(0, 1_000_000, 1000)
    counts = counted_events(pack(t, t * 0 + 2, t * 0 + 1, t % 2000 == 0), 1_000_000, WIDTH, HEIGHT)
    fano = measures.fano(counts, own_scale(counts))
    assert fano.y[2:] == pytest.approx(0, abs=1e-9)
    assert (fano.shape > 0).all()
    assert measures.transitions(counts, own_scale(counts)).figures["on_off"] == pytest.approx(0.5, abs=0.01)


def test_length_of_a_recording_does_not_change_its_intervals() -> None:
    long = counted_events(poisson(3, 20, 20, 20, 5), 20_000_000, 20, 20)
    short = [segment(poisson(3, 1, 20, 20, seed), 0, 1_000_000) for seed in range(20)]
    pieces = total(short, 20, 20)
    scale = scale_of(long, pieces)
    assert scale.horizon_us == 500_000
    for name in ("intervals_same", "neighbour_lag"):
        statistic = STATISTICS[NAMES.index(name)]
        assert statistic.distance(statistic.measure(long, scale), statistic.measure(pieces, scale)) < 0.02


def test_sensors_of_different_size_are_comparable() -> None:
    small, large = (of_recording(Recording(poisson(10, 2, n, n, n), n, n)) for n in (20, 50))
    found = compared(small, large)
    for name in ("rate", "fano", "occupancy", "intervals_same", "noise_floor", "density"):
        assert found.distances[name] < 0.06, name


def test_hot_pixels_are_those_that_fire_alone() -> None:
    random = np.random.default_rng(0)
    noise = poisson(2, 1, 30, 30, 7)
    hot = pack(random.integers(0, 1_000_000, 400), np.repeat([4, 20], 200), np.repeat([9, 9], 200), np.ones(400))
    line = pack(random.integers(0, 1_000_000, 3000), np.full(3000, 12), np.arange(3000) % 30, np.ones(3000))
    events = np.concatenate([noise, hot, line])
    counts = counted_events(events[np.argsort(events["t"])], 1_000_000, 30, 30)
    figures = measures.hot_pixels(counts, own_scale(counts)).figures
    assert figures["pixels"] == pytest.approx(2 / 900)
    assert figures["events"] == pytest.approx(400 / len(events), rel=0.05)


def test_density_of_even_and_lone_events() -> None:
    t = np.arange(900)
    even = counted_events(pack(t, t % 30, t // 30, t % 2), 1000, 30, 30)
    lone = counted_events(pack(t, t * 0, t * 0, t % 2), 1000, 30, 30)
    a, b = (measures.density(c, own_scale(c)) for c in (even, lone))
    assert a.figures["gini"] == pytest.approx(0, abs=1e-9)
    assert b.figures["gini"] == pytest.approx(1 - 1 / 900)
    assert distances.between_curves(measures.SHARES, a.shape, b.shape) == pytest.approx(1, abs=0.003)


@settings(max_examples=25, deadline=None)
@given(a=EVENTS, b=EVENTS)
def test_distances_are_zero_to_oneself_and_symmetric(a, b) -> None:
    first, second = (Counted(counted_events(e, int(e["t"][-1]) + 1, WIDTH, HEIGHT), None) for e in (a, b))
    same = compared(first, first).distances
    assert all(d is None or d == pytest.approx(0, abs=1e-7) for d in same.values())
    there, back = compared(first, second).distances, compared(second, first).distances
    for name in NAMES:
        assert (there[name] is None) == (back[name] is None)
        assert there[name] is None or (there[name] >= 0 and there[name] == pytest.approx(back[name], abs=1e-9))
        assert there[name] is None or math.isfinite(there[name])


@settings(max_examples=25, deadline=None)
@given(events=EVENTS, later=st.integers(0, 10**15), right=st.integers(0, 5), down=st.integers(0, 4))
def test_when_and_where_does_not_matter(events, later, right, down) -> None:
    """A recording that begins later, and one whose scene lies elsewhere on the sensor, have the same statistics."""
    if events["t"][0] == events["t"][-1]:
        events["t"][-1] += 1
    moved = events.copy()
    moved["t"] += later
    moved["x"] += right + 1
    moved["y"] += down + 1
    here = events.copy()
    here["x"] += 1
    here["y"] += 1
    size = (2 * WIDTH + 2, 2 * HEIGHT + 2)  # nothing touches the border
    found = compared(of_recording(Recording(here, *size)), of_recording(Recording(moved, *size)))
    assert all(d is None or d == pytest.approx(0, abs=1e-9) for d in found.distances.values())
    for a, b in zip(found.measured[0].values(), found.measured[1].values(), strict=True):
        assert a.figures == b.figures


def test_events_of_another_layout_count_the_same() -> None:
    events = poisson(20, 0.5, WIDTH, HEIGHT, 1)
    other = np.empty(len(events), [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")])
    for name in "xytp":
        other[name] = events[name]
    before = other.copy()
    a, b = (of_recording(Recording(e, WIDTH, HEIGHT)).whole for e in (events, other))
    assert (a.intervals == b.intervals).all()
    assert (a.pixels == b.pixels).all()
    assert (other == before).all()


@pytest.mark.parametrize("times", [[], [5], [7, 7, 7]])
def test_a_recording_without_time_is_refused(times) -> None:
    n = len(times)
    with pytest.raises(InputError, match="no two different times"):
        of_recording(Recording(pack(times, [0] * n, [0] * n, [1] * n), 4, 4))


def test_distances_by_hand() -> None:
    assert distances.decades(1, 100) == 2
    assert distances.decades(0, 1) is None
    assert distances.mean_decades(np.array([1, np.nan, 1]), np.array([10, 5, 1])) == pytest.approx(0.5)
    assert distances.mean_decades(np.array([0.0]), np.array([1.0])) is None
    places = np.array([0.0, 1, 5])
    assert distances.wasserstein(places, np.array([1, 0, 1]), np.array([0, 2, 0])) == pytest.approx(2.5)
    assert distances.wasserstein(places, np.zeros(3), np.ones(3)) is None
    assert distances.jensen_shannon(np.array([3, 0]), np.array([0, 9])) == pytest.approx(1)
    assert distances.jensen_shannon(np.array([1, 3]), np.array([10, 30])) == pytest.approx(0, abs=1e-8)

"""Times of events without noise, against closed forms: ramps of light and of its logarithm, moving gratings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import simulate

from snnface.converters.preset import Readout
from snnface.converters.sensors import SENSORS
from snnface.converters.simulator import DARK, EventSimulator

CLEAN = SENSORS["clean"]
THRESHOLD = CLEAN.threshold_on
#: Log contrast a second. Light is in single precision, which moves a crossing by some 0.2 µs over the slope.
SLOPES = np.array([2.0, -2.0, 5.0, -5.0, 11.0, -11.0, 30.0, -30.0])
#: A grating's mean and contrast of light, its pixels in a period and periods a second.
MEAN, CONTRAST, PERIOD, SPEED_HZ = 0.5, 0.4, 40, 10.0


def settled(light, times_us: Iterable[int]) -> np.ndarray:
    """Events of pixels that remember the first picture."""
    return simulate(CLEAN, light, times_us, random_phase=False)


@settings(max_examples=20, deadline=None)
@given(gaps=st.lists(st.integers(1, 40_000), min_size=1, max_size=20))
def test_on_ramps_of_log_light_every_time_is_right_to_a_microsecond(gaps: list[int]) -> None:
    """Whenever pictures are taken: what happens between them is a straight line in log light."""
    times = np.cumsum([0, *gaps])
    level = 2.0 * (SLOPES < 0)  # light stays above 0
    stop_us = min(times[-1], 60_000)
    times = np.unique(np.minimum(times, stop_us))
    events = settled(lambda t: np.exp(level + SLOPES * t * 1e-6)[None] - DARK, times)
    for x, slope in enumerate(SLOPES):
        mine = events[events["x"] == x]
        exact_us = THRESHOLD / abs(slope) * 1e6 * np.arange(1, len(mine) + 1)
        assert (mine["p"] == (slope > 0)).all()
        assert np.abs(mine["t"] - np.ceil(exact_us - 1e-6)).max(initial=0) <= 1
        assert (len(mine) + 1) * THRESHOLD / abs(slope) * 1e6 >= stop_us - 1


def test_on_ramps_of_light_ten_thousand_pictures_a_second_are_right_to_a_microsecond() -> None:
    """Here the straight line in log light is off by (slope of the log) · step² / 8, at most 0.1 µs."""
    growth = np.array([1.0, 10.0, 80.0, -3.0, -4.5])  # of light, a second
    start = np.where(growth > 0, 0.1, 1.0)
    events = settled(lambda t: (start + growth * t * 1e-6)[None], range(0, 200_001, 100))
    for x in range(len(growth)):
        mine, sign = events[events["x"] == x], np.sign(growth[x])
        levels = np.log(start[x] + DARK) + sign * THRESHOLD * np.arange(1, len(mine) + 1)
        exact_us = (np.exp(levels) - DARK - start[x]) / growth[x] * 1e6
        assert len(mine) > 3
        assert (mine["p"] == (sign > 0)).all()
        assert np.abs(mine["t"] - np.ceil(exact_us)).max() <= 1


def grating(t_us: int) -> np.ndarray:
    phase = 2 * math.pi * (np.arange(PERIOD) / PERIOD - SPEED_HZ * t_us * 1e-6)
    return (MEAN + CONTRAST * np.sin(phase))[None]


def crossings_of_grating(x: int, until_us: float) -> list[float]:
    """Times (µs) at which a pixel's log light is a threshold away from that of its last event."""
    turn = 2 * math.pi * SPEED_HZ * 1e-6
    phase, t, found = 2 * math.pi * x / PERIOD, 0.0, []
    memory = math.log(MEAN + CONTRAST * math.sin(phase) + DARK)
    while True:
        candidates = []
        for level in (memory + THRESHOLD, memory - THRESHOLD):
            sine = (math.exp(level) - DARK - MEAN) / CONTRAST
            if abs(sine) < 1:
                for angle in (math.asin(sine), math.pi - math.asin(sine)):
                    after = t + ((phase - turn * t - angle) % (2 * math.pi)) / turn
                    candidates.append((after + (2 * math.pi / turn if after - t < 1e-6 else 0), level))
        t, memory = min(candidates)
        if t > until_us:
            return found
        found.append(t)


def errors_on_grating(step_us: int) -> np.ndarray:
    """Of every event (µs), its rounding up taken as half a µs; of pixels with the right number of events."""
    until = 120_000
    events, errors = settled(grating, range(0, until + 1, step_us)), []
    for x in range(PERIOD):
        mine, exact = events[events["x"] == x]["t"], crossings_of_grating(x, until)
        if len(mine) == len(exact):
            errors.append(mine - 0.5 - exact)
    assert len(errors) > 0.8 * PERIOD
    return np.abs(np.concatenate(errors))


def test_on_a_grating_ten_thousand_pictures_a_second_are_right_to_a_microsecond() -> None:
    errors = errors_on_grating(100)
    assert len(errors) > 600
    assert np.median(errors) <= 1
    assert np.quantile(errors, 0.95) <= 1.5


def test_times_converge_with_the_square_of_the_step() -> None:
    medians = [np.median(errors_on_grating(step)) for step in (4000, 2000, 1000)]
    orders = np.log2(np.array(medians[:-1]) / medians[1:])
    assert orders == pytest.approx(2, abs=0.3)


presets = st.builds(
    lambda base, refractory, readout: replace(SENSORS[base], refractory_us=refractory, readout=readout),
    st.sampled_from(sorted(SENSORS)),
    st.sampled_from([0, 300, 20_000]),
    st.sampled_from([None, Readout(2e5), Readout(5e6, 0.5, "column", holds=False)]),
)


@settings(max_examples=15, deadline=None)
@given(presets, st.integers(0, 2**32), st.sampled_from([(9, 7), (64, 2), (75, 40)]))
def test_events_are_sorted_within_the_sensor_and_the_same_for_any_threads(preset, seed, size) -> None:
    width, height = size
    random = np.random.default_rng(seed)
    simulators = [EventSimulator(width, height, preset, seed, threads) for threads in (1, 3)]
    picture, t, last = random.random((height, width), np.float32), 5, -1
    for _ in range(25):
        picture = picture.copy()
        picture[random.integers(height)] = random.random(width)
        # A small picture too is shared out.
        with mock.patch("snnface.converters.simulator.AT_ONCE", 4):
            one, other = (s.step(picture, t) for s in simulators)
        assert np.array_equal(one, other)
        assert (np.diff(one["t"]) >= 0).all()
        assert ((one["t"] > last) & (one["t"] <= t)).all()
        assert (one["x"] < width).all()
        assert (one["y"] < height).all()
        last, t = t, t + int(random.choice([1, 70, 1000, 40_000]))


@pytest.mark.parametrize("cutoff_hz", [0.0, 5.0])
def test_blocks_that_sleep_give_the_events_of_blocks_that_do_not(cutoff_hz: float) -> None:
    """A pixel of each block flickers, so that none sleeps; the others must not notice."""
    preset = replace(SENSORS["imx636"], shot_hz=0.0, leak_hz=3.0, cutoff_hz=cutoff_hz, readout=None)
    side, random = 32, np.random.default_rng(0)
    still = random.random((side, side), np.float32)
    flickers = np.zeros(side**2, bool)
    flickers[::64] = True
    flickers = flickers.reshape(side, side)

    def light(t: int) -> np.ndarray:
        return np.where(still > 0.5, still, 0.7 * still) if 3 * 10**5 < t < 5 * 10**5 else still

    def flickering(t: int) -> np.ndarray:
        return np.where(flickers, 0.5 + 0.3 * ((t // 1000) % 2), light(t))

    times = np.cumsum([0, *[1000] * 900, *[33_000] * 10])
    sleeping, restless = (simulate(preset, each, times) for each in (light, flickering))
    others = [e[~flickers[e["y"], e["x"]]] for e in (sleeping, restless)]
    assert len(others[0]) > 2000
    assert np.array_equal(*others)

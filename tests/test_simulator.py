"""The event simulator against closed forms: ramps, steps of light, noise rates, dead time."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnface.converters.sensor_table import table
from snnface.converters.sensors import SENSORS, SensorPreset, sensor
from snnface.converters.simulator import DARK, EventSimulator
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE

CLEAN = SENSORS["clean"]
WIDTH, HEIGHT = 5, 3
#: Log contrast a second of each pixel; among them none, slow, fast, up and down.
SLOPES = np.array([0, 0.3, -0.3, 1, -1, 2, -2, 4, -4, 8, -8, 16, -16, 0.01, -0.01]).reshape(HEIGHT, WIDTH)


def ramp(t_us: float) -> np.ndarray:
    """Light whose log, dark light included, moves in straight lines; bright enough never to be negative."""
    return (np.exp(6 + SLOPES * t_us * 1e-6) - DARK).astype(np.float32)


def run(preset: SensorPreset, light, times_us, width: int = WIDTH, height: int = HEIGHT, seed: int = 0) -> np.ndarray:
    """Events of pictures ``light(t)`` at some times, each part checked against its own interval."""
    simulator, parts, last = EventSimulator(width, height, preset, seed), [], -1
    for t in times_us:
        events = simulator.step(light(t), int(t))
        assert events.dtype == EVENT_DTYPE
        assert (np.diff(events["t"]) >= 0).all()
        assert ((events["t"] > last) & (events["t"] <= t)).all()
        parts.append(events)
        last = t
    return np.concatenate(parts)


def of_pixel(events: np.ndarray, x: int, y: int) -> np.ndarray:
    return events[(events["x"] == x) & (events["y"] == y)]


@settings(max_examples=40, deadline=None)
@given(
    on=st.floats(0.02, 0.5),
    off=st.floats(0.02, 0.5),
    refractory=st.sampled_from([0, 1, 300, 20_000]),
    gaps=st.lists(st.integers(1, 30_000), min_size=1, max_size=12),
    seed=st.integers(0, 2**32),
)
def test_a_ramp_gives_events_at_the_times_of_the_closed_form(on, off, refractory, gaps, seed) -> None:
    preset = replace(CLEAN, threshold_on=on, threshold_off=off, refractory_us=refractory)
    times = np.cumsum([0, *gaps])
    events = run(preset, ramp, times, seed=seed)
    for y, x in np.ndindex(HEIGHT, WIDTH):
        slope, own = SLOPES[y, x], of_pixel(events, x, y)
        if slope == 0:
            assert len(own) == 0
            continue
        threshold = on if slope > 0 else off
        period_us = threshold / abs(slope) * 1e6 + refractory
        assert (own["p"] == (slope > 0)).all()
        # The phase of the first event is random, between the two thresholds; the others follow from it.
        if len(own) == 0:
            assert (on + off) / abs(slope) * 1e6 + 2 > times[-1]
            continue
        first, tolerance = own["t"][0], 2 + 10 / abs(slope)
        assert first <= (on + off) / abs(slope) * 1e6 + tolerance
        assert own["t"] == pytest.approx(first + np.arange(len(own)) * period_us, abs=tolerance)
        assert own["t"][-1] + period_us + tolerance > times[-1]


def test_times_do_not_depend_on_how_often_the_light_is_sampled() -> None:
    preset = replace(CLEAN, refractory_us=700)
    coarse = run(preset, ramp, [0, 300_000], seed=3)
    fine = run(preset, ramp, range(0, 300_001, 1000), seed=3)
    assert len(coarse) > 50
    for y, x in np.ndindex(HEIGHT, WIDTH):
        assert of_pixel(coarse, x, y)["t"] == pytest.approx(of_pixel(fine, x, y)["t"], abs=30)


def test_the_low_pass_answers_a_step_of_light_as_a_first_order_filter() -> None:
    bright, brighter, cutoff_hz = 1.0, 20.0, 40.0
    preset = replace(CLEAN, threshold_on=0.1, threshold_off=0.1, cutoff_hz=cutoff_hz)
    tau_us = 1e6 / (2 * math.pi * cutoff_hz)
    times = [0, 1, *range(50, 30_001, 50)]
    events = run(preset, lambda t: np.full((1, 1), bright if t == 0 else brighter), times, 1, 1)
    start, end = math.log(bright + DARK), math.log(brighter + DARK)
    level = end + (start - end) * np.exp(-(events["t"][0] - 1) / tau_us)
    reached = level + 0.1 * np.arange(len(events))
    expected = 1 - tau_us * np.log((end - reached) / (end - start))
    assert len(events) >= (end - start) / 0.1 - 2.5
    assert events["p"].all()
    assert events["t"] == pytest.approx(expected, abs=60)


def test_the_low_pass_is_slower_in_the_dark() -> None:
    preset = replace(CLEAN, threshold_on=0.1, threshold_off=0.1, cutoff_hz=20.0)
    light = np.repeat([[0.1, 0.8]], 50, axis=0)
    events = run(preset, lambda t: light if t == 0 else light * 1.25, range(0, 150_001, 500), 2, 50)
    dim, bright = (np.median(of_column["t"]) for of_column in (events[events["x"] == x] for x in (0, 1)))
    assert dim > 3 * bright


def test_still_light_without_noise_is_silent() -> None:
    light = np.random.default_rng(0).random((40, 30), np.float32)
    assert len(run(CLEAN, lambda t: light, range(0, 10**6, 10_000), 30, 40)) == 0


@pytest.mark.parametrize("seed", [0, 1])
def test_leak_fires_on_events_at_its_rate_spread_over_time(seed: int) -> None:
    preset, seconds, side = replace(CLEAN, leak_hz=0.5), 3, 40
    light = np.full((side, side), 0.3)
    events = run(preset, lambda t: light, range(0, seconds * 10**6 + 1, 100_000), side, side, seed)
    # 1.5 threshold a pixel, from a gap that is uniform over both thresholds: 1 or 2 events from half of the pixels.
    expected = side**2 * np.mean(np.floor(np.linspace(-1, 1, 10_001)[:-1] + 0.5 * seconds).clip(0))
    assert events["p"].all()
    assert len(events) == pytest.approx(expected, abs=5 * side)
    assert np.histogram(events["t"], 3)[0].min() > 0.1 * len(events)
    assert np.histogram(events["t"] % 100_000, 10)[0].min() > 0.07 * len(events)


@pytest.mark.parametrize(("light", "share"), [(0.0, 1.0), (0.4, 0.7), (1.0, 0.25), (3.0, 0.25)])
def test_shot_noise_has_the_rate_of_its_light(light: float, share: float) -> None:
    preset, side, seconds = replace(CLEAN, shot_hz=4.0), 40, 2
    events = run(preset, lambda t: np.full((side, side), light), range(0, seconds * 10**6 + 1, 8000), side, side)
    expected = 4.0 * share * side**2 * seconds
    assert len(events) == pytest.approx(expected, abs=5 * math.sqrt(expected))
    assert events["p"].mean() == pytest.approx(0.5, abs=2.5 / math.sqrt(expected))
    counts = np.histogram2d(events["x"], events["y"], side)[0]
    assert counts.var() == pytest.approx(counts.mean(), rel=0.2)


@settings(max_examples=15, deadline=None)
@given(refractory=st.integers(1, 30_000), seed=st.integers(0, 2**32))
def test_no_pixel_fires_while_it_recovers(refractory: int, seed: int) -> None:
    preset = replace(SENSORS["davis346"], refractory_us=refractory, shot_hz=200.0)
    random = np.random.default_rng(seed)
    events = run(preset, lambda t: random.random((HEIGHT, WIDTH)), range(0, 200_000, 3000), seed=seed)
    assert len(events) > 10
    for y, x in np.ndindex(HEIGHT, WIDTH):
        assert (np.diff(of_pixel(events, x, y)["t"]) >= refractory - 1).all()


def test_a_flash_fits_whatever_its_size() -> None:
    side = 150
    preset = replace(CLEAN, threshold_on=0.05)
    events = run(preset, lambda t: np.full((side, side), 0.0 if t == 0 else 1.0), [0, 1000], side, side)
    steps = math.log((1 + DARK) / DARK) / 0.05
    counts = np.zeros((side, side), int)
    np.add.at(counts, (events["y"], events["x"]), 1)
    assert counts.min() >= int(steps) - 4  # an OFF threshold of 0.2 is four ON thresholds away
    assert counts.max() <= int(steps) + 1


def test_thresholds_differ_between_pixels_by_the_mismatch() -> None:
    side, contrast = 40, 20.0
    preset = replace(CLEAN, threshold_on=0.1, mismatch=0.12)

    def light(t: int) -> np.ndarray:
        return np.full((side, side), math.exp(contrast * t * 1e-6))

    events = run(preset, light, range(0, 10**6 + 1, 50_000), side, side)
    counts = np.zeros((side, side))
    np.add.at(counts, (events["y"], events["x"]), 1)
    thresholds = (math.log(math.exp(contrast) + DARK) - math.log(1 + DARK)) / counts
    assert thresholds.mean() == pytest.approx(0.1, rel=0.03)
    assert thresholds.std() == pytest.approx(0.012, rel=0.15)


@pytest.mark.parametrize("name", sorted(SENSORS))
def test_the_seed_alone_decides(name: str) -> None:
    def events(seed: int) -> np.ndarray:
        random = np.random.default_rng(7)
        return run(sensor(name), lambda t: random.random((HEIGHT, WIDTH)), range(0, 50_000, 1000), seed=seed)

    assert np.array_equal(events(5), events(5))
    assert not np.array_equal(events(5), events(6))


@pytest.mark.parametrize(
    ("light", "t_us", "what"),
    [
        (np.ones((WIDTH, HEIGHT)), 20, "picture of shape"),
        (np.ones((HEIGHT, WIDTH)), 10, "after one at 10"),
        (np.full((HEIGHT, WIDTH), np.nan), 20, "not finite"),
        (np.full((HEIGHT, WIDTH), -0.1), 20, "negative"),
    ],
)
def test_pictures_that_make_no_sense_are_refused(light: np.ndarray, t_us: int, what: str) -> None:
    simulator = EventSimulator(WIDTH, HEIGHT, CLEAN, 0)
    simulator.step(np.ones((HEIGHT, WIDTH)), 10)
    with pytest.raises(InputError, match=what):
        simulator.step(light, t_us)


def test_an_unknown_sensor_is_named_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"nikon.*clean, davis346, evk4"):
        sensor("nikon")


@pytest.mark.parametrize("name", [n for n in SENSORS if n != "clean"])
def test_every_figure_of_a_preset_has_its_source(name: str) -> None:
    preset = sensor(name)
    figures = {f.name: getattr(preset, f.name) for f in fields(preset) if f.name not in ("name", "source", "sources")}
    without = {n for n, value in figures.items() if value and len(preset.sources.get(n, "")) < 10}
    assert without == set()
    assert set(preset.sources) <= set(figures)
    assert 0.1 <= preset.threshold_on <= 0.5
    assert 0.1 <= preset.threshold_off <= 0.5


def test_the_page_shows_the_presets_as_they_are() -> None:
    page = (Path(__file__).parent.parent / "docs" / "simulator.md").read_text(encoding="utf-8")
    shown = page.split("<!-- sensors:begin -->")[1].split("<!-- sensors:end -->")[0]
    assert shown.strip() == table()

"""With all noise of a preset on, its figures come back from the events alone, within 5 %."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from simulated import by_pixel, flat, per_pixel, simulate

from snnface.converters.noise import leak_rates
from snnface.converters.sensors import SENSORS, SensorPreset, sensor
from snnface.converters.simulator import DARK, DARK_BANDWIDTH

NOISY = [name for name in SENSORS if name != "clean"]
#: Pixels of a side; bright light, at which the bandwidth is the preset's and shot noise is least.
SIDE, BRIGHT = 64, 4.0


def ramp_of(slopes: list[tuple[float, float]]):
    """Light of bright pixels whose log goes in straight lines, (duration s, log contrast a second) each."""
    ends = np.cumsum([0.0, *(seconds for seconds, _ in slopes)])
    levels = np.cumsum([BRIGHT, *(seconds * slope for seconds, slope in slopes)])
    return lambda t: flat(SIDE, float(np.interp(t * 1e-6, ends, levels)))


def usual_interval(events: np.ndarray, positive: bool, since: float, until: float) -> np.ndarray:
    """Each pixel's median time (µs) between events of a polarity between two times (s)."""
    events = events[(events["t"] > since * 1e6) & (events["t"] <= until * 1e6) & (events["p"] == positive)]
    t, _, pixel = by_pixel(events, SIDE)
    same = pixel[1:] == pixel[:-1]
    return per_pixel(np.diff(t)[same], pixel[1:][same], SIDE**2, np.median)


@pytest.mark.parametrize("name", NOISY)
def test_ramps_tell_thresholds_mismatch_and_refractory_period(name: str) -> None:
    """On a steep and a gentle ramp of log light the intervals are threshold / slope + refractory period."""
    preset, gentle, steep = replace(sensor(name), hot_fraction=0.0), 20.0, 1000.0  # hot pixels keep no ramp's time
    parts = [(0.3, gentle), (0.012, steep), (0.3, -gentle)]
    times = [*range(0, 300_000, 10_000), *range(300_000, 312_000, 500), *range(312_000, 612_001, 10_000)]
    events = simulate(preset, ramp_of(parts), times)
    up, down = usual_interval(events, True, 0.02, 0.3), usual_interval(events, False, 0.33, 0.612)
    fast = usual_interval(events, True, 0.304, 0.312)
    on = (up - fast) / (1e6 / gentle - 1e6 / steep)
    refractory = np.nanmean(fast - on * 1e6 / steep)
    off = (down - refractory) * gentle * 1e-6
    assert refractory == pytest.approx(preset.refractory_us, rel=0.05)
    assert np.nanmean(on) == pytest.approx(preset.threshold_on, rel=0.05)
    assert np.nanmean(off) == pytest.approx(preset.threshold_off, rel=0.05)
    assert np.nanstd(on) / np.nanmean(on) == pytest.approx(preset.mismatch, rel=0.05)
    assert np.nanstd(off) / np.nanmean(off) == pytest.approx(preset.mismatch, rel=0.05)
    assert np.isfinite(on).mean() > 0.99


@pytest.mark.parametrize("name", NOISY)
def test_pixels_in_bright_still_light_tell_their_leak(name: str) -> None:
    """After any event a pixel waits for its next one no longer than its leak takes to reach the ON threshold."""
    preset, side = replace(sensor(name), refractory_us=0), 48
    duration_us = round(16e6 / preset.leak_hz)
    light = np.full((side, side), 200.0, np.float32)
    events = simulate(preset, lambda t: light, range(0, duration_us + 1, duration_us // 20))
    t, _, pixel = by_pixel(events, side)
    same = pixel[1:] == pixel[:-1]
    rates = 1e6 / per_pixel(np.diff(t)[same], pixel[1:][same], side**2, np.max)
    rates = rates[rates < 10 * np.median(rates)]  # the others are hot
    assert len(rates) > 0.995 * side**2
    assert rates.mean() == pytest.approx(preset.leak_hz, rel=0.05)
    assert np.log10(rates).std() == pytest.approx(preset.leak_spread, rel=0.05, abs=0.002)


@pytest.mark.parametrize("name", NOISY)
def test_off_events_in_still_light_tell_shot_noise_against_light(name: str) -> None:
    """Leak makes ON events only; half of the shot noise is OFF."""
    preset, lights, wanted, side = sensor(name), np.array([0, 0.1, 1.0]), 5000, 64
    b, h = preset.bright_shot, preset.shot_half
    rates = preset.shot_hz * (b + (1 - b) * (h / (h + lights) if h else 1 - lights))
    for light, rate in zip(lights, rates, strict=True):
        picture = np.full((side, side), light)
        duration_us = round(wanted / (side**2 * rate / 2) * 1e6)
        events = simulate(preset, lambda t, picture=picture: picture, [0, duration_us // 2, duration_us])
        found = 2 * (~events["p"]).sum() / side**2 / (duration_us * 1e-6)
        assert found == pytest.approx(rate, rel=0.05)


@pytest.mark.parametrize("light", [1.0, 0.2])
@pytest.mark.parametrize("name", NOISY)
def test_a_small_step_of_light_tells_the_low_pass_corner(name: str, light: float) -> None:
    """The gap to the threshold is uniform over pixels, so that the first ON events fall off as the step's answer."""
    # All pixels at once are more than some buses can take.
    preset, side, step = replace(sensor(name), readout=None), 200, 0.1
    corner = preset.cutoff_hz * min(light + DARK_BANDWIDTH, 1)
    # The step is one picture later by 1 µs; from then on pictures are a twentieth of the time constant apart.
    tau_us = 1e6 / (2 * math.pi * corner)
    before = flat(side, math.log(light + DARK))
    after = flat(side, math.log(light + DARK) + step)
    bandwidth = min(float(after[0, 0]) + DARK_BANDWIDTH, 1) / min(light + DARK_BANDWIDTH, 1)
    times = [0, 1, *np.unique(np.rint(np.arange(1, 161) * tau_us / 20).astype(int) + 1)]
    events = simulate(preset, lambda t: before if t == 0 else after, times)
    first = np.full(side**2, np.inf)
    rising = events[events["p"]][::-1]
    first[rising["y"].astype(int) * side + rising["x"]] = rising["t"]
    typical_us = np.median(first[np.isfinite(first)]) - 1.5  # the step took 1 µs; times are rounded up
    found = math.log(2) / (2 * math.pi * typical_us * 1e-6)
    assert found / bandwidth == pytest.approx(corner, rel=0.05)


def test_hot_pixels_are_as_many_and_as_hot_as_asked() -> None:
    preset = replace(sensor("imx636"), hot_fraction=0.02, hot_hz=50.0, shot_hz=0.0, readout=None)
    events = simulate(preset, lambda t: np.ones((SIDE, SIDE)), range(0, 4_000_001, 500_000))
    counts = np.bincount(by_pixel(events, SIDE)[2], minlength=SIDE**2)
    hot = counts[counts > 40]
    assert len(hot) == pytest.approx(0.02 * SIDE**2, abs=3 * math.sqrt(0.02 * SIDE**2))
    assert hot.mean() / 4 == pytest.approx(50.0, rel=0.1)
    assert events["p"].all()


def test_leak_rates_have_the_mean_that_is_asked_whatever_their_spread() -> None:
    random = np.random.default_rng(1)
    for spread in (0.0, 0.1, 0.3):
        preset = SensorPreset("x", 0.2, 0.2, 0, 0, 0.4, 0, 0, "", leak_spread=spread)
        rates = leak_rates(preset, 100_000, random)
        assert rates.mean() == pytest.approx(0.4, rel=0.01)
        assert np.log10(rates).std() == pytest.approx(spread, rel=0.02, abs=1e-12)


def test_noise_that_a_preset_has_not_changes_nothing_in_it() -> None:
    """Spread of leak and hot pixels are drawn from a stream of their own."""
    plain = replace(sensor("davis346"), leak_hz=0.0)
    random = np.random.default_rng(2)
    pictures = random.random((40, 20, 30), np.float32)
    events = [
        simulate(p, lambda t: pictures[t // 1000], range(0, 40_000, 1000), seed=3)
        for p in (plain, replace(plain, hot_fraction=1e-12, leak_spread=0.2))
    ]
    assert len(events[0]) > 1000
    assert np.array_equal(*events)

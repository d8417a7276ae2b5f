"""What a sensor does by itself: pixels that differ, leak, hot pixels, shot noise."""

from __future__ import annotations

import math

import numpy as np

from snnface.converters.preset import SensorPreset


def thresholds(sensor: SensorPreset, pixels: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """ON and OFF threshold of each pixel, log contrast, float64 ``[N]``: normal around the preset's, ≥ 30 % of it."""
    spread = random.normal(1.0, sensor.mismatch, (2, pixels)).clip(0.3)
    return sensor.threshold_on * spread[0], sensor.threshold_off * spread[1]


def leak_rates(sensor: SensorPreset, pixels: int, random: np.random.Generator) -> np.ndarray:
    """ON events a second that each pixel's leak makes, float64 ``[N]``.

    Log-normal with a mean of ``leak_hz`` (the spread of Hu, Liu and Delbruck 2021); hot pixels, anywhere, leak at
    ``hot_hz`` instead, with the same spread.
    """
    sigma = math.log(10) * sensor.leak_spread
    spread = np.exp(random.normal(-(sigma**2) / 2, sigma, pixels))
    hot = random.random(pixels) < sensor.hot_fraction
    return np.where(hot, sensor.hot_hz, sensor.leak_hz) * spread


def shot_share(sensor: SensorPreset, light: np.ndarray) -> np.ndarray:
    """Shot noise in some light (any shape), as a fraction of that in the dark.

    With ``bright_shot`` = b and ``shot_half`` = h it is b + (1 − b)·h / (h + light); with h = 0 it falls in a
    straight line to b at full light (as in v2e).
    """
    bright, half = sensor.bright_shot, sensor.shot_half
    if half:
        return bright + (1 - bright) * half / (half + light)
    return 1 - (1 - bright) * np.minimum(light, 1)


def shot_noise(
    sensor: SensorPreset, light: np.ndarray, start: int, stop: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixel, time (µs) and polarity of noise events ``[K]`` between two times, sorted by pixel, then time.

    ``light``: float32 ``[N]``. A Poisson process of its own in each pixel, of rate ``shot_hz`` ·
    :func:`shot_share`.
    """
    count = random.poisson(sensor.shot_hz * len(light) * (stop - start) * 1e-6)
    if count == 0:
        return np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_)
    # Pixel and, behind the point, share of the time: one sort puts both in order.
    place = np.sort(random.integers(0, len(light), count) + random.random(count))
    pixel = np.minimum(place, len(light) - 1).astype(np.int64)
    kept = random.random(count) < shot_share(sensor, light[pixel])
    t = start + (place - pixel) * (stop - start)
    return pixel[kept], t[kept], random.random(np.count_nonzero(kept)) < 0.5

"""What a sensor does by itself: pixels that differ, leak, hot pixels, shot noise."""

from __future__ import annotations

import math
from typing import Any

import numba
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
    if sensor.shot_hz == 0:
        return np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_)
    most = sensor.shot_hz * (stop - start) * 1e-6
    pixel, t, on = _arrivals(light, most, sensor.bright_shot, sensor.shot_half, random)
    return pixel, start + t * (stop - start), on


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _arrivals(light: Any, most: float, bright: float, half: float, random: Any) -> Any:
    """Pixel, share of the time and polarity of events of which a dark pixel has ``most`` on average.

    One Poisson process runs through the time of one pixel after another, so that nothing needs to be sorted; what is
    too much in light is left out.
    """
    room = int(most * len(light) + 8 * math.sqrt(most * len(light))) + 16
    pixel, t, on = np.empty(room, np.int64), np.empty(room), np.empty(room, np.bool_)
    count, place = 0, random.standard_exponential() / most
    while place < len(light):
        i = int(place)
        if half > 0:
            share = bright + (1 - bright) * half / (half + light[i])
        else:
            share = 1 - (1 - bright) * min(light[i], 1.0)
        chance = random.random()
        # Whatever is less than its half is so by an even chance. No branch: it would wait for the light.
        pixel[count], t[count], on[count] = i, place - i, 2 * chance < share
        count += chance < share and count < room - 1
        place += random.standard_exponential() / most
    return pixel[:count], t[:count], on[:count]

"""Light to events: every pixel compares the log of its light with the level that it remembers.

A pixel follows the log light through a low-pass whose bandwidth grows with the light, and fires each time it is one
threshold away from the remembered level, which then becomes the present one; while it recovers (refractory period)
the remembered level goes along. Leak drifts the memory, shot noise fires by chance, thresholds differ from pixel to
pixel (Lichtsteiner et al. 2008; noise terms after Hu, Liu and Delbruck 2021). Between two pictures everything moves
in straight lines, so that the times of crossings do not depend on how often the light is sampled.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from snnface.converters.sensors import SensorPreset
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, pack

#: Light below which the logarithm flattens (dark current), as a fraction of full light.
DARK = 0.01
#: Bandwidth in the dark, and shot noise at full light, as fractions of the preset's figures.
DARK_BANDWIDTH, BRIGHT_SHOT = 0.05, 0.25


class EventSimulator:
    """State of all pixels; feed it pictures in order of time.

    The first picture only sets the state: pixels start settled, each at a random phase between its two thresholds.
    The same seed and pictures give the same events.

    Parameters
    ----------
    width, height: sensor size in pixels.
    sensor: thresholds, bandwidth and noise.
    seed: of mismatch, phases and noise.
    """

    def __init__(self, width: int, height: int, sensor: SensorPreset, seed: int) -> None:
        self.width, self.height, self.sensor = width, height, sensor
        self._random = np.random.default_rng(seed)
        spread = self._random.normal(1.0, sensor.mismatch, (2, width * height)).clip(0.3)
        self._on, self._off = sensor.threshold_on * spread[0], sensor.threshold_off * spread[1]
        self._log_light = np.zeros(0, np.float32)
        #: What the pixels see after the low-pass, and how far it is from what they remember (log contrast).
        self._level, self._gap = np.zeros(0, np.float32), np.zeros(0)
        self._ready_us = np.full(width * height, -np.inf)
        self._t_us: int | None = None

    def step(self, luminance: np.ndarray, t_us: int) -> np.ndarray:
        """Events since the last picture, structured ``[E]`` (:data:`~snnface.events.EVENT_DTYPE`), sorted by time.

        ``luminance``: float ``[H, W]`` linear light, ≥ 0, about 0..1; ``t_us``: its time in µs. An event's time t is
        rounded up to whole µs: last picture < t ≤ ``t_us``.

        Raises
        ------
        InputError: the picture is of another size or not finite and ≥ 0, or it is not later than the last one.
        """
        light = self._checked(luminance, t_us)
        log_light = np.log(light + np.float32(DARK))
        if self._t_us is None:
            self._log_light = self._level = log_light
            self._gap = self._random.uniform(-self._off, self._on)
            self._t_us = t_us
            return np.empty(0, EVENT_DTYPE)
        level = self._followed(light, log_light, t_us - self._t_us)
        leak = self.sensor.leak_hz * (t_us - self._t_us) * 1e-6
        noise = self._shot_noise(light, t_us)
        pixels = (self._gap, self._ready_us, self._on, self._off)
        t, pixel, polarity = _crossings(
            level, self._level, leak, *pixels, *noise, self.sensor.refractory_us, self._t_us, t_us
        )
        ticks = t - self._t_us
        # Sorting 16-bit numbers is by radix, several times faster.
        order = np.argsort(ticks.astype(np.uint16) if t_us - self._t_us < 65536 else ticks, kind="stable")
        self._log_light, self._level, self._t_us = log_light, level, t_us
        return pack(t[order], pixel[order] % self.width, pixel[order] // self.width, polarity[order])

    def _checked(self, luminance: np.ndarray, t_us: int) -> np.ndarray:
        """float32 ``[H · W]``."""
        if luminance.shape != (self.height, self.width):
            fix = f"Pass {self.height} rows of {self.width} pixels"
            raise InputError("simulator", f"picture of shape {luminance.shape}", fix)
        if self._t_us is not None and t_us <= self._t_us:
            raise InputError("simulator", f"picture at {t_us} µs after one at {self._t_us} µs", "Sort them by time")
        light = np.ascontiguousarray(luminance, np.float32).reshape(-1)
        if not (light.min() >= 0 and light.max() < np.inf):
            raise InputError("simulator", f"light at {t_us} µs is negative or not finite", "Pass linear light ≥ 0")
        return light

    def _followed(self, light: np.ndarray, log_light: np.ndarray, duration_us: int) -> np.ndarray:
        """Log level ``[H · W]`` after the low-pass: its exact answer to log light that moved in a straight line."""
        if self.sensor.cutoff_hz == 0:
            return log_light
        bandwidth = self.sensor.cutoff_hz * np.minimum(light + np.float32(DARK_BANDWIDTH), 1)
        age = np.float32(2e-6 * np.pi * duration_us) * bandwidth
        lag = (log_light - self._log_light) / age
        return log_light - lag + (self._level - self._log_light + lag) * np.exp(-age)

    def _shot_noise(self, light: np.ndarray, t_us: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixel, time (µs) and polarity of noise events, sorted by pixel, then time; fewer where it is bright."""
        assert self._t_us is not None
        count = self._random.poisson(self.sensor.shot_hz * len(light) * (t_us - self._t_us) * 1e-6)
        if count == 0:
            return np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_)
        # Pixel and, behind the point, share of the time: one sort puts both in order.
        place = np.sort(self._random.integers(0, len(light), count) + self._random.random(count))
        pixel = np.minimum(place, len(light) - 1).astype(np.int64)
        kept = self._random.random(count) < 1 - (1 - BRIGHT_SHOT) * np.minimum(light[pixel], 1)
        t = self._t_us + (place - pixel) * (t_us - self._t_us)
        return pixel[kept], t[kept], self._random.random(np.count_nonzero(kept)) < 0.5


@numba.njit(cache=True, nogil=True)
def _crossings(
    level: Any, before: Any, leak: float, gap: Any, ready: Any, on: Any, off: Any, noise_pixel: Any, noise_t: Any,
    noise_on: Any, refractory: int, start: int, stop: int,
) -> Any:  # fmt: skip
    """Move all pixels from ``start`` to ``stop`` (µs); ``gap`` and ``ready`` are changed.

    ``level``, ``before``: what the pixels see at the end and at the start; ``leak``: ON thresholds leaked meanwhile.
    Returns t, pixel and polarity ``[E]`` of the events, by pixel. The three outputs grow as needed: no burst is too
    large.
    """
    t_out, pixel_out, on_out = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024, np.bool_)
    count = 0
    k = 0
    for i in range(len(gap)):
        # By how much the gap would grow without events.
        change = np.float64(level[i] - before[i]) + leak * on[i]
        if (k == len(noise_pixel) or noise_pixel[k] != i) and ready[i] <= start:
            end = gap[i] + change
            if -off[i] < end < on[i]:
                gap[i] = end
                continue
        slope = change / (stop - start)
        now = max(float(start), ready[i])
        while now < stop:
            crossing = np.inf
            if slope > 0:
                crossing = max(now, now + (on[i] - gap[i]) / slope)
            elif slope < 0:
                crossing = max(now, now - (off[i] + gap[i]) / slope)
            while k < len(noise_pixel) and noise_pixel[k] == i and noise_t[k] < now:
                k += 1
            fired, positive = crossing, slope > 0
            if k < len(noise_pixel) and noise_pixel[k] == i and noise_t[k] < crossing:
                fired, positive = noise_t[k], noise_on[k]
                k += 1
            if fired > stop:
                break
            if count == len(t_out):
                t_out = np.concatenate((t_out, np.empty_like(t_out)))
                pixel_out = np.concatenate((pixel_out, np.empty_like(pixel_out)))
                on_out = np.concatenate((on_out, np.empty_like(on_out)))
            # A crossing at a whole µs stays there in spite of rounding errors.
            t_out[count] = min(max(int(np.ceil(fired - 1e-6)), start + 1), stop)
            pixel_out[count], on_out[count] = i, positive
            count += 1
            now = fired + refractory
            gap[i], ready[i] = 0.0, now
        if now < stop:
            gap[i] += slope * (stop - now)
        while k < len(noise_pixel) and noise_pixel[k] == i:
            k += 1
    return t_out[:count], pixel_out[:count], on_out[:count]

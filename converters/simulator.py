"""Light to events: every pixel compares the log of its light with what it remembers.

A pixel follows the log light through a low-pass whose bandwidth grows with the light, and fires each time it has
moved by a threshold from the remembered level; the time of each crossing is interpolated between two pictures.
Leak drifts the memory, shot noise adds events, thresholds differ from pixel to pixel (Lichtsteiner et al. 2008;
noise terms as in Hu, Liu and Delbruck 2021).
"""

from __future__ import annotations

import math

import numba
import numpy as np

from snnface.converters.sensors import SensorPreset
from snnface.events import EVENT_DTYPE, pack

#: Light below which the logarithm flattens (dark current), as a fraction of full light.
DARK = 0.01


class EventSimulator:
    """State of all pixels; feed it pictures in order of time.

    The first picture only sets the state: pixels start settled, their memory at a random phase between the two
    thresholds. The same seed and pictures give the same events.
    """

    def __init__(self, width: int, height: int, sensor: SensorPreset, seed: int) -> None:
        self.width, self.height, self.sensor = width, height, sensor
        self.rng = np.random.default_rng(seed)
        pixels = width * height
        spread = self.rng.normal(1.0, sensor.mismatch, (2, pixels)).clip(0.3)
        self.on = (sensor.threshold_on * spread[0]).astype(np.float32)
        self.off = (sensor.threshold_off * spread[1]).astype(np.float32)
        self.level = np.zeros(pixels, np.float32)
        self.memory = np.zeros(pixels, np.float32)
        self.fired_us = np.full(pixels, -(10**12), np.int64)
        self.t_us: int | None = None

    def step(self, luminance: np.ndarray, t_us: int) -> np.ndarray:
        """Events since the last picture, structured ``[E]`` (:data:`~snnface.events.EVENT_DTYPE`), sorted by time.

        ``luminance``: float32 ``[H, W]`` linear light, > 0, about 0..1; ``t_us``: its time, later than the last one.
        """
        light = np.ascontiguousarray(luminance, np.float32).reshape(-1)
        if self.t_us is None:
            self.t_us = t_us
            self.level = np.log(light + np.float32(DARK))
            phase = self.rng.random(len(light), np.float32)
            self.memory = self.level + self.off - phase * (self.on + self.off)
            return np.empty(0, EVENT_DTYPE)
        if t_us <= self.t_us:
            raise ValueError(f"picture at {t_us} µs after one at {self.t_us} µs")
        parts = [_crossings(light, *self._state(), *self._constants(), self.t_us, t_us), *self._noise(light, t_us)]
        t, pixel, polarity = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(t, kind="stable")
        self.t_us = t_us
        return pack(t[order], pixel[order] % self.width, pixel[order] // self.width, polarity[order])

    def _state(self) -> tuple[np.ndarray, ...]:
        return self.level, self.memory, self.fired_us, self.on, self.off

    def _constants(self) -> tuple[float, float, int]:
        return self.sensor.cutoff_hz, self.sensor.leak_hz, self.sensor.refractory_us

    def _noise(self, light: np.ndarray, t_us: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Shot noise: fewer where it is bright; a noise event also sets the pixel's memory."""
        assert self.t_us is not None
        rate = self.sensor.shot_hz * len(light) * (t_us - self.t_us) * 1e-6
        count = self.rng.poisson(rate) if rate > 0 else 0
        if count == 0:
            return []
        pixel = self.rng.integers(0, len(light), count)
        pixel = pixel[self.rng.random(count) < 1 - 0.75 * np.clip(light[pixel], 0, 1)]
        t = self.rng.integers(self.t_us + 1, t_us + 1, len(pixel))
        polarity = self.rng.random(len(pixel)) < 0.5
        self.memory[pixel] = self.level[pixel]
        return [(t, pixel, polarity)]


@numba.njit(cache=True, nogil=True)
def _crossings(light, level, memory, fired, on, off, cutoff_hz, leak_hz, refractory, start, stop):  # type: ignore[no-untyped-def]
    """Move all pixels from ``start`` to ``stop`` (µs); returns t, pixel and polarity of the crossings."""
    capacity = 4096
    t_out = np.empty(capacity, np.int64)
    pixel_out = np.empty(capacity, np.int64)
    polarity_out = np.empty(capacity, np.bool_)
    count = 0
    seconds = (stop - start) * 1e-6
    drift = leak_hz * seconds
    for i in range(len(light)):
        target = math.log(light[i] + DARK)
        before = level[i]
        after = target
        if cutoff_hz > 0:
            bandwidth = cutoff_hz * min(1.0, light[i] + 0.05)
            after = before + (1 - math.exp(-2 * math.pi * bandwidth * seconds)) * (target - before)
        level[i] = after
        memory[i] -= drift * on[i]
        slope = after - before
        while True:
            difference = after - memory[i]
            if difference >= on[i]:
                crossing, positive = memory[i] + on[i], True
            elif -difference >= off[i]:
                crossing, positive = memory[i] - off[i], False
            else:
                break
            fraction = (crossing - before) / slope if slope != 0 else 1.0
            t = start + math.ceil(min(max(fraction, 0.0), 1.0) * (stop - start))
            t = max(t, start + 1)
            memory[i] = crossing
            if t - fired[i] < refractory:
                continue
            fired[i] = t
            if count == capacity:
                capacity *= 2
                t_out = np.concatenate((t_out, np.empty(count, np.int64)))
                pixel_out = np.concatenate((pixel_out, np.empty(count, np.int64)))
                polarity_out = np.concatenate((polarity_out, np.empty(count, np.bool_)))
            t_out[count], pixel_out[count], polarity_out[count] = t, i, positive
            count += 1
    return t_out[:count], pixel_out[:count], polarity_out[:count]

"""Light to events: every pixel compares the log of its light with the level that it remembers.

A pixel follows the log light through a low-pass whose bandwidth grows with the light, and fires each time it is one
threshold away from the remembered level, which then becomes the present one; while it recovers (refractory period)
the remembered level goes along. Leak drifts the memory, shot noise fires by chance, thresholds differ from pixel to
pixel (Lichtsteiner et al. 2008; noise terms after Hu, Liu and Delbruck 2021). Between two pictures everything moves
in straight lines, so that the times of crossings do not depend on how often the light is sampled. A bus may read the
events late (docs/simulator.md).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from snnface.converters.noise import leak_rates, shot_noise, thresholds
from snnface.converters.pixels import (
    BLOCK,
    INFINITE,
    LONGEST_SLEEP,
    awake,
    compare,
    crossings,
    gather,
    in_order,
    scatter,
)
from snnface.converters.preset import SensorPreset
from snnface.converters.readout import Bus
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, pack

#: Light below which the logarithm flattens (dark current), as a fraction of full light.
DARK = 0.01
#: Bandwidth in the dark, as a fraction of the preset's figure.
DARK_BANDWIDTH = 0.05
#: Blocks that are computed at once, so that what they need stays in the cache.
AT_ONCE = 1024


class EventSimulator:
    """State of all pixels; feed it pictures in order of time.

    The first picture only sets the state: pixels start settled, each at a random phase between its two thresholds.
    The same seed and pictures give the same events, whatever the threads.

    Parameters
    ----------
    width, height: sensor size in pixels.
    sensor: thresholds, bandwidth, noise and readout.
    seed: of mismatch, phases and noise.
    threads: that share the work of a picture.
    random_phase: without, each pixel starts with the first picture's level as its memory.
    """

    def __init__(
        self,
        width: int,
        height: int,
        sensor: SensorPreset,
        seed: int,
        threads: int = 1,
        random_phase: bool = True,
    ) -> None:
        self.width, self.height, self.sensor = width, height, sensor
        pixels = width * height
        blocks = -(-pixels // BLOCK)
        self._random = np.random.default_rng(seed)
        on, off = thresholds(sensor, pixels, self._random)
        self._random_phase = random_phase
        # Pixels past the end fill the last block; they never fire.
        fill = blocks * BLOCK - pixels
        self._on, self._off = (np.append(x, np.full(fill, np.inf)) for x in (on, off))
        self._on_least, self._off_least = (x.reshape(-1, BLOCK).min(1) for x in (self._on, self._off))
        self._drift, self._leak_hz = np.append(on, np.zeros(fill)), sensor.leak_hz
        if sensor.leak_spread or sensor.hot_fraction:
            # A stream of its own: noise that a preset does not have changes nothing in it.
            other = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
            self._drift[:pixels] *= leak_rates(sensor, pixels, other)
            self._leak_hz = 1.0
        #: The last picture and its log; what the pixels see after the low-pass; how far that is from what they
        #: remember (log contrast); when they may fire again.
        self._seen, self._log_light, self._level = np.zeros((3, blocks * BLOCK), np.float32)
        self._gap = np.zeros(blocks * BLOCK)
        self._ready_us = np.full(blocks * BLOCK, -np.inf)
        # Of each block, as in pixels.py.
        self._busy_us, self._wake_us = np.full((2, blocks), -np.inf)
        self._rest_us, self._slept = np.zeros(blocks), np.zeros(blocks, np.int64)
        self._changed = np.zeros(blocks, np.bool_)
        self._leaks, self._step = np.zeros(LONGEST_SLEEP), 0
        self._t_us: int | None = None
        self._bus = Bus(width, height, sensor.readout) if sensor.readout else None
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    @property
    def dropped(self) -> int:
        """Events so far that the readout has dropped, because their pixel still waited for it."""
        return self._bus.dropped if self._bus else 0

    @property
    def waiting(self) -> int:
        """Events so far that wait for the readout."""
        return self._bus.waiting if self._bus else 0

    def step(self, luminance: np.ndarray, t_us: int) -> np.ndarray:
        """Events since the last picture, structured ``[E]`` (:data:`~snnface.events.EVENT_DTYPE`), sorted by time.

        ``luminance``: float ``[H, W]`` linear light, ≥ 0, about 0..1; ``t_us``: its time in µs. An event's time t is
        rounded up to whole µs: last picture < t ≤ ``t_us``. With a readout it is the time at which it is read.

        Raises
        ------
        InputError: the picture is of another size or not finite and ≥ 0, or it is not later than the last one.
        """
        light = self._checked(luminance, t_us)
        if self._t_us is None:
            self._begin(light, t_us)
            return np.empty(0, EVENT_DTYPE)
        events = self._moved(light, self._t_us, t_us)
        self._t_us = t_us
        return self._bus.read(events, t_us) if self._bus else events

    def flush(self) -> np.ndarray:
        """Events that still wait for the readout after the last picture, ``[E]``, with the times of their reading."""
        return self._bus.read(np.empty(0, EVENT_DTYPE), None) if self._bus else np.empty(0, EVENT_DTYPE)

    def _checked(self, luminance: np.ndarray, t_us: int) -> np.ndarray:
        """float32 ``[H · W]``."""
        if luminance.shape != (self.height, self.width):
            fix = f"Pass {self.height} rows of {self.width} pixels"
            raise InputError("simulator", f"picture of shape {luminance.shape}", fix)
        if self._t_us is not None and t_us <= self._t_us:
            raise InputError("simulator", f"picture at {t_us} µs after one at {self._t_us} µs", "Sort them by time")
        return np.ascontiguousarray(luminance, np.float32).reshape(-1)

    def _begin(self, light: np.ndarray, t_us: int) -> None:
        pixels = len(light)
        if not (light.min() >= 0 and light.max() < np.inf):
            raise _wrong_light(t_us)
        self._seen[:pixels] = light
        self._log_light[:] = self._level[:] = np.log(self._seen + np.float32(DARK))
        if self._random_phase:
            self._gap[:pixels] = self._random.uniform(-self._off[:pixels], self._on[:pixels])
        self._t_us = t_us

    def _moved(self, light: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Events of the pixels between two pictures, as they happen."""
        bits = compare(light.view(np.uint32), self._seen.view(np.uint32), self._changed)
        # Only −0 is not below infinity's bits and yet no wrong light.
        if bits >= INFINITE and not (light.min() >= 0 and light.max() < np.inf):
            raise _wrong_light(stop)
        noise = shot_noise(self.sensor, light, start, stop, self._random)
        blocks = awake(
            self._changed, noise[0], start, stop, self._step, self._busy_us, self._wake_us, self._rest_us, self._slept
        )
        self._leaks[self._step % LONGEST_SLEEP] = self._leak_hz * (stop - start) * 1e-6
        parts = [blocks[i : i + AT_ONCE] for i in range(0, len(blocks), AT_ONCE)]

        def of(part: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            return self._of_blocks(part, light, noise, start, stop)

        found = list((self._pool.map if self._pool else map)(of, parts))
        self._step += 1
        if not found:
            return np.empty(0, EVENT_DTYPE)
        t, pixel, on = (np.concatenate(columns) for columns in zip(*found, strict=True))
        if 8 * len(t) > stop - start:
            return pack(*in_order(t, pixel, on, start, stop, self.width))
        order = np.argsort(t, kind="stable")
        pixel = pixel[order]
        return pack(t[order], pixel % self.width, pixel // self.width, on[order])

    def _of_blocks(
        self,
        blocks: np.ndarray,
        light: np.ndarray,
        noise: tuple[np.ndarray, np.ndarray, np.ndarray],
        start: int,
        stop: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first, last = int(blocks[0]) * BLOCK, (int(blocks[-1]) + 1) * BLOCK
        if last - first == len(blocks) * BLOCK and last <= len(light):
            now, log_before, before = light[first:last], self._log_light[first:last], self._level[first:last]
        else:
            now, log_before, before = gather(blocks, light, self._log_light, self._level)
        log_now = np.log(now + np.float32(DARK))
        level = self._followed(now, log_now, log_before, before, stop - start)
        events = crossings(
            blocks, self._changed, level, before, self._leaks, self._leak_hz, self._step, self._gap, self._ready_us,
            self._on, self._off, self._on_least, self._off_least, self._drift, *noise, self.sensor.refractory_us,
            start, stop, self._busy_us, self._wake_us, self._slept,
        )  # fmt: skip
        scatter(
            blocks, self._changed, now, log_now, level, stop - start, self._seen, self._log_light, self._level,
            self._rest_us,
        )  # fmt: skip
        return events

    def _followed(
        self, light: np.ndarray, log_light: np.ndarray, log_before: np.ndarray, before: np.ndarray, duration_us: int
    ) -> np.ndarray:
        """Log level ``[P]`` after the low-pass: its exact answer to log light that moved in a straight line."""
        if self.sensor.cutoff_hz == 0:
            return log_light
        bandwidth = self.sensor.cutoff_hz * np.minimum(light + np.float32(DARK_BANDWIDTH), 1)
        age = np.float32(2e-6 * np.pi * duration_us) * bandwidth
        lag = (log_light - log_before) / age
        return log_light - lag + (before - log_before + lag) * np.exp(-age)


def _wrong_light(t_us: int) -> InputError:
    return InputError("simulator", f"light at {t_us} µs is negative or not finite", "Pass linear light ≥ 0")

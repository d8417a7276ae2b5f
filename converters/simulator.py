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

from snnface.converters.firing import BLOCK, DRIFT, OFF, ON, READY, SEEN, in_order
from snnface.converters.lowpass import DARK, DARK_BANDWIDTH
from snnface.converters.noise import leak_rates, shot_noise, thresholds
from snnface.converters.pixels import INFINITE, advance, begin, compare
from snnface.converters.preset import SensorPreset
from snnface.converters.readout import Bus
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, pack

__all__ = ["DARK", "DARK_BANDWIDTH", "EventSimulator"]

#: Fewer blocks than this are not worth a thread.
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
        drift = on * sensor.leak_hz
        if sensor.leak_spread or sensor.hot_fraction:
            # A stream of its own: noise that a preset does not have changes nothing in it.
            other = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
            drift = on * leak_rates(sensor, pixels, other)
        self._leaks = bool(drift.any())
        # As in firing.py and pixels.py.
        self._least = min(on.min(), off.min())
        self._planes, self._own = np.zeros((6, pixels), np.float32), np.zeros((pixels, 4))
        self._planes[DRIFT] = drift
        self._own[:, ON], self._own[:, OFF], self._own[:, READY] = on, off, -np.inf
        self._of_block, self._changed = np.zeros((3, blocks)), np.zeros(blocks, np.bool_)
        self._t_us: int | None = None
        self._bus = Bus(width, height, sensor.readout) if sensor.readout else None
        self._threads = threads
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
        if not (light.min() >= 0 and light.max() < np.inf):
            raise _wrong_light(t_us)
        gap = np.zeros(len(light))
        if self._random_phase:
            gap = self._random.uniform(-self._own[:, OFF], self._own[:, ON])
        begin(light, gap, t_us, self._planes, self._own, self._of_block)
        self._t_us = t_us

    def _moved(self, light: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Events of the pixels between two pictures, as they happen."""
        bits = compare(light.view(np.uint32), self._planes[SEEN].view(np.uint32), self._changed)
        # Only −0 is not below infinity's bits and yet no wrong light.
        if bits >= INFINITE and not (light.min() >= 0 and light.max() < np.inf):
            raise _wrong_light(stop)
        noise = shot_noise(self.sensor, light, start, stop, self._random)
        blocks = len(self._changed)
        parts = max(1, min(self._threads, blocks // AT_ONCE))
        ends = [blocks * i // parts for i in range(parts + 1)]

        def of(part: int) -> tuple[np.ndarray, np.ndarray, int]:
            return advance(
                ends[part], ends[part + 1], light, self._changed, *noise, self.sensor.cutoff_hz, self._leaks,
                self._least, self.sensor.refractory_us, start, stop, self._planes, self._own, self._of_block,
                *_room(),
            )  # fmt: skip

        found = list((self._pool.map if self._pool and parts > 1 else map)(of, range(parts)))
        t = np.concatenate([t_us[:count] for t_us, _, count in found])
        who = np.concatenate([which[:count] for _, which, count in found])
        events = np.empty(len(t), EVENT_DTYPE)
        if 8 * len(t) > stop - start:
            in_order(t, who, start, stop, self.width, events)
            return events
        order = np.argsort(t, kind="stable")
        pixel = who[order] >> 1
        return pack(t[order], pixel % self.width, pixel // self.width, who[order] & 1)


def _room() -> tuple[np.ndarray, np.ndarray]:
    return np.empty(1024, np.int64), np.empty(1024, np.int64)


def _wrong_light(t_us: int) -> InputError:
    return InputError("simulator", f"light at {t_us} µs is negative or not finite", "Pass linear light ≥ 0")

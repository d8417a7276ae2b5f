"""Pictures of known light for the simulator's tests, and pixels of the events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np

from snnface.converters.preset import SensorPreset
from snnface.converters.simulator import DARK, EventSimulator
from snnface.events import EVENT_DTYPE


def simulate(
    preset: SensorPreset, light: Callable[[int], np.ndarray], times_us: Iterable[int], seed: int = 0, **more: object
) -> np.ndarray:
    """Events of pictures ``light(t)`` at some times; every part is sorted and lies within its own interval."""
    simulator, parts, last = None, [np.empty(0, EVENT_DTYPE)], -1
    for t in times_us:
        picture = light(int(t))
        if simulator is None:
            simulator = EventSimulator(picture.shape[1], picture.shape[0], preset, seed, **more)  # type: ignore
        events = simulator.step(picture, int(t))
        assert events.dtype == EVENT_DTYPE
        assert (np.diff(events["t"]) >= 0).all()
        assert ((events["t"] > last) & (events["t"] <= t)).all()
        parts.append(events)
        last = t
    return np.concatenate(parts)


def flat(side: int, log_light: float) -> np.ndarray:
    """float32 ``[side, side]`` whose log, dark light included, is ``log_light``; never below dark."""
    return np.full((side, side), max(0.0, np.exp(log_light) - DARK), np.float32)


def by_pixel(events: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time, polarity and pixel of the events, sorted by pixel, then time."""
    pixel = events["y"].astype(np.int64) * width + events["x"]
    order = np.argsort(pixel, kind="stable")
    return events["t"][order], events["p"][order], pixel[order]


def per_pixel(values: np.ndarray, pixel: np.ndarray, pixels: int, of: Callable[[np.ndarray], float]) -> np.ndarray:
    """``of`` the values of each pixel (``pixel`` is sorted), NaN where it has none: ``[pixels]``."""
    ends = np.searchsorted(pixel, np.arange(pixels + 1))
    return np.array([of(values[a:b]) if b > a else np.nan for a, b in pairwise(ends)])

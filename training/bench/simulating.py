"""One picture of an event simulator. Every way, by name; the number tells the events that came out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snnface.converters.sensors import SENSORS, SensorPreset
from snnface.converters.simulator import DARK, EventSimulator
from snnface.training.bench.film import FIRST_ABOVE, THRESHOLD, log_of_grey, marks
from snnface.training.bench.implementation import Done, Implementation, Start, Step

STEP_US = 1000
#: v2e's own set of noise, "noisy", in our words and in its.
NOISY = SensorPreset(
    "noisy", threshold_on=0.2, threshold_off=0.2, mismatch=0.25, cutoff_hz=30.0, leak_hz=0.1, shot_hz=5.0,
    refractory_us=0, leak_spread=0.1, source="v2e's set of this name",
)  # fmt: skip
_V2E_NOISY = {"pos_thres": 0.2, "neg_thres": 0.2, "sigma_thres": 0.05, "cutoff_hz": 30, "leak_rate_hz": 0.1}
_V2E_NOISY |= {"shot_noise_rate_hz": 5.0, "refractory_period_s": 0, "leak_jitter_fraction": 0.1}
_CLEAN = SensorPreset("clean", THRESHOLD, THRESHOLD, 0, 0, 0, 0, 0, SENSORS["clean"].source)
_V2E_CLEAN = {"pos_thres": THRESHOLD, "neg_thres": THRESHOLD, "sigma_thres": 0, "cutoff_hz": 0, "leak_rate_hz": 0}
#: Pixel and polarity of the events of one picture.
Events = tuple[np.ndarray, np.ndarray]


def _steps(
    pictures: np.ndarray,
    light: Callable[[float], np.ndarray],
    noise: bool,
    generate: Callable[[np.ndarray, int], Any],
    columns: Callable[[Any, int], Events],
) -> Step:
    """Pictures forward and backward, so that nothing jumps, at times that go on; the clock runs for ``generate``.

    ``light`` gives what a simulator takes ``[256]`` of grey values that are so much above whole numbers.
    """
    count, height, width = pictures.shape
    mark = marks(height * width)
    first, others = (light(above).astype(np.float32) for above in (FIRST_ABOVE, 0.0))
    number = 0

    def step() -> Done:
        nonlocal number
        place = number % (2 * count - 2)
        picture = (others if number else first)[pictures[min(place, 2 * count - 2 - place)]]
        begin = time.perf_counter()
        events = generate(picture, number * STEP_US)
        taken = time.perf_counter() - begin
        number += 1
        pixel, on = columns(events, width)
        return Done(float(len(pixel) if noise else mark[2 * pixel + on].sum()), seconds=taken)

    return step


def _own(path: Path, options: dict[str, Any]) -> Start:
    pictures, noise = np.load(path), options["noise"]
    # The same logarithm as v2e's; where noise depends on light, white is full light (and all below 6 is dark).
    white = 255 if noise else 1

    def light(above: float) -> np.ndarray:
        return np.maximum(np.exp(log_of_grey(above)) / white - DARK, 0)

    def columns(events: np.ndarray, width: int) -> Events:
        return events["y"].astype(np.int64) * width + events["x"], events["p"].astype(np.int64)

    def start() -> Step:
        _, height, width = pictures.shape
        threads = torch.get_num_threads()
        simulator = EventSimulator(width, height, NOISY if noise else _CLEAN, 1, threads, random_phase=False)
        return _steps(pictures, light, noise, simulator.step, columns)

    return start


def _v2e(path: Path, options: dict[str, Any]) -> Start:
    from snnface.training.bench.peers.v2e import emulator

    pictures, noise, logarithms = np.load(path), options["noise"], options["input"] == "log"

    def light(above: float) -> np.ndarray:
        return log_of_grey(above) if logarithms else np.arange(256) + above

    def columns(events: np.ndarray | None, width: int) -> Events:
        if events is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        x, y = events[:, 1].astype(np.int64), events[:, 2].astype(np.int64)
        return y * width + x, (events[:, 3] > 0).astype(np.int64)

    def start() -> Step:
        peer = emulator(**(_V2E_NOISY if noise else _V2E_CLEAN), hdr=logarithms)
        return _steps(pictures, light, noise, lambda picture, t: peer.generate_events(picture, t * 1e-6), columns)

    return start


def implementations(noise: bool) -> dict[str, Implementation]:
    """Ours and v2e. v2e takes grey values or their logarithm; its noise knows grey values only."""
    inputs = ("grey",) if noise else ("grey", "log")
    forms = tuple({"input": i, "noise": noise} for i in inputs)
    return {
        "snnface simulator": Implementation("snnface simulator", "own", _own, forms=({"noise": noise},)),
        "v2e": Implementation("v2e", "peer", _v2e, requires="v2ecore", forms=forms),
    }


IMPLEMENTATIONS = implementations(noise=False)

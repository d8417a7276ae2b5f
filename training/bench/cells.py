"""The input: uniform noise, or recordings of synthetic faces."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from snnface.batch import EventBatch, collate_events
from snnface.converters.plan import Plan
from snnface.converters.synth import synthesise
from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.input import InputSpikes, input_spikes
from snnface.training.bench.workload import NATIVE, Workload

#: Length of the recordings, s: 2 % of all cells need some 5 s for 32 steps; and how often they are repeated at most.
_SECONDS, _LAPS = 8.0, 512
#: The density is met this closely (relative).
_CLOSE = 0.005


def cells(workload: Workload, cache: Path) -> tuple[np.ndarray, int | None]:
    """Active cells (as :class:`snnface.training.bench.workload.Problem`) and, of faces, the step's length in µs."""
    if workload.case == "noise":
        return noise(workload), None
    return faces(workload, cache)


def noise(workload: Workload) -> np.ndarray:
    """As many cells as the density asks for, anywhere, anew at every step."""
    total = math.prod(workload.shape)
    generator = np.random.default_rng(workload.seed)
    return np.sort(generator.choice(total, round(total * workload.density), replace=False))


def faces(workload: Workload, cache: Path) -> tuple[np.ndarray, int]:
    """The middle of one recording a clip, at the step that gives the density.

    Recordings have 128×128 pixels; on a larger sensor the same face stands in the middle, on a smaller one the
    pixels are joined. Where ``steps`` need more time than a recording has, it goes there and back. Where several
    ``people`` share a clip, each is a recording, and the parts are put one after another.
    """
    w = workload
    each = replace(w, steps=w.steps // w.people, batch=w.batch * w.people, people=1)
    recorded, lengths = recordings(each.batch, _SECONDS, w.seed, cache)
    recorded = [_onto(clip, w.size) for clip in recorded]
    laps = 1
    while laps <= _LAPS:
        clips = [there_and_back(clip, length, laps) for clip, length in zip(recorded, lengths, strict=True)]
        step = _step_for(each, clips, [laps * length for length in lengths])
        if step is not None:
            active = np.unravel_index(
                _window(each, clips, [laps * n for n in lengths], step).index.numpy(), each.shape
            )
            clip, person = np.divmod(active[1], w.people)
            return np.sort(np.ravel_multi_index((person * each.steps + active[0], clip, *active[2:]), w.shape)), step
        laps *= 2
    raise InputError(
        f"--density {w.density:g}",
        f"faces do not reach it in {w.steps} steps",
        "Ask for fewer steps or a lower density, or use --case noise",
    )


def recordings(clips: int, seconds: float, seed: int, cache: Path) -> tuple[list[np.ndarray], list[int]]:
    """Events and length (µs) of recordings of different people who act expressions, made once."""
    path = cache / f"faces-{clips}x{seconds:g}s-{seed}.h5"
    plan = Plan(clips, clips, seconds, NATIVE, NATIVE, "davis346", ("expression",), rgb=False, seed=seed)
    synthesise(path, plan, workers=max(1, torch.get_num_threads()), resume=True)
    store = Store(path)
    return [store.events(i) for i in range(clips)], [int(d) for d in store.duration_us]


def there_and_back(events: np.ndarray, length: int, laps: int) -> np.ndarray:
    """A recording (times in (0, length] µs) that runs forward and backward in turn.

    Backward, light that grew falls: times are mirrored and polarities exchanged.
    """
    backward = events[::-1].copy()
    backward["t"] = length - events["t"][::-1] + 1
    backward["p"] = 1 - events["p"][::-1].astype(np.uint8)
    parts = []
    for lap in range(laps):
        part = (backward if lap % 2 else events).copy()
        part["t"] += lap * length
        parts.append(part)
    return np.concatenate(parts)


def _onto(events: np.ndarray, size: int) -> np.ndarray:
    moved = events.copy()
    for axis in "xy":
        if size >= NATIVE:
            moved[axis] = events[axis] + (size - NATIVE) // 2
        else:
            moved[axis] = events[axis].astype(np.int64) * size // NATIVE
    return moved


def _window(workload: Workload, clips: list[np.ndarray], lengths: list[int], step: int) -> InputSpikes:
    """The middle ``steps`` steps of every clip."""
    parts = []
    for events, length in zip(clips, lengths, strict=True):
        start = (length - workload.steps * step) // 2
        part = events[(events["t"] > start) & (events["t"] <= start + workload.steps * step)].copy()
        part["t"] -= start
        parts.append(part)
    batch: EventBatch = collate_events(parts, [workload.steps * step] * len(parts), workload.size, workload.size)
    return input_spikes(batch, step, math.inf, mode="unary", steps=workload.steps)


def _step_for(workload: Workload, clips: list[np.ndarray], lengths: list[int]) -> int | None:
    """The step (µs) at which the density is reached, by bisection; None where the recordings are too short for it."""
    wanted = workload.density * math.prod(workload.shape)
    low, high = 1, min(lengths) // workload.steps
    if len(_window(workload, clips, lengths, high).index) < wanted:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        found = len(_window(workload, clips, lengths, middle).index)
        if abs(found / wanted - 1) < _CLOSE:
            return middle
        low, high = (middle, high) if found < wanted else (low, middle)
    return high

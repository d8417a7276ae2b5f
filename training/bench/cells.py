"""The input: uniform noise, or recordings of synthetic faces."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np

from snnface.batch import EventBatch, collate_events
from snnface.converters.sensors import sensor
from snnface.converters.simulator import EventSimulator
from snnface.errors import InputError
from snnface.faces import ClipSpec, FaceClip
from snnface.faces.picture import luminance
from snnface.input import InputSpikes, input_spikes
from snnface.progress import bar
from snnface.training.bench.workload import NATIVE, Workload

#: What people act: turns, nods and tilts of the head; and for how long, s.
_ACTIONS, _SECONDS = (51, 52, 53, 54, 55, 56), 1.0
#: How often recordings are repeated at most.
_LAPS = 512
#: A window begins at one of so many places in its own length.
_STARTS = 16
#: The density is met this closely (relative).
_CLOSE = 0.005


def cells(workload: Workload) -> tuple[np.ndarray, int | None]:
    """Active cells (as :class:`snnface.training.bench.workload.Problem`) and, of faces, the step's length in µs."""
    if workload.case == "noise":
        return noise(workload), None
    return faces(workload)


def noise(workload: Workload) -> np.ndarray:
    """As many cells as the density asks for, anywhere, anew at every step."""
    total = math.prod(workload.shape)
    generator = np.random.default_rng(workload.seed)
    return np.sort(generator.choice(total, round(total * workload.density), replace=False))


def faces(workload: Workload) -> tuple[np.ndarray, int]:
    """The busiest moment of one recording a clip, at the shortest step that gives the density.

    Recordings have 128×128 pixels; on a larger sensor the same face stands in the middle, on a smaller one the
    pixels are joined. Where ``steps`` need more time than a recording has, it goes there and back. Where several
    ``people`` share a clip, each is a recording, and the parts are put one after another.
    """
    w = workload
    each = replace(w, steps=w.steps // w.people, batch=w.batch * w.people, people=1)
    recorded, lengths = recordings(each.batch, w.seed)
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


@functools.lru_cache(maxsize=4)
def recordings(clips: int, seed: int) -> tuple[list[np.ndarray], list[int]]:
    """Events and length (µs) of recordings of different people who move their heads: the livelier half of twice as
    many."""
    made = []
    with bar() as display:
        for number in display.track(range(2 * clips), description="faces"):
            film_seed, sensor_seed = (int(n) for n in np.random.SeedSequence([seed, number]).generate_state(2))
            spec = ClipSpec(number, _ACTIONS[number % len(_ACTIONS)], -1, _SECONDS, NATIVE, NATIVE, film_seed)
            clip, simulator = FaceClip(spec), EventSimulator(NATIVE, NATIVE, sensor("davis346"), sensor_seed)
            times = clip.sampling_times(np.array([0, clip.duration_us]))
            seen = zip(times.tolist(), clip.film(times), strict=True)
            made.append((np.concatenate([simulator.step(luminance(p), t) for t, p in seen]), clip.duration_us))
    made.sort(key=lambda m: len(m[0]), reverse=True)
    events, lengths = zip(*made[:clips], strict=True)
    return list(events), list(lengths)


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
    """The busiest ``steps`` steps of every clip."""
    parts, window = [], workload.steps * step
    for events, length in zip(clips, lengths, strict=True):
        starts = np.arange(0, length - window + 1, max(1, window // _STARTS))
        ends = np.searchsorted(events["t"], starts + window, side="right")
        start = int(starts[np.argmax(ends - np.searchsorted(events["t"], starts, side="right"))])
        part = events[(events["t"] > start) & (events["t"] <= start + window)].copy()
        part["t"] -= start
        parts.append(part)
    batch: EventBatch = collate_events(parts, [workload.steps * step] * len(parts), workload.size, workload.size)
    return input_spikes(batch, step, math.inf, mode="unary", steps=workload.steps)


def _step_for(workload: Workload, clips: list[np.ndarray], lengths: list[int]) -> int | None:
    """The shortest step (µs) at which the density is reached; None where the recordings do not reach it."""
    wanted = workload.density * math.prod(workload.shape)

    def found(step: int) -> int:
        return len(_window(workload, clips, lengths, step).index)

    low, high, longest = 0, 1, min(lengths) // workload.steps
    while found(high) < wanted:
        if high == longest:
            return None
        low, high = high, min(2 * high, longest)
    while high - low > 1:
        middle = (low + high) // 2
        cells = found(middle)
        if abs(cells / wanted - 1) < _CLOSE:
            return middle
        low, high = (middle, high) if cells < wanted else (low, middle)
    return high

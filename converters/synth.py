"""Labelled synthetic faces: a plan of clips, shards of it made by workers, one data set in the end.

A clip depends on the seed and its own number alone, so the content is the same for any number of workers. Shards
are data sets themselves, written whole or not at all, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import io
import multiprocessing
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from snnface.converters.sensors import sensor as sensor_preset
from snnface.converters.simulator import EventSimulator
from snnface.datasets.store import SPLITS, ClipData, Store, write_store
from snnface.errors import InputError
from snnface.faces import COEFFICIENT_NAMES, ClipSpec, FaceClip
from snnface.facs import AUS, EXPRESSIONS
from snnface.files import read_json, write_json
from snnface.progress import bar, say

CLIPS_A_SHARD = 8
FRAME_US = 33_333
TASKS = ("au", "expression")


@dataclass(frozen=True)
class Plan:
    """Everything that decides the content of a data set.

    ``split``: fractions of the people in training, validation and test; ``first_identity``: number of the first
    person, so that two sets can hold different people.
    """

    clips: int
    identities: int
    seconds: float
    width: int
    height: int
    sensor: str
    tasks: tuple[str, ...]
    rgb: bool
    seed: int
    first_identity: int = 0
    split: tuple[float, float, float] = (0.7, 0.15, 0.15)

    def __post_init__(self) -> None:
        for name in ("clips", "identities"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name}", "is below 1", "Give a number ≥ 1")
        if not self.tasks or set(self.tasks) - set(TASKS):
            raise InputError("--tasks", f"{','.join(self.tasks)!r}", "Give au, expression or au,expression")
        if min(self.split) < 0 or abs(sum(self.split) - 1) > 1e-6:
            raise InputError("--split", "fractions must be ≥ 0 and sum to 1", "Write for example 0.7,0.15,0.15")
        sensor_preset(self.sensor)

    def labels(self, clip: int) -> tuple[int, int, int]:
        """Person, action unit and expression of a clip: every person acts every label before any repeats."""
        weights = {"au": len(AUS), "expression": len(EXPRESSIONS)}
        total = sum(weights[t] for t in self.tasks)
        au_clips = round(self.clips * weights["au"] / total) if "au" in self.tasks else 0
        if clip < au_clips:
            person, au, expression = clip // len(AUS), AUS[clip % len(AUS)], -1
        else:
            clip -= au_clips
            person, au, expression = clip // len(EXPRESSIONS), -1, clip % len(EXPRESSIONS)
        return self.first_identity + person % self.identities, au, expression

    def splits(self) -> dict[int, int]:
        """Person → 0 train, 1 validation, 2 test; a split with a fraction > 0 has at least one person if it can."""
        people = np.random.default_rng([self.seed, 1]).permutation(self.identities)
        counts = np.array([max(1, round(f * self.identities)) if f > 0 else 0 for f in self.split])
        while counts.sum() != self.identities:
            counts[int(np.argmax(counts))] += np.sign(self.identities - counts.sum())
        numbers = np.repeat(np.arange(len(SPLITS)), counts)
        return {self.first_identity + int(p): int(s) for p, s in zip(people, numbers, strict=True)}


def make_clip(plan: Plan, number: int, split: int) -> ClipData:
    """Act, film and label one clip. Its length is drawn within ±20 % of the plan's, whatever the label."""
    length, clip_seed, sensor_seed, exposure = np.random.SeedSequence([plan.seed, number]).generate_state(4)
    seconds = plan.seconds * (0.8 + 0.4 * length / 2**32)
    identity, au, expression = plan.labels(number)
    clip = FaceClip(ClipSpec(identity, au, expression, seconds, plan.width, plan.height, int(clip_seed)))
    gain = np.float32(np.exp(0.8 * (exposure / 2**32 - 0.5)))
    simulator = EventSimulator(plan.width, plan.height, sensor_preset(plan.sensor), int(sensor_seed))
    t, parts = 0, [simulator.step(gain * clip.luminance(0), 0)]
    while t < clip.duration_us:
        t = min(clip.next_time(t), clip.duration_us)
        parts.append(simulator.step(gain * clip.luminance(t), t))
    frame_t_us = np.arange(0, clip.duration_us, FRAME_US, dtype=np.int64)
    return ClipData(
        events=np.concatenate(parts),
        duration_us=clip.duration_us,
        identity=identity,
        au=au,
        expression=expression,
        split=split,
        frame_t_us=frame_t_us,
        rgb=[_jpeg(clip.rgb(int(f))) for f in frame_t_us] if plan.rgb else None,
        **clip.labels(frame_t_us),
    )


def _jpeg(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def _make_shard(plan: Plan, path: Path, numbers: range) -> int:
    """Make some clips into a data set of their own; returns their number."""
    splits = plan.splits()
    clips = (make_clip(plan, n, splits[plan.labels(n)[0]]) for n in numbers)
    write_store(path, clips, plan.width, plan.height, {"shard": [numbers.start, numbers.stop]})
    return len(numbers)


def _joined(shards: list[Path]) -> Iterator[ClipData]:
    for path in shards:
        store = Store(path)
        for i in range(len(store)):
            yield store.clip(i)


def synthesise(out: str | Path, plan: Plan, workers: int = 1, resume: bool = False) -> dict[str, Any]:
    """Make a data set; returns clips, identities, events, seconds_of_recording, wall_s and sha256 (of the content).

    Finished shards wait in ``OUT.parts`` until the set is whole; with ``resume`` they are taken over. Raises
    :class:`InputError` where they belong to other settings.
    """
    started = time.perf_counter()
    out = Path(out)
    parts = out.with_name(out.name + ".parts")
    settings = asdict(plan) | {"tasks": list(plan.tasks), "split": list(plan.split)}
    if (parts / "plan.json").is_file():
        if read_json(parts / "plan.json") != settings:
            raise InputError(parts, "holds clips made with other settings", "Remove it, or use the same settings")
        if not resume:
            raise InputError(parts, "holds an unfinished run", "Add --resume to go on, or remove it")
    write_json(parts / "plan.json", settings)
    ranges = [range(i, min(i + CLIPS_A_SHARD, plan.clips)) for i in range(0, plan.clips, CLIPS_A_SHARD)]
    shards = {parts / f"{r.start:07d}.h5": r for r in ranges}
    waiting = {path: r for path, r in shards.items() if not path.is_file()}
    with bar() as display:
        task = display.add_task(f"synth {out.name}", total=plan.clips)
        display.advance(task, plan.clips - sum(len(r) for r in waiting.values()))
        for done in _made(plan, waiting, workers):
            display.advance(task, done)
    generator = {"name": "procedural", "settings": settings, "coefficients": list(COEFFICIENT_NAMES)}
    write_store(out, _joined(list(shards)), plan.width, plan.height, generator)
    shutil.rmtree(parts)
    store = Store(out)
    answer = {
        "clips": len(store),
        "identities": len(np.unique(store.identity)),
        "events": int(store.offsets[-1]),
        "seconds_of_recording": float(store.duration_us.sum() / 1e6),
        "wall_s": round(time.perf_counter() - started, 2),
        "sha256": store.content_sha256(),
    }
    say(f"{out}: {answer['clips']} clips, {answer['events']:,} events")
    return answer


def _made(plan: Plan, waiting: dict[Path, range], workers: int) -> Iterator[int]:
    """Make the shards that are missing, here or in worker processes; yields clips done."""
    if workers == 1:
        for path, numbers in waiting.items():
            yield _make_shard(plan, path, numbers)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(_make_shard, plan, path, numbers) for path, numbers in waiting.items()]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise

"""Labelled synthetic faces: a plan of clips, each made by itself, one data set in the end.

A clip depends on the plan and its own number alone, so the content is the same for any number of workers, on one
machine or many. Parts are written whole or not at all, so an interrupted run goes on where it stopped. A small set
becomes one file: a few clips of one person, whose face is made once, are a part, and parts wait in a folder beside
the output. A large one stays in shards, which are its parts, and the output is the view of all of them.
"""

from __future__ import annotations

import glob
import itertools
import os
import shutil
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from snnface.cluster import as_done_on
from snnface.converters.clip import make_clip
from snnface.converters.plan import Plan
from snnface.datasets.shards import join
from snnface.datasets.store import ClipData, Store, write_store
from snnface.errors import InputError
from snnface.files import read_json, write_json
from snnface.progress import bar, say
from snnface.workers import as_done

#: Clips of one person that are made and kept together.
CLIPS_A_PART = 6


def synthesise(
    out: str | Path,
    plan: Plan,
    workers: int = 1,
    resume: bool = False,
    shard_clips: int = 0,
    cluster: str | None = None,
) -> dict[str, Any]:
    """Make a data set; returns clips, identities, events, seconds_of_recording, wall_s and sha256 (of the content).

    Finished parts wait in ``OUT.parts`` until the set is whole; with ``resume`` they are taken over, and a whole set
    of the same settings is left as it is. With ``shard_clips`` > 0 clips stay in files of so many in ``OUT.shards``.
    ``cluster``: address of a Dask scheduler, whose workers take the place of ours; they see the same folders.

    Raises
    ------
    InputError: what is there belongs to other settings, or is unfinished and ``resume`` is not set; a worker process
        died; the disk is full; the cluster does not answer or writes elsewhere.
    """
    started = time.perf_counter()
    out = Path(out)
    if shard_clips < 0:
        raise InputError("--shard-clips", f"is {shard_clips}", "Give a number of clips, or 0 for one file")
    face = plan.actor
    generator = {"name": face.name, "settings": plan.settings(), "coefficients": list(face.coefficients)}
    if resume and out.is_file() and Store(out).generator == generator:
        _tidy(out, plan)
    else:
        folder = _parts_folder(out, plan, resume, shard_clips)
        parts = _shards(plan, shard_clips) if shard_clips else _parts(plan)
        clips = {folder / f"{numbers.start:07d}.h5": numbers for numbers in parts}
        missing = {file: each for file, each in clips.items() if not file.is_file()}
        with bar() as display, closing(_made(plan, missing, generator, workers, cluster)) as made:
            task = display.add_task(f"synth {out.name}", total=plan.clips)
            display.advance(task, plan.clips - sum(map(len, missing.values())))
            for count in made:
                display.advance(task, count)
        if shard_clips:
            _sweep(out, folder)  # what a lost worker was writing, another has written
            join(out, [Store(file) for file in clips], generator)
        else:
            _write_one(out, plan, clips, generator)
    store = Store(out)
    say(f"{out}: {len(store)} clips, {int(store.offsets[-1]):,} events")
    return {
        "clips": len(store),
        "identities": len(np.unique(store.identity)),
        "events": int(store.offsets[-1]),
        "seconds_of_recording": float(store.duration_us.sum() / 1e6),
        "wall_s": round(time.perf_counter() - started, 2),
        "sha256": store.content_sha256(),
    }


def _parts_folder(out: Path, plan: Plan, resume: bool, shard_clips: int) -> Path:
    """The folder of finished clips, made for this plan and for no other."""
    if out.is_dir():
        raise InputError(out, "is a folder", "Give the name of a file")
    folder = out.with_name(out.name + (".shards" if shard_clips else ".parts"))
    settings = plan.settings() | {"shard_clips": shard_clips}
    if (folder / "plan.json").is_file():
        if read_json(folder / "plan.json") != settings:
            raise InputError(folder, "holds clips of other settings or code", "Remove it, or use the same settings")
        if not resume:
            raise InputError(folder, "holds the clips of another run", "Add --resume to go on, or remove it")
        _sweep(out, folder)
    write_json(folder / "plan.json", settings)
    return folder


def _tidy(out: Path, plan: Plan) -> None:
    """Remove what is left where a run was killed between the whole set and its end."""
    folder = out.with_name(out.name + ".parts")
    if (folder / "plan.json").is_file() and read_json(folder / "plan.json") == plan.settings() | {"shard_clips": 0}:
        shutil.rmtree(folder)


def _sweep(out: Path, folder: Path) -> None:
    """Remove what a killed run or lost worker wrote last: only names that :func:`snnface.files.atomic_path` gives."""
    beside = out.parent.glob(f".{glob.escape(out.stem)}.{'[0-9a-f]' * 8}{glob.escape(out.suffix)}")
    for file in (*folder.glob(".*"), *beside):
        file.unlink(missing_ok=True)


def _shards(plan: Plan, clips: int) -> list[range]:
    return [range(n, min(n + clips, plan.clips)) for n in range(0, plan.clips, clips)]


def _parts(plan: Plan) -> list[range]:
    """The clips of the plan, each part of one person alone."""
    people = [plan.labels(number)[0] for number in range(plan.clips)]
    starts = [0]
    for number in range(1, plan.clips):
        if people[number] != people[number - 1] or number - starts[-1] == CLIPS_A_PART:
            starts.append(number)
    return [range(start, stop) for start, stop in itertools.pairwise([*starts, plan.clips])]


def _write_one(out: Path, plan: Plan, parts: Iterable[Path], generator: dict[str, Any]) -> None:
    """One file of all parts, which go."""
    parts = list(parts)
    folder = parts[0].parent
    # Joined within the folder: a killed run leaves nothing else. The plan goes last, clips never stay without it.
    write_store(folder / "whole.h5", _joined(parts), plan.width, plan.height, generator)
    os.replace(folder / "whole.h5", out)
    for file in parts:
        file.unlink()
    shutil.rmtree(folder)


def _joined(files: Iterable[Path]) -> Iterator[ClipData]:
    for store in map(Store, files):
        yield from map(store.clip, range(len(store)))


def _make(plan: Plan, numbers: range, file: Path, generator: dict[str, Any]) -> int:
    """Make some clips into a data set of their own, unless they are there; returns how many."""
    if plan.settings() != generator["settings"]:
        raise InputError("a worker", "has another version of snnface", "Install one version everywhere")
    if not file.is_file():  # a worker of a cluster may be lost between the file and its answer
        clips = (make_clip(plan, number) for number in numbers)
        write_store(file, clips, plan.width, plan.height, generator | {"clips": [numbers.start, numbers.stop]})
    return len(numbers)


def _made(
    plan: Plan, missing: dict[Path, range], generator: dict[str, Any], workers: int, cluster: str | None
) -> Generator[int]:
    """Make the parts that are missing, here, in processes or on a cluster; yields each one's number of clips."""
    arguments = [(plan, numbers, file.resolve(), generator) for file, numbers in missing.items()]
    if cluster is None and workers <= 1:
        for each in arguments:
            yield _make(*each)
        return
    running = as_done(_make, arguments, workers) if cluster is None else as_done_on(cluster, _make, arguments)
    with closing(running) as done:
        for i, count in filter(None, done):
            file = arguments[i][2]
            if not file.is_file():
                raise InputError(file, "was written to another machine's disk", "Use a folder that all workers share")
            yield count

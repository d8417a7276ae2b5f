"""Labelled synthetic faces: a plan of clips, each made by itself, one data set in the end.

A clip depends on the plan and its own number alone, so the content is the same for any number of workers. A few
clips of one person, whose face is made once, are a part; finished parts wait in a folder beside the output, each
written whole or not at all, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from snnface.converters.clip import make_clip
from snnface.converters.plan import Plan
from snnface.datasets.store import ClipData, Store, write_store
from snnface.errors import InputError
from snnface.faces import COEFFICIENT_NAMES
from snnface.files import read_json, write_json
from snnface.progress import bar, say
from snnface.workers import as_done

#: Clips of one person that are made and kept together.
CLIPS_A_PART = 6


def synthesise(out: str | Path, plan: Plan, workers: int = 1, resume: bool = False) -> dict[str, Any]:
    """Make a data set; returns clips, identities, events, seconds_of_recording, wall_s and sha256 (of the content).

    Finished parts wait in ``OUT.parts`` until the set is whole; with ``resume`` they are taken over, and a whole set
    of the same settings is left as it is.

    Raises
    ------
    InputError: what is there belongs to other settings, or is unfinished and ``resume`` is not set; a worker process
        died; the disk is full.
    """
    started = time.perf_counter()
    out = Path(out)
    generator = {"name": "procedural", "settings": plan.settings(), "coefficients": list(COEFFICIENT_NAMES)}
    if not (resume and out.is_file() and Store(out).generator == generator):
        parts = _parts_folder(out, plan, resume)
        clips = {parts / f"{numbers.start:07d}.h5": numbers for numbers in _parts(plan)}
        missing = {file: numbers for file, numbers in clips.items() if not file.is_file()}
        with bar() as display, closing(_made(plan, missing, workers)) as made:
            task = display.add_task(f"synth {out.name}", total=plan.clips)
            display.advance(task, plan.clips - sum(map(len, missing.values())))
            for count in made:
                display.advance(task, count)
        # Joined within the folder: a killed run leaves nothing else. The plan goes last, clips never stay without it.
        write_store(parts / "whole.h5", _joined(clips), plan.width, plan.height, generator)
        os.replace(parts / "whole.h5", out)
        for file in clips:
            file.unlink()
        shutil.rmtree(parts)
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


def _parts_folder(out: Path, plan: Plan, resume: bool) -> Path:
    """The folder of finished clips, made for this plan and for no other."""
    if out.is_dir():
        raise InputError(out, "is a folder", "Give the name of a file")
    parts = out.with_name(out.name + ".parts")
    if (parts / "plan.json").is_file():
        if read_json(parts / "plan.json") != plan.settings():
            raise InputError(parts, "holds clips of other settings or code", "Remove it, or use the same settings")
        if not resume:
            raise InputError(parts, "holds an unfinished run", "Add --resume to go on, or remove it")
    write_json(parts / "plan.json", plan.settings())
    return parts


def _parts(plan: Plan) -> list[range]:
    """The clips of the plan, each part of one person alone."""
    people = [plan.labels(number)[0] for number in range(plan.clips)]
    starts = [0]
    for number in range(1, plan.clips):
        if people[number] != people[number - 1] or number - starts[-1] == CLIPS_A_PART:
            starts.append(number)
    return [range(start, stop) for start, stop in itertools.pairwise([*starts, plan.clips])]


def _joined(files: Iterable[Path]) -> Iterator[ClipData]:
    for store in map(Store, files):
        yield from map(store.clip, range(len(store)))


def _make(plan: Plan, numbers: range, file: Path) -> int:
    """Make some clips into a data set of their own; returns how many."""
    clips = (make_clip(plan, number) for number in numbers)
    write_store(file, clips, plan.width, plan.height, {"clips": list(numbers)})
    return len(numbers)


def _made(plan: Plan, missing: dict[Path, range], workers: int) -> Generator[int]:
    """Make the parts that are missing, here or in worker processes; yields each one's number of clips."""
    if workers <= 1:
        for file, numbers in missing.items():
            yield _make(plan, numbers, file)
        return
    with closing(as_done(_make, [(plan, numbers, file) for file, numbers in missing.items()], workers)) as done:
        for _, count in filter(None, done):
            yield count

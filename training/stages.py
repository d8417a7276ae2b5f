"""Resumable stages: a long job in named parts, each done once for the same settings, inputs and code."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import snnface
from snnface.files import file_sha256, read_json, write_json, write_text
from snnface.memory import give_back
from snnface.progress import say

#: Kinds of files that decide what code does.
SOURCES = (".py", ".h", ".cpp", ".toml", ".html", ".css", ".js")


@dataclass(frozen=True)
class Stage:
    """A part of a job, and what decides its answer.

    ``partial``: folders in which interrupted work goes on; removed where they were made from anything else.
    ``code``: modules or packages, as ``"faces"`` or ``"training/trainer.py"``, relative to the package.
    """

    name: str
    settings: Any
    inputs: Sequence[Path] = ()
    outputs: Sequence[Path] = ()
    partial: Sequence[Path] = ()
    code: Sequence[str] = ()

    def key(self) -> str:
        """A hash of everything that decides the answer."""
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True, default=str).encode())
        for path in self.inputs:
            digest.update(file_sha256(path).encode())
        for name in self.code:
            digest.update(_source_sha256(name).encode())
        return digest.hexdigest()


#: Works on several stages at once: (stage, its answer, seconds that it took) as they end.
SideBySide = Callable[[list[Stage]], Iterable[tuple[Stage, dict[str, Any], float]]]


class Stages:
    """Runs parts of a job in order and remembers, in ``folder/stages``, what each was made from.

    A stage runs again when its settings, the bytes of its input files or the code it names have changed, or when
    one of its outputs is gone. Seconds are those of the run that made the result.
    """

    def __init__(self, folder: str | Path, names: Sequence[str]) -> None:
        self.folder = Path(folder)
        self.names = list(names)
        self.wall_s: dict[str, float] = {}

    def run(self, name: str, work: Callable[[], dict[str, Any]], **decides: Any) -> dict[str, Any]:
        """The answer of ``work()``, from now or from an earlier run; ``decides``: fields of :class:`Stage`."""

        def one(stages: list[Stage]) -> Iterator[tuple[Stage, dict[str, Any], float]]:
            started = time.perf_counter()
            answer = work()
            yield stages[0], answer, time.perf_counter() - started

        return self.run_side_by_side([Stage(name, **decides)], one)[0]

    def run_side_by_side(self, stages: Sequence[Stage], work: SideBySide) -> list[dict[str, Any]]:
        """The answers of several stages; ``work`` gets those that no earlier run has answered.

        The time that passed is shared out among them as they took it, so that the seconds of all stages are those of
        the whole job.
        """
        keys = {stage.name: stage.key() for stage in stages}
        records = {s.name: known for s in stages if (known := self._record(s, keys[s.name])) is not None}
        missing = [stage for stage in stages if stage.name not in records]
        for stage in missing:
            self._begin(stage, keys[stage.name])
        started, took = time.perf_counter(), {}
        if missing:
            for stage, answer, seconds in work(missing):
                took[stage.name] = seconds
                records[stage.name] = {"key": keys[stage.name], "seconds": round(seconds, 1), "answer": answer}
                write_json(self._path(stage), records[stage.name])
            give_back()  # the next stages may work in processes of their own
        share = (time.perf_counter() - started) / max(sum(took.values()), 1e-9)
        for stage in missing:
            record = records[stage.name]
            record["seconds"] = round(share * took[stage.name], 1)
            write_json(self._path(stage), record)
            say(f"{self._place(stage)} {stage.name}: {record['seconds']:.0f} s")
        self.wall_s |= {stage.name: records[stage.name]["seconds"] for stage in stages}
        return [records[stage.name]["answer"] for stage in stages]

    def _path(self, stage: Stage) -> Path:
        return self.folder / "stages" / f"{stage.name}.json"

    def _place(self, stage: Stage) -> str:
        return f"[{self.names.index(stage.name) + 1}/{len(self.names)}]"

    def _record(self, stage: Stage, key: str) -> dict[str, Any] | None:
        """What an earlier run has left, where it is still valid."""
        if not self._path(stage).is_file() or not all(o.exists() for o in stage.outputs):
            return None
        record: dict[str, Any] = read_json(self._path(stage))
        if record["key"] != key:
            return None
        say(f"{self._place(stage)} {stage.name}: still valid")
        return record

    def _begin(self, stage: Stage, key: str) -> None:
        say(f"{self._place(stage)} {stage.name}")
        begun = self._path(stage).with_suffix(".key")
        if not begun.is_file() or begun.read_text(encoding="utf-8") != key:
            for path in stage.partial:
                shutil.rmtree(path, ignore_errors=True)
        write_text(begun, key)


def _source_sha256(name: str) -> str:
    """Hash of a module's or a package's source, rooms beside the core included."""
    core = Path(snnface.__file__).parent
    room, _, rest = name.partition("/")
    root = (
        core.parent / room if room in ("converters", "training", "hardware") and not (core / room).exists() else core
    )
    path = (root / rest if root != core else core / name) if rest or root == core else root
    files = sorted(f for f in path.rglob("*") if f.suffix in SOURCES) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()

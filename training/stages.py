"""Resumable stages: a long job in named parts, each done once for the same settings, inputs and code."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import snnface
from snnface.files import file_sha256, read_json, write_json, write_text
from snnface.progress import say

#: Kinds of files that decide what code does.
SOURCES = (".py", ".h", ".cpp", ".toml", ".html", ".css", ".js")


class Stages:
    """Runs parts of a job in order and remembers, in ``folder/stages``, what each was made from.

    A stage runs again when its settings, the bytes of its input files or the code it names have changed, or when
    one of its outputs is gone. Seconds are those of the run that made the result.
    """

    def __init__(self, folder: str | Path, names: Sequence[str]) -> None:
        self.folder = Path(folder)
        self.names = list(names)
        self.wall_s: dict[str, float] = {}

    def run(
        self,
        name: str,
        work: Callable[[], dict[str, Any]],
        *,
        settings: Any,
        inputs: Sequence[Path] = (),
        outputs: Sequence[Path] = (),
        partial: Sequence[Path] = (),
        code: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The answer of ``work()``, from now or from an earlier run.

        ``partial``: folders in which interrupted work goes on; removed where they were made from anything else.
        ``code``: modules or packages, as ``"faces"`` or ``"training/trainer.py"``, relative to the package.
        """
        record = self.folder / "stages" / f"{name}.json"
        place = f"[{self.names.index(name) + 1}/{len(self.names)}]"
        key = _key(settings, inputs, code)
        if record.is_file() and all(o.exists() for o in outputs):
            before = read_json(record)
            if before["key"] == key:
                say(f"{place} {name}: still valid")
                self.wall_s[name] = before["seconds"]
                return before["answer"]
        say(f"{place} {name}")
        begun = record.with_suffix(".key")
        if not begun.is_file() or begun.read_text(encoding="utf-8") != key:
            for path in partial:
                shutil.rmtree(path, ignore_errors=True)
        write_text(begun, key)
        started = time.perf_counter()
        answer = work()
        seconds = round(time.perf_counter() - started, 1)
        write_json(record, {"key": key, "seconds": seconds, "answer": answer})
        self.wall_s[name] = seconds
        say(f"{place} {name}: {seconds:.0f} s")
        return answer


def _key(settings: Any, inputs: Sequence[Path], code: Sequence[str]) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for path in inputs:
        digest.update(file_sha256(path).encode())
    for name in code:
        digest.update(_source_sha256(name).encode())
    return digest.hexdigest()


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

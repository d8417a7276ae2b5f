"""One run: a part for each recording, or a note of why it is left out, then all parts joined to one data set."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from snnface import __version__
from snnface.converters.published.layout import Layout, Options, Source, UnusableError
from snnface.datasets.store import ClipData, Store, write_store
from snnface.errors import InputError
from snnface.files import read_json, write_json
from snnface.progress import bar, say


@dataclass(frozen=True)
class Run:
    """The recordings of a set in a layout of that name, to be written to ``target``."""

    name: str
    layout: Layout
    sources: list[Source]
    options: Options
    target: Path

    @cached_property
    def plan(self) -> dict[str, Any]:
        """What decides the content, as JSON: layout, options, a hash of labels and of the files' sizes and dates."""
        digest = hashlib.sha256()
        for s in self.sources:
            stats = [path.stat() for path in (s.path, *s.files) if path.exists()]
            labels = (s.name, s.person, s.split, s.au, s.expression, s.start_us, s.stop_us)
            digest.update(repr((labels, [(stat.st_size, stat.st_mtime_ns) for stat in stats])).encode())
        plan = {"layout": self.name, "version": __version__, "options": asdict(self.options)}
        return dict(json.loads(json.dumps(plan | {"sources": digest.hexdigest()})))

    @property
    def parts(self) -> Path:
        """The folder of finished parts."""
        return self.target.with_name(self.target.name + ".parts")

    @property
    def report(self) -> Path:
        """The file that names who is who, and what is left out."""
        return self.target.with_name(self.target.name + ".report.json")

    @property
    def done(self) -> bool:
        """Whether the target was made of the same recordings with the same options."""
        made = self.target.is_file() and self.report.is_file()
        return made and Store(self.target).generator.get("settings") == self.plan

    def make(self, resume: bool) -> None:
        """Make the parts that are missing, then the target; its report first, so that no set is without one."""
        if (self.parts / "plan.json").is_file():
            if read_json(self.parts / "plan.json") != self.plan:
                raise InputError(
                    self.parts, "holds clips of other files or options", "Remove it, or use the same ones"
                )
            if not resume:
                raise InputError(self.parts, "holds an unfinished run", "Add --resume to go on, or remove it")
        write_json(self.parts / "plan.json", self.plan)
        numbered = [self.parts / f"{number:07d}.h5" for number in range(len(self.sources))]
        with bar() as display:
            task = display.add_task(self.name, total=len(numbered))
            for part, source in zip(numbered, self.sources, strict=True):
                if not (part.is_file() or part.with_suffix(".json").is_file()):
                    self._make_part(part, source)
                display.advance(task)
        self._join(numbered)
        # The plan goes last: clips never stay without it.
        for part in numbered:
            part.unlink(missing_ok=True)
            part.with_suffix(".json").unlink(missing_ok=True)
        shutil.rmtree(self.parts)

    @cached_property
    def people(self) -> list[str]:
        """Names by number: ``identity`` of a clip is an index of this list."""
        return sorted({s.person for s in self.sources} - {""})

    def _make_part(self, part: Path, source: Source) -> None:
        """``<number>.h5``, or ``<number>.json`` of a recording that is left out."""
        try:
            reading = self.layout.read(source, self.options)
            identity = self.people.index(source.person) if source.person else -1
            labels: dict[str, Any] = {"split": source.split, "au": source.au, "expression": source.expression}
            clip = replace(reading.clip, identity=identity, **labels)
            clip.check(*reading.size, str(source.path))
        except (InputError, OSError) as e:
            error = e if isinstance(e, InputError) else InputError(source.path, str(e), "Check the file")
            if self.options.strict:
                raise error from e
            reason = e.reason if isinstance(e, UnusableError) else "unreadable"
            say(f"left out: {error}")
            entry = {"recording": source.name, "reason": reason, "what": str(error)}
            write_json(part.with_suffix(".json"), entry)
            return
        about = {"recording": source.name, "dropped": reading.dropped, "missing": list(reading.missing)}
        self._write(part, [clip], reading.size, about)

    def _write(self, file: Path, clips: Iterable[ClipData], size: tuple[int, int], about: dict[str, Any]) -> None:
        scheme, aligned = self.layout.landmark_scheme, self.layout.rgb_aligned
        write_store(file, clips, *size, about, landmark_scheme=scheme, rgb_aligned=aligned)

    def _join(self, numbered: list[Path]) -> None:
        """Join the parts; those of another sensor than most have are left out."""
        skipped = [read_json(part.with_suffix(".json")) for part in numbered if not part.is_file()]
        made = [part for part in numbered if part.is_file()]
        if not made:
            what = f"none of {len(skipped)} recordings can be read. The first: {skipped[0]['what']}"
            raise InputError(self.target, what, "Check the folder; docs/published.md describes the layouts")
        size = Counter(_size(Store(part)) for part in made).most_common(1)[0][0]
        kept: list[Path] = []
        dropped: Counter[str] = Counter()
        missing: dict[str, list[str]] = {}
        for part in made:
            store = Store(part)
            about = store.generator
            if _size(store) != size:
                found, wanted = (f"{width}x{height}" for width, height in (_size(store), size))
                what = f"its sensor is {found}, that of most recordings {wanted}"
                skipped.append({"recording": about["recording"], "reason": "other_sensor", "what": what})
                continue
            kept.append(part)
            dropped.update(about["dropped"])
            for reason in about["missing"]:
                missing.setdefault(reason, []).append(about["recording"])
        dropped.update(entry["reason"] for entry in skipped)
        report = {"layout": self.name, "dropped": dict(dropped), "skipped": skipped, "labels_missing": missing}
        write_json(self.report, report | {"identities": self.people})
        # Joined within the folder: a killed run leaves nothing else.
        whole = self.parts / "whole.h5"
        self._write(whole, _clips(kept), size, {"name": self.name, "settings": self.plan})
        os.replace(whole, self.target)


def _size(store: Store) -> tuple[int, int]:
    return store.width, store.height


def _clips(files: Iterable[Path]) -> Iterator[ClipData]:
    for store in map(Store, files):
        yield store.clip(0)
        store.close()

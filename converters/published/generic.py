"""Any set that is arranged like a DVS set: ``CLASS/RECORDING`` with an optional table ``labels.csv`` at the root.

A class is the name of an expression, or ``AU_<n>``; other folder names, and recordings at the root, have no label. A
recording is an event file (raw, dat, aedat4, es, csv with ``t,x,y,p``, h5).

``labels.csv`` has a header with ``recording`` and any of ``identity, au, expression, split, start_us, stop_us``.
``recording`` is the path below the root, with or without suffix; ``split`` is train, validation or test; ``start_us``
and ``stop_us`` are times on the recording's own clock. A recording may have several rows, one a clip; empty cells,
and classes where the table has no such column, say what the folder says. Recordings without a row are left out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from snnface import io
from snnface.converters.published.layout import Layout, Options, Reading, Source, unlabelled
from snnface.converters.published.people import by_person, expression_index
from snnface.converters.published.raw import take
from snnface.datasets.store import SPLITS
from snnface.errors import InputError
from snnface.facs import AU_INDEX

TABLE = "labels.csv"
COLUMNS = ("recording", "identity", "au", "expression", "split", "start_us", "stop_us")


def recognise(folder: Path) -> bool:
    """Whether there is a table of labels, or an event file at the root or in a folder there."""
    return (folder / TABLE).is_file() or bool(_recordings(folder))


def _recordings(folder: Path) -> dict[str, Path]:
    """Event files by their path below the root."""
    files = sorted(path for kind in ("*", "*/*") for path in folder.glob(kind) if path.suffix.lower() in io.SUFFIXES)
    return {path.relative_to(folder).as_posix(): path for path in files if path.name != TABLE and _holds_events(path)}


def _holds_events(path: Path) -> bool:
    """Tables of events are told from other ones by their header; files of other formats are taken as they are."""
    if path.suffix.lower() != ".csv":
        return path.is_file()
    with path.open("rb") as file:
        names = file.readline(4096).decode("utf-8-sig", "replace").lower().strip().split(",")
    return set("txyp") <= {name.strip() for name in names}


def sources(folder: Path, options: Options) -> list[Source]:
    """The clips of the table, or one of each recording where there is no table."""
    files = _recordings(folder)
    if (folder / TABLE).is_file():
        return _of_table(folder, files, options)
    return [Source(name, path, **_class(name)) for name, path in files.items()]


def _class(name: str) -> dict[str, Any]:
    """What the folder of a recording says: an action unit or an expression."""
    folder = name.rpartition("/")[0]
    if match := re.fullmatch(r"AU[_ -]?(\d+)", folder, re.IGNORECASE):
        return {"au": int(match[1])} if int(match[1]) in AU_INDEX else {}
    return {"expression": expression_index(folder)}


def _of_table(folder: Path, files: dict[str, Path], options: Options) -> list[Source]:
    table = folder / TABLE
    without_suffix = {name.rpartition(".")[0]: name for name in files}
    found, wanted = [], []
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file, skipinitialspace=True)
        unknown = set(rows.fieldnames or ()) - set(COLUMNS)
        if unknown or "recording" not in (rows.fieldnames or ()):
            what = f"has the column {sorted(unknown)[0]}" if unknown else "has no column recording"
            raise InputError(table, what, f"Begin it with the line {','.join(COLUMNS)}, or some of these")
        for row in rows:
            where = f"{table}, line {rows.line_num}"
            name = (row["recording"] or "").strip().replace("\\", "/")
            name = without_suffix.get(name, name)
            source = Source(name, files.get(name, folder / name), (table,), **_class(name))
            found.append(_labelled(source, row, where))
            wanted.append(_split(row, where))
    names = [s.name for s in found]
    found = [replace(s, name=f"{s.name}#{i}") if names.count(s.name) > 1 else s for i, s in enumerate(found)]
    return _divided(table, found, wanted, options)


def _labelled(source: Source, row: Mapping[str, str | None], where: str) -> Source:
    """The source with what its row says."""
    start, stop, au = (_number(row, name, where) for name in ("start_us", "stop_us", "au"))
    if au not in (None, -1, *AU_INDEX):
        raise InputError(where, f"au is {au}", f"Use one of {', '.join(map(str, AU_INDEX))}, or leave it empty")
    if stop is not None and stop <= (start or 0):
        raise InputError(where, f"stop_us is {stop}, not after start_us", "Give the end of the clip")
    word = (row.get("expression") or "").strip()
    return replace(
        source,
        person=(row.get("identity") or "").strip(),
        au=source.au if au is None else au,
        expression=expression_index(word) if word else source.expression,
        start_us=start,
        stop_us=stop,
    )


def _number(row: Mapping[str, str | None], name: str, where: str) -> int | None:
    cell = (row.get(name) or "").strip()
    if not re.fullmatch(r"|-?\d{1,18}", cell):
        raise InputError(where, f"{name} is {cell!r}", "Give a whole number, or leave it empty")
    return int(cell) if cell else None


def _split(row: Mapping[str, str | None], where: str) -> int | None:
    cell = (row.get("split") or "").strip().lower()
    if cell and cell not in SPLITS:
        raise InputError(where, f"split is {cell!r}", f"Use one of {', '.join(SPLITS)}, or leave it empty")
    return SPLITS.index(cell) if cell else None


def _divided(table: Path, found: list[Source], wanted: list[int | None], options: Options) -> list[Source]:
    """Each person in one split: the one that the table gives, else by person; unknown people train."""
    given: dict[str, int] = {}
    wanted = [None] * len(found) if options.by_identity else wanted
    for source, split in zip(found, wanted, strict=True):
        if split is not None and source.person and given.setdefault(source.person, split) != split:
            what = f"{source.person} is in {SPLITS[given[source.person]]} and in {SPLITS[split]}"
            raise InputError(table, what, "Put all clips of a person into one split")
    people = {s.person for s in found} - {""} - given.keys()
    splits = by_person(sorted(people), options.validation) | given
    return [replace(s, split=splits.get(s.person, split or 0)) for s, split in zip(found, wanted, strict=True)]


def read(source: Source, options: Options) -> Reading:
    """A recording, or the part of it that the table names."""
    taken = take(source.path, options, source.start_us, source.stop_us, own_clock=True)
    return Reading(unlabelled(taken.events, taken.duration_us), taken.size, taken.dropped)


LAYOUT = Layout(recognise, sources, read)

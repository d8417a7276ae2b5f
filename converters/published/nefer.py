"""NEFER (Berlincioni et al. 2023, arXiv 2304.06351), as its repository describes it.

``event_raw`` holds ``user_<u>/<clip>.raw`` (Prophesee, 1280×720), itself or in its folder ``raw``; ``annotations``
the tables ``expected_emotions/{train,validation}_event.csv`` and ``reported_emotions/…_event_subjective.csv``: rows
``user, clip, picture, emotion`` without a header, one a picture, the clip named as its file with ``_cd`` behind. The
RGB pictures have no published times and are left out.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from snnface.converters.published.layout import Layout, Options, Reading, Source, unlabelled
from snnface.converters.published.people import TEST, TRAIN, by_person, expression_index, held_back
from snnface.converters.published.raw import take
from snnface.errors import InputError

#: The set's validation people are those that published results are of: they test.
_TABLES = {"train": TRAIN, "validation": TEST}


def recognise(folder: Path) -> bool:
    """Whether a folder of this layout begins here."""
    return (folder / "event_raw").is_dir() and (folder / "annotations").is_dir()


def sources(folder: Path, options: Options) -> list[Source]:
    """The clips that the tables name, by user and time."""
    files = {(path.parent.name, path.stem): path for path in (folder / "event_raw").glob("**/user_*/*.raw")}
    found = []
    for split, index in _TABLES.items():
        table = _table(folder, split, options.reported)
        for (user, clip), emotion in sorted(_emotions(table).items()):
            name = clip.removesuffix("_cd")
            path = files.get((user, name), folder / "event_raw" / user / f"{name}.raw")
            expression = expression_index(emotion)
            found.append(Source(f"{user}/{name}", path, (table,), user, index, expression=expression))
    train = sorted({s.person for s in found if s.split == TRAIN})
    splits = by_person([s.person for s in found], options.validation)
    if not options.by_identity:
        splits = {s.person: s.split for s in found} | held_back(train, options.validation)
    return [replace(source, split=splits[source.person]) for source in found]


def _table(folder: Path, split: str, reported: bool) -> Path:
    kind, behind = ("reported_emotions", "_subjective") if reported else ("expected_emotions", "")
    table = folder / "annotations" / kind / f"{split}_event{behind}.csv"
    if not table.is_file():
        raise InputError(table, "does not exist", "Copy the set's annotations again")
    return table


def _emotions(table: Path) -> dict[tuple[str, str], str]:
    """The emotion of each (user, clip), the same in all its rows."""
    found: dict[tuple[str, str], str] = {}
    with table.open(newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if not row:
                continue
            if len(row) != 4:
                raise InputError(table, f"line {number} has {len(row)} columns, not 4", "Copy the table again")
            user, clip, _, emotion = (cell.strip() for cell in row)
            if found.setdefault((user, clip), emotion) != emotion:
                raise InputError(table, f"line {number} gives {clip} a second emotion", "Copy the table again")
    return found


def read(source: Source, options: Options) -> Reading:
    """A whole recording."""
    taken = take(source.path, options)
    return Reading(unlabelled(taken.events, taken.duration_us), taken.size, taken.dropped)


LAYOUT = Layout(recognise, sources, read)

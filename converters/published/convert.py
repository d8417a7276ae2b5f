"""A folder in a published layout → one data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from snnface.converters.published import eck, esie, facemorphic, fes, generic, nefer, wflw_v
from snnface.converters.published.layout import Layout, Options
from snnface.converters.published.run import Run
from snnface.datasets.store import SPLITS, Store
from snnface.errors import InputError
from snnface.files import read_json
from snnface.io.damage import EVENT_REASONS
from snnface.progress import say

#: By name; a folder is taken for the first one that recognises it, so that the generic one comes last.
LAYOUTS: dict[str, Layout] = {
    "facemorphic": facemorphic.LAYOUT,
    "nefer": nefer.LAYOUT,
    "e-ck+": eck.LAYOUT,
    "fes": fes.LAYOUT,
    "wflw-v": wflw_v.LAYOUT,
    "e-sie": esie.LAYOUT,
    "folder": generic.LAYOUT,
}
#: Reasons whose counts are events; the others count recordings, or what could not be read as events.
_EVENTS = EVENT_REASONS | {"outside_part"}
#: Recordings that the answer names; the report names all.
_NAMED = 10


def detect(folder: Path) -> str | None:
    """Name of the published layout that a folder has, of :data:`LAYOUTS`; None where it has none of them."""
    folder = Path(folder)
    return next((name for name, layout in LAYOUTS.items() if folder.is_dir() and layout.recognise(folder)), None)


def convert_published(
    folder: Path, target: Path, layout: str | None = None, resume: bool = False, options: Options | None = None
) -> dict[str, Any]:
    """Write a published set as one data set (HDF5), one recording in memory at a time.

    A recording that cannot be read is left out, counted and named; ``TARGET.report.json`` names them all, and says
    which number in ``identity`` is which person. Finished parts wait in ``TARGET.parts`` until the set is whole; with
    ``resume`` they are taken over, and a whole set of the same files and options is left as it is.

    Parameters
    ----------
    layout: name of the layout, one of :data:`LAYOUTS`; without it, it is recognised.
    options: choices, see :class:`~snnface.converters.published.layout.Options`.

    Returns layout, clips, identities, split (clips of each), events_in, events_out, dropped (by reason: events, and
    recordings that were left out, whose events are not counted), labels_missing (clips by reason), skipped
    (recording, reason and what is wrong, the first ten) and sha256 (of the content).

    Raises
    ------
    InputError: the folder has no such layout or holds no events, nothing in it can be read, ``options.strict`` is
        set and something cannot be read, parts of other files or options are there, or the disk is full.
    """
    folder, target, options = Path(folder), Path(target), options or Options()
    name = _name(folder, layout)
    if target.is_dir():
        raise InputError(target, "is a folder", "Give the name of a file")
    sources = LAYOUTS[name].sources(folder, options)
    if not sources:
        raise InputError(folder, f"holds no recordings in the layout {name}", "See docs/published.md for the layout")
    run = Run(name, LAYOUTS[name], sources, options, target)
    if not (resume and run.done):
        run.make(resume)
    return _answer(target, read_json(run.report))


def _name(folder: Path, layout: str | None) -> str:
    if not folder.is_dir():
        raise InputError(folder, "is no folder", "Give the folder that the set was unpacked to")
    name = layout or detect(folder)
    if name is None:
        fix = "Arrange it as CLASS/RECORDING, with labels.csv where there are more labels; see docs/published.md"
        raise InputError(folder, "has no published layout that is known here", fix)
    if name not in LAYOUTS:
        raise InputError(f"layout {name!r}", "is unknown", f"Use one of {', '.join(LAYOUTS)}")
    return name


def _answer(target: Path, report: dict[str, Any]) -> dict[str, Any]:
    store = Store(target)
    events = int(store.offsets[-1])
    dropped, skipped = report["dropped"], report["skipped"]
    left_out = f", {len(skipped)} recordings left out" if skipped else ""
    say(f"{target}: {len(store)} clips, {events:,} events{left_out}")
    return {
        "layout": report["layout"],
        "clips": len(store),
        "identities": len(set(store.identity[store.identity >= 0].tolist())),
        "split": dict(zip(SPLITS, np.bincount(store.split, minlength=len(SPLITS)).tolist(), strict=True)),
        "events_in": events + sum(count for reason, count in dropped.items() if reason in _EVENTS),
        "events_out": events,
        "dropped": dropped,
        "labels_missing": {reason: len(clips) for reason, clips in report["labels_missing"].items()},
        "skipped": skipped[:_NAMED],
        "sha256": store.content_sha256(),
    }

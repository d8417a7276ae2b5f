"""``snnface compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from snnface.errors import InputError
from snnface.files import write_text
from snnface.io import parse_size
from snnface.statistics.catalogue import STATISTICS
from snnface.statistics.comparison import compared
from snnface.statistics.counts import Counts
from snnface.statistics.measures import Measured
from snnface.statistics.page import page
from snnface.statistics.source import counted


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A recording (raw dat aedat4 es csv h5) or a data set.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one, of any sensor and length.")],
    out: Annotated[Path, typer.Option(help="The page to write (html).", show_default=False)],
    clips: Annotated[
        int, typer.Option(help="At most so many clips of a data set, evenly spread; 0 = all.", min=0)
    ] = 0,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="WxH", help="Sensor size where a file does not state it; once for both, or for each."),
    ] = None,
) -> dict[str, Any]:
    """Event statistics of two recordings or data sets, with a distance for each, as a page and as figures.

    Distances are 0 for equal statistics; a decade is a factor of ten. "within" says how far apart the halves of each
    recording are (of a data set: even and odd clips): a distance between the two that is no larger says nothing.
    A statistic that a recording is too short for has none.

    Example: snnface compare faces.h5 street.raw --out compare.html
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(out, "is not the name of a page", "End it with .html")
    sizes = [parse_size(s) for s in size] if size else [None]
    if len(sizes) > 2:
        raise InputError("--size", f"given {len(sizes)} times", "Give it once, or once for each recording")
    both = [counted(path, s, clips) for path, s in zip((first, second), (sizes * 2)[:2], strict=True)]
    found = compared(*both)
    names = (first.name, second.name) if first.name != second.name else (str(first), str(second))
    write_text(out, page(found, (both[0].whole, both[1].whole), names))
    answers = [
        _answer(name, counts.whole, measured)
        for name, counts, measured in zip(names, both, found.measured, strict=True)
    ]
    return {
        "distances": found.distances,
        "units": {s.name: s.unit for s in STATISTICS},
        "sensor": [s.name for s in STATISTICS if s.about == "sensor"],
        "within": {"a": found.within[0], "b": found.within[1]},
        "a": answers[0],
        "b": answers[1],
        "scale": {
            "horizon_us": found.scale.horizon_us,
            "rate_window_us": found.scale.rate_us,
            "support_us": found.scale.support_us,
        },
        "out": str(out),
    }


def _answer(name: str, counts: Counts, measured: dict[str, Measured]) -> dict[str, Any]:
    return {
        "name": name,
        "events": counts.events,
        "width": counts.width,
        "height": counts.height,
        "segments": len(counts.durations),
        "duration_us": counts.duration_us,
        "statistics": {name: dict(found.figures) for name, found in measured.items()},
    }

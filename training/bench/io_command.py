"""``snnface bench io``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from snnface import io as snnface_io
from snnface.files import write_json
from snnface.io.hdf5_file import holds_dataset
from snnface.progress import console
from snnface.training.bench import reading
from snnface.training.bench.compare import Settings, chosen, compare
from snnface.training.bench.options import CACHE, Against, Cache, Out, Rounds, Seed
from snnface.training.bench.rows import machine, table


def io(
    recordings: Annotated[
        list[Path] | None, typer.Argument(help="Recordings; those in SNNFACE_DATA by default.", show_default=False)
    ] = None,
    events: Annotated[int, typer.Option(min=0, help="Events of the written recordings; 0 = none.")] = 4_000_000,
    rounds: Rounds = 7,
    against: Against = None,
    seed: Seed = 0,
    cache: Cache = CACHE,
    out: Out = None,
) -> dict[str, Any]:
    """Reading a recording into memory, one thread.

    A recording of 1280×720 pixels is written in each format; all must read the same events.

    Example: snnface bench io --events 1000000 flight.raw
    """
    given = recordings or _real_recordings()
    known = chosen(reading.IMPLEMENTATIONS, against, compiled=False)
    answer: dict[str, Any] = {"workload": "io", "machine": machine(1), "rows": [], "ratios": []}
    for path in [*(_written(events, seed, cache) if events else []), *given]:
        recording, report = snnface_io.read(path)
        copy = cache / path.name
        if copy != path:
            copy.unlink(missing_ok=True)
            copy.symlink_to(path.resolve())
        reading.save_columns(recording.events, copy)
        right = reading.checksum(recording.events)
        found = compare(
            "reading",
            [replace(i, forms=({"format": report.format},)) for i in known if reading.reads(i.name, report.format)],
            copy,
            report.format if path not in given else path.name,
            lambda sums, right=right: sums[0] == right,  # type: ignore[misc]
            Settings(rounds, 1, 1, 1),
        )
        for row in found["rows"]:
            row["events"] = len(recording)
            if row["median_ms"]:
                row["events_per_s"] = len(recording) / row["median_ms"] * 1e3
        console.print(table(found["rows"], found["ratios"]))
        answer["rows"] += found["rows"]
        answer["ratios"] += found["ratios"]
    if out is not None:
        write_json(out, answer)
    return answer


def _written(events: int, seed: int, cache: Path) -> list[Path]:
    """Recordings of that many events in every format, written once."""
    paths = [cache / f"recording-{events}-{seed}{suffix}" for suffix in reading.FORMATS]
    for path in paths:
        if not path.is_file():
            snnface_io.write(reading.recording(events, seed), path)
    return paths


def _real_recordings() -> list[Path]:
    folder = os.environ.get("SNNFACE_DATA")
    files = sorted(Path(folder).rglob("*")) if folder else []
    return [f for f in files if f.suffix in reading.FORMATS and not holds_dataset(f)]

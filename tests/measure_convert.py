"""What conversions cost and keep: events a second, peak memory, equality, windows. Ends with 1 at what does not hold.

python tests/measure_convert.py large --gigabytes 5 --folder FOLDER     # needs some 14 GB of disk
python tests/measure_convert.py windows large.h5                        # of a file that large --keep left there
python tests/measure_convert.py roundtrip shared/data/recordings        # each through HDF5 and back, and made ones
python tests/measure_convert.py packing recording.raw                   # HDF5's own filters side by side
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from made_recordings import PART, SIZE, Made, equal, equal_files

from snnface import io
from snnface.converters.recordings import convert_recording

#: What one conversion may hold at most, and how long a window may take.
MOST_MB, MOST_MS = 1000, 5.0
#: HDF5 and the file that comes back, in sizes of the RAW file.
ROOM = 2.8
CONVERT = """
import sys, time
from snnface.cli import main
from snnface.memory import peak_mb
start = time.perf_counter()
try:
    main(["convert", *sys.argv[1:], "--json"])
finally:
    print("\\n", time.perf_counter() - start, time.process_time(), peak_mb())
"""


class Failed(Exception):
    """Something that must hold does not."""


def converted(source: Path, target: Path, events: int) -> dict[str, Any]:
    """``snnface convert`` in a process of its own, so that the peak (MB of 2²⁰ bytes) is that of the conversion."""
    done = subprocess.run([sys.executable, "-c", CONVERT, source, target], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failed(f"convert ends with {done.returncode}")
    *answer, figures = done.stdout.splitlines()
    told, (seconds, cpu, peak) = json.loads("".join(answer)), map(float, figures.split())
    if (told["events_out"], told["dropped"]) != (events, {}):
        raise Failed(f"{told}, not {events} events")
    if peak > MOST_MB:
        raise Failed(f"takes {peak:.0f} MB")
    rates = {"seconds": seconds, "mev_s": events / seconds / 1e6, "mev_cpu_s": events / cpu / 1e6}
    return rates | {"peak_mb": peak, "bytes": target.stat().st_size}


def windows(path: Path, made: Made, count: int = 200, length_us: int = 50_000) -> dict[str, Any]:
    """Milliseconds for random windows: of an open file, and with opening it each time."""
    starts = np.random.default_rng(0).integers(0, max(1, made.last_us - length_us), count).tolist()
    taken: dict[str, list[float]] = {"open": [], "cpu": [], "fresh": []}
    with io.Windows(path) as opened:
        for start in starts:
            cpu, begin = time.process_time(), time.perf_counter()
            events = len(opened.window(start, start + length_us))
            taken["open"].append((time.perf_counter() - begin) * 1e3)
            taken["cpu"].append((time.process_time() - cpu) * 1e3)
        for start in starts:  # by themselves: making events takes the caches from what is timed
            if opened.window(start, start + length_us).tobytes() != made.window(start, start + length_us).tobytes():
                raise Failed(f"the window at {start} µs holds other events")
    for start in starts:
        begin = time.perf_counter()
        io.window(path, start, start + length_us)
        taken["fresh"].append((time.perf_counter() - begin) * 1e3)
    told: dict[str, Any] = {"events": events}
    for name, ms in taken.items():
        told |= {f"{name}_median_ms": float(np.median(ms)), f"{name}_p99_ms": float(np.percentile(ms, 99))}
    return told | {f"open_within_{MOST_MS:g}_ms": float(np.mean(np.array(taken["open"]) <= MOST_MS))}


def large(gigabytes: float, folder: Path, events_per_ms: int, keep: bool) -> None:
    """A RAW file (EVT3) of at least that size to HDF5 and back; stops at the first thing that does not hold."""
    free = shutil.disk_usage(folder).free
    if free < ROOM * gigabytes * 1e9:
        raise Failed(f"{folder} has {free / 1e9:.0f} GB left, and this needs {ROOM * gigabytes:.0f}")
    with contextlib.nullcontext(folder) if keep else tempfile.TemporaryDirectory(dir=folder) as made_in:
        raw, packed, back = (Path(made_in) / name for name in ("large.raw", "large.h5", "back.raw"))
        io.write_parts(Made(1, events_per_ms), raw, SIZE)
        made = Made(math.ceil(gigabytes * 1e9 / raw.stat().st_size), events_per_ms)
        start = time.perf_counter()
        io.write_parts(made, raw, SIZE)
        figures = {"events": made.events, "bytes": raw.stat().st_size, "seconds": time.perf_counter() - start}
        say("made", figures)
        say("raw → h5", converted(raw, packed, made.events))
        say("windows of 50 ms", windows(packed, made))
        say("h5 → raw", converted(packed, back, made.events))
        same = {
            "made, h5": equal(made, io.Parts(packed)),
            "raw, back": filecmp.cmp(raw, back, shallow=False) or equal_files(raw, back),
        }
        say("every event equal", same)
        if not all(same.values()):
            raise Failed("events differ")


def roundtrip(folder: Path | None, events: int = 1 << 18) -> bool:
    """Every recording of a folder, and one made in each format, to HDF5 and back; whether all events were equal."""
    everything = True
    with tempfile.TemporaryDirectory(prefix="snnface-") as made_in:
        sources = sorted(p for p in folder.iterdir() if p.suffix.lower() in io.SUFFIXES) if folder else []
        for source in [*sources, *_made_files(Path(made_in), events)]:
            told = _there_and_back(source, Path(made_in))
            say(source.name, told)
            everything = everything and told["equal"]
    return everything


def _made_files(folder: Path, events: int) -> Iterator[Path]:
    for name, encoding in (("evt3.raw", "evt3"), ("evt2.raw", "evt2"), *((f"made.{s}", None) for s in MADE)):
        io.write_parts(Made(1, part=events), folder / name, SIZE, encoding)
        yield folder / name


#: Formats of which a recording is made beside the RAW ones.
MADE = ("dat", "aedat4", "es", "csv", "h5")


def _there_and_back(source: Path, folder: Path) -> dict[str, Any]:
    parts = io.Parts(source, size=SIZE if source.suffix == ".csv" else None)
    size = (parts.width, parts.height)
    packed, back = folder / "packed.hdf5", folder / f"back{source.suffix}"
    told = convert_recording(source, packed, size)
    encoding = parts.format if source.suffix.lower() == ".raw" else None
    again = convert_recording(packed, back, encoding=encoding)
    same = (
        equal(io.Parts(source, size=size), io.Parts(packed)),
        equal(io.Parts(source, size=size), io.Parts(back, size=size)),
    )
    return {
        "format": parts.format,
        "sensor": f"{size[0]}x{size[1]}",
        "events": told["events_out"],
        "bytes": source.stat().st_size,
        "hdf5_bytes": packed.stat().st_size,
        "back": io.Parts(back, size=size).format,
        "dropped": told["dropped"] | again["dropped"],
        "equal": all(same),
    }


PACKINGS: dict[str, dict[str, Any]] = {
    "none": {},
    "lzf, shuffle (h5py's own)": {"compression": "lzf", "shuffle": True},
    "gzip 1, shuffle": {"compression": "gzip", "compression_opts": 1, "shuffle": True},
    "gzip 2, shuffle": {"compression": "gzip", "compression_opts": 2, "shuffle": True},
    "gzip 4, shuffle": {"compression": "gzip", "compression_opts": 4, "shuffle": True},
    "gzip 9, shuffle": {"compression": "gzip", "compression_opts": 9, "shuffle": True},
    "gzip 2": {"compression": "gzip", "compression_opts": 2},
    "scaleoffset": {"scaleoffset": 0},
    "scaleoffset, gzip 2": {"scaleoffset": 0, "compression": "gzip", "compression_opts": 2},
}


def packing(source: Path, folder: Path) -> None:
    """Bytes an event, and million events a second written and read, of HDF5's own filters in chunks of 16,384."""
    events = io.read(source)[0].events
    columns = {"t": "<i8", "x": "<u2", "y": "<u2", "p": "u1"}
    for name, options in PACKINGS.items():
        path = folder / "packing.h5"
        start = time.perf_counter()
        with h5py.File(path, "w") as f:
            for column, dtype in columns.items():
                f.create_dataset(column, data=events[column].astype(dtype), chunks=(1 << 14,), **options)
        wrote = time.perf_counter() - start
        size = path.stat().st_size
        start = time.perf_counter()
        with h5py.File(path) as f:
            same = all(np.array_equal(f[column][:], events[column]) for column in columns)
        read = time.perf_counter() - start
        figures = {"bytes_an_event": size / len(events), "write_mev_s": len(events) / wrote / 1e6}
        say(name, figures | {"read_mev_s": len(events) / read / 1e6, "equal": same})
        path.unlink()


def say(name: str, figures: dict[str, Any]) -> None:
    short = {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}
    print(f"{name:26}", json.dumps(short), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    of_large = commands.add_parser("large")
    of_large.add_argument("--gigabytes", type=float, default=5)
    of_large.add_argument("--keep", action="store_true", help="leave large.raw, large.h5 and back.raw there")
    of_windows = commands.add_parser("windows")
    of_windows.add_argument("source", type=Path)
    for command in (of_large, of_windows):
        command.add_argument("--events-per-ms", type=int, default=5_000)
    of_packing = commands.add_parser("packing")
    of_packing.add_argument("source", type=Path)
    for command in (of_large, of_packing):
        command.add_argument("--folder", type=Path, default=Path("."))
    of_roundtrip = commands.add_parser("roundtrip")
    of_roundtrip.add_argument("folder", type=Path, nargs="?")
    given = parser.parse_args()
    try:
        if given.command == "large":
            large(given.gigabytes, given.folder, given.events_per_ms, given.keep)
        elif given.command == "windows":
            with io.Windows(given.source) as recording:
                made = Made(recording.events // PART, given.events_per_ms)
            say("windows of 50 ms", windows(given.source, made))
        elif given.command == "packing":
            packing(given.source, given.folder)
        elif not roundtrip(given.folder):
            raise Failed("events differ")
    except Failed as e:
        sys.exit(f"failed: {e}")


if __name__ == "__main__":
    main()

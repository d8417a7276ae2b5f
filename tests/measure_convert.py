"""How large recordings are converted: time, peak memory, size, equality, windows. Writes a recording of any size.

python tests/measure_convert.py large --gigabytes 5 --folder FOLDER     # needs some 10 GB of disk
python tests/measure_convert.py packing recording.raw                   # HDF5's own filters side by side
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snnface import io
from snnface.events import EVENT_DTYPE

SIZE = (1280, 720)
#: Events made together.
PART = 1 << 20
CONVERT = """
import json, resource, sys, time
from snnface.converters.recordings import convert_recording
start = time.perf_counter()
told = convert_recording(sys.argv[1], sys.argv[2], encoding=sys.argv[3] or None)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(told | {"seconds": time.perf_counter() - start, "peak_mb": peak}))
"""


def made(parts: int, seed: int = 0, events_per_ms: int = 5_000) -> Iterator[np.ndarray]:
    """Events of edges that cross a large sensor, with noise; 5 million a second."""
    rng = np.random.default_rng(seed)
    for number in range(parts):
        events = np.empty(PART, EVENT_DTYPE)
        t = number * PART + np.arange(PART)
        events["t"] = t * 1000 // events_per_ms
        edge = (events["t"] // 500 + rng.integers(0, 3, PART) + 320 * rng.integers(0, 4, PART)) % SIZE[0]
        noise = rng.random(PART) < 0.1
        events["x"] = np.where(noise, rng.integers(0, SIZE[0], PART), edge)
        events["y"] = rng.integers(0, SIZE[1], PART)
        events["p"] = rng.random(PART) < 0.5
        yield events


def converted(source: Path, target: Path, encoding: str = "") -> dict[str, Any]:
    """Convert in a process of its own, so that the peak is that of the conversion alone."""
    command = [sys.executable, "-c", CONVERT, str(source), str(target), encoding]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout)) | {"bytes": target.stat().st_size}


def equal(first: Path, second: Path) -> bool:
    """Whether two recordings hold the same events, compared part by part."""

    def rows(path: Path) -> Iterator[np.ndarray]:
        waiting = np.empty(0, EVENT_DTYPE)
        for part in io.Parts(path):
            waiting = np.concatenate([waiting, part])
            while len(waiting) >= PART:
                yield waiting[:PART]
                waiting = waiting[PART:]
        yield waiting

    nothing = np.empty(0, EVENT_DTYPE)
    return all(np.array_equal(a, b) for a, b in zip_longest(rows(first), rows(second), fillvalue=nothing))


def windows(path: Path, count: int = 200, length_us: int = 50_000) -> dict[str, float]:
    """Milliseconds for random windows: of an open file, and with opening it each time."""
    rng = np.random.default_rng(0)
    with io.Windows(path) as opened:
        last = int(opened.window(0, 1 << 62)["t"][-1]) if opened.events < 10**7 else _last_us(path)
        starts = rng.integers(0, max(1, last - length_us), count).tolist()
        found = []
        for start in starts:
            begin = time.perf_counter()
            events = len(opened.window(start, start + length_us))
            found.append((time.perf_counter() - begin) * 1e3)
    fresh = []
    for start in starts:
        begin = time.perf_counter()
        io.window(path, start, start + length_us)
        fresh.append((time.perf_counter() - begin) * 1e3)
    return {
        "events": events,
        "open_median_ms": float(np.median(found)),
        "open_p99_ms": float(np.percentile(found, 99)),
        "fresh_median_ms": float(np.median(fresh)),
        "fresh_p99_ms": float(np.percentile(fresh, 99)),
    }


def _last_us(path: Path) -> int:
    with h5py.File(path) as f:
        return int(f["events/t"][-1])


def large(gigabytes: float, folder: Path, events_per_ms: int) -> None:
    """A RAW file (EVT3) of that size to HDF5 and back."""
    raw, packed, back = (folder / name for name in ("large.raw", "large.h5", "back.raw"))
    io.write_parts(made(2, events_per_ms=events_per_ms), raw, SIZE)
    parts = max(2, round(2 * gigabytes * 1e9 / raw.stat().st_size))
    start = time.perf_counter()
    io.write_parts(made(parts, events_per_ms=events_per_ms), raw, SIZE)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say("made", {"events": parts * PART, "bytes": raw.stat().st_size, "seconds": time.perf_counter() - start})
    say("made, peak", {"peak_mb": peak})
    say("raw → h5", converted(raw, packed))
    say("windows of 50 ms", windows(packed))
    say("h5 → raw", converted(packed, back))
    say("every event equal", {"raw, h5": equal(raw, packed), "raw, back": equal(raw, back)})
    for path in (raw, packed, back):
        path.unlink()


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    of_large = commands.add_parser("large")
    of_large.add_argument("--gigabytes", type=float, default=5)
    of_large.add_argument("--events-per-ms", type=int, default=5_000)
    of_packing = commands.add_parser("packing")
    of_packing.add_argument("source", type=Path)
    for command in (of_large, of_packing):
        command.add_argument("--folder", type=Path, default=Path("."))
    given = parser.parse_args()
    if given.command == "large":
        large(given.gigabytes, given.folder, given.events_per_ms)
    else:
        packing(given.source, given.folder)

"""Reading a recording: file to arrays. Every way, by name; the number is a checksum of the events."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snnface import io
from snnface.events import EVENT_DTYPE, Recording, pack
from snnface.training.bench.implementation import Done, Implementation, Start, Step

#: Suffixes of the recordings that are written, and what expelliarmus calls the formats.
FORMATS = (".raw", ".dat", ".aedat4", ".h5")
_EXPELLIARMUS = {"evt2": "evt2", "evt3": "evt3", "dat1": "dat", "dat2": "dat"}
_SIZE = (1280, 720)
#: Events a second of the made-up recording, as a busy scene gives at that size.
_RATE = 2_000_000


def recording(events: int, seed: int) -> Recording:
    """Edges that move: runs of neighbouring pixels in one row, as sensors read them out."""
    generator = np.random.default_rng(seed)
    run = 8
    rows = -(-events // run)
    t = np.sort(generator.integers(0, max(1, events * 1_000_000 // _RATE), rows)).repeat(run)
    x = (generator.integers(0, _SIZE[0] - run, rows).repeat(run) + np.tile(np.arange(run), rows))[:events]
    y, p = generator.integers(0, _SIZE[1], rows).repeat(run), generator.integers(0, 2, rows).repeat(run)
    return Recording(pack(t[:events], x, y[:events], p[:events]), *_SIZE)


def checksum(columns: Mapping[str, Any] | np.ndarray, polarity: str = "p") -> float:
    """A number that other events would hardly give, exact in float64 up to some 10⁸ events."""
    names, weights = ("t", "x", "y", polarity), (1, 3, 5, 7)
    sums = [w * int(np.asarray(columns[n], np.int64).sum()) for n, w in zip(names, weights, strict=True)]
    return float((sum(sums) + len(columns["t"])) % (1 << 53))


def columns_file(path: Path) -> Path:
    """Where the same events stand as a plain array."""
    return path.with_name(path.name + ".npy")


def _reader(read: Callable[[Path, dict[str, Any]], Any], polarity: str = "p") -> Callable[..., Start]:
    def prepare(path: Path, options: dict[str, Any]) -> Start:
        def start() -> Step:
            def step() -> Done:
                begin = time.perf_counter()
                events = read(path, options)
                taken = time.perf_counter() - begin
                return Done(checksum(events, polarity), seconds=taken)

            return step

        return start

    return prepare


def _snnface(path: Path, options: dict[str, Any]) -> Any:
    return io.read(path)[0].events


def _faery(path: Path, options: dict[str, Any]) -> Any:
    import faery

    return faery.events_stream_from_file(path).to_array()


def _expelliarmus(path: Path, options: dict[str, Any]) -> Any:
    from expelliarmus import Wizard

    return Wizard(encoding=_EXPELLIARMUS[options["format"]]).read(path)


def _columns(path: Path, options: dict[str, Any]) -> Any:
    return np.load(columns_file(path))


def reads(name: str, form: str) -> bool:
    """Whether an implementation reads this format (as :func:`snnface.io.read` names it) at all."""
    return not (name == "expelliarmus" and form not in _EXPELLIARMUS) and not (name == "faery" and form == "hdf5")


IMPLEMENTATIONS = {
    i.name: i
    for i in (
        Implementation("snnface read", "own", _reader(_snnface)),
        Implementation("faery", "peer", _reader(_faery, "on"), requires="faery"),
        Implementation("expelliarmus", "peer", _reader(_expelliarmus), requires="expelliarmus"),
        Implementation("numpy columns", "floor", _reader(_columns)),
    )
}


def save_columns(events: np.ndarray, path: Path) -> None:
    """Write the events of a recording as a plain array beside it."""
    plain = np.empty(len(events), EVENT_DTYPE)
    for name in "txyp":
        plain[name] = events[name]
    np.save(columns_file(path), plain)

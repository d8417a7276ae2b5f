"""One recording in HDF5: ``events/{t,x,y,p}``, ``index_ms``, attributes ``width`` and ``height``; h5py opens it.

``index_ms[k]`` is the number of events before ``start_us + 1000 k`` µs (``start_us``: its attribute), so that a
window is found without a search; files without it are read too.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np

from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, pack
from snnface.hdf5 import new_file
from snnface.io.chunks import CHUNK, THREADS, Rows, append, growing
from snnface.io.damage import Damage
from snnface.io.decoding import Block, Decoded

SUFFIXES = (".h5", ".hdf5")
ENCODINGS = ("hdf5",)
FIELDS = {"t": "<i8", "x": "<u2", "y": "<u2", "p": "u1"}
LARGEST_SENSOR = 65_535
#: Number of Prophesee's ECF compression in the registry of HDF5 filters.
_ECF = 0x8ECF
#: Chunks that are read and written together.
_TOGETHER = 32
#: A truncated file is filled up to at most this many times its size.
_MOST_MISSING = 100


def read(path: Path, size: tuple[int, int] | None, damage: Damage) -> Decoded:
    """Events of a file that holds one recording."""
    with contextlib.ExitStack() as stack:
        _, _, size = open_recording(path, size, damage, stack)
    return Decoded(size, "hdf5", _blocks(path, damage))


def open_recording(
    path: Path, size: tuple[int, int] | None, damage: Damage, stack: contextlib.ExitStack
) -> tuple[h5py.File, list[h5py.Dataset], tuple[int, int]]:
    """The open file, which ``stack`` closes, its columns t, x, y, p, and the sensor's (width, height)."""
    with _readable(damage):
        f = stack.enter_context(_open(path, damage, stack))
        if is_dataset(f):
            raise damage.lost("is a data set of many clips, not one recording", "Give a recording")
        _refuse_prophesee(f, damage)
        return f, _columns(f, damage), _size(f, size, damage)
    raise AssertionError("not reached")


@contextlib.contextmanager
def _readable(damage: Damage) -> Iterator[None]:
    """Turn what HDF5 raises on broken files into an :class:`InputError`."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError) as e:
        if isinstance(e, InputError):
            raise
        raise damage.lost(f"cannot be read as HDF5 ({e})") from e


def _open(path: Path, damage: Damage, stack: contextlib.ExitStack) -> h5py.File:
    """The open file; a truncated one is filled up with zeros first, so that what is there can be reached."""
    try:
        return h5py.File(path, "r")
    except OSError as e:
        if not h5py.is_hdf5(path):
            raise damage.lost("is not an HDF5 file", "Give the right suffix") from e
        stated = re.search(r"truncated file: eof = (\d+).*stored_eof = (\d+)", str(e))
        if not stated or int(stated[2]) > _MOST_MISSING * int(stated[1]):
            raise
        damage.found("truncated_bytes", int(stated[2]) - int(stated[1]), "is cut off: {} bytes are missing")
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="snnface-"))
        filled = Path(shutil.copyfile(path, Path(folder) / "filled.h5"))
        with filled.open("r+b") as f:
            f.truncate(int(stated[2]))
        return h5py.File(filled, "r")


def is_dataset(f: h5py.File) -> bool:
    """Whether an open file is a data set of many clips."""
    return "offsets" in f


def holds_dataset(path: Path) -> bool:
    """Whether a file is HDF5 and a data set of many clips; False where it cannot be opened."""
    try:
        with h5py.File(path, "r") as f:
            return is_dataset(f)
    except (OSError, RuntimeError):
        return False


def _refuse_prophesee(f: h5py.File, damage: Damage) -> None:
    events = f.get("CD/events")
    if not isinstance(events, h5py.Dataset):
        return
    filters = events.id.get_create_plist()
    ecf = any(filters.get_filter(i)[0] == _ECF for i in range(filters.get_nfilters()))
    kind = "compressed with ECF" if ecf else "a record of structures"
    raise damage.lost(f"is Prophesee HDF5, {kind}, which plain HDF5 cannot read", "Convert it to RAW")


def _columns(f: h5py.File, damage: Damage) -> list[h5py.Dataset]:
    data = [f.get(f"events/{name}") for name in FIELDS]
    for name, column in zip(FIELDS, data, strict=True):
        if not isinstance(column, h5py.Dataset):
            raise damage.lost(f"has no events/{name}", "Give a file with events/t, x, y, p of one length")
        if column.ndim != 1 or column.dtype.kind not in "iub":
            what = f"events/{name} is {column.dtype} with shape {column.shape}"
            raise damage.lost(what, "Give integers in one dimension")
    lengths = [len(column) for column in data]
    if len(set(lengths)) != 1:
        raise damage.lost(f"its columns t, x, y, p have different lengths, {lengths}")
    return data


def _blocks(path: Path, damage: Damage) -> Iterator[Block]:
    """Rows of all columns, none of a chunk where one of them does not decompress."""
    with contextlib.ExitStack() as stack, _readable(damage):
        data = _columns(stack.enter_context(_open(path, Damage(path, damage.repair), stack)), damage)
        total, rows = len(data[0]), CHUNK if damage.repair else CHUNK * _TOGETHER
        unpacked = Rows(data)
        for start in range(0, total, rows):
            columns = [np.empty(min(rows, total - start), column.dtype) for column in data]
            try:
                unpacked.read(start, start + len(columns[0]), columns)
            except (OSError, RuntimeError):
                if not damage.repair:
                    raise
                damage.drop("garbled_rows", min(rows, total - start))
                continue
            t, x, y, p = columns
            yield Block(t, x, y, p, min(start + rows, total) / total)


def _size(f: h5py.File, declared: tuple[int, int] | None, damage: Damage) -> tuple[int, int]:
    """Width and height as the open file states them, else as they are declared."""
    stated = (f.attrs.get("width"), f.attrs.get("height"))
    if any(n is None for n in stated):
        if declared:
            return declared
        raise damage.lost("has no attributes width and height", "Give the sensor's size with --size WIDTHxHEIGHT")
    if not all(np.ndim(n) == 0 and np.asarray(n).dtype.kind in "iu" and 1 <= n <= LARGEST_SENSOR for n in stated):
        raise damage.lost(f"its sensor size is {stated[0]}x{stated[1]}", f"Use 1 to {LARGEST_SENSOR} pixels a side")
    size = (int(stated[0]), int(stated[1]))
    if declared and declared != size:
        raise damage.lost(f"it states {size[0]}x{size[1]}, not {declared[0]}x{declared[1]}", "Leave out --size")
    return size


def write(path: Path, parts: Iterator[np.ndarray], size: tuple[int, int], encoding: str) -> int:
    """Write one recording, packed as HDF5's own gzip does, in the order of time; returns 0: no time is lost."""
    with ThreadPoolExecutor(THREADS) as pool, new_file(path) as (f, disk):
        f.attrs["width"], f.attrs["height"] = size
        columns = [growing(f, f"events/{name}", dtype) for name, dtype in FIELDS.items()]
        index: Index | None = None
        for events in _regrouped(parts, CHUNK, _TOGETHER):
            index = index or Index(growing(f, "index_ms", "<i8"), int(events["t"][0]))
            index.add(events["t"])
            append(columns, events, pool)
            disk.check()
        if index is not None:
            index.close()
    return 0


class Index:
    """Fills ``index_ms`` of a recording that begins at ``first_us``."""

    def __init__(self, column: h5py.Dataset, first_us: int) -> None:
        self._column, self._events = column, 0
        self._start = first_us // 1000 * 1000
        self._next = self._start
        column.attrs["start_us"] = self._start

    def add(self, t: np.ndarray) -> None:
        """Count the next times, µs ``[E]``, sorted."""
        t = t.astype(np.int64, copy=False)
        edges = np.arange(self._next, int(t[-1]) + 1, 1000)
        _append(self._column, self._events + np.searchsorted(t, edges))
        self._next += 1000 * len(edges)
        self._events += len(t)

    def close(self) -> None:
        """The last entry counts all events."""
        _append(self._column, np.array([self._events]))


def _append(column: h5py.Dataset, values: np.ndarray) -> None:
    start = len(column)
    column.resize(start + len(values), axis=0)
    column[start:] = values


def _regrouped(parts: Iterable[np.ndarray], rows: int, most: int) -> Iterator[np.ndarray]:
    """The same events, as ``EVENT_DTYPE``, in 1 to ``most`` times ``rows`` but for the last: no chunk is packed
    twice."""
    waiting = np.empty(0, EVENT_DTYPE)
    for part in parts:
        events = part if part.dtype == EVENT_DTYPE else pack(*(part[name] for name in FIELDS))
        if len(waiting):
            missing = rows - len(waiting)
            waiting, events = np.concatenate([waiting, events[:missing]]), events[missing:]
            if len(waiting) < rows:
                continue
            yield waiting
        whole = len(events) // rows * rows
        for start in range(0, whole, rows * most):
            yield events[start : min(start + rows * most, whole)]
        waiting = events[whole:].copy()
    if len(waiting):
        yield waiting

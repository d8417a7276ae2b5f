"""One recording in HDF5: ``events/{t,x,y,p}`` and the attributes ``width`` and ``height``; plain h5py opens it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import h5py
import numpy as np

from snnface.errors import InputError
from snnface.hdf5 import new_file
from snnface.io.damage import Damage
from snnface.io.decoding import Columns, joined, scratch

SUFFIXES = (".h5", ".hdf5")
LARGEST_SENSOR = 65_535
#: Number of Prophesee's ECF compression in the registry of HDF5 filters.
_ECF = 0x8ECF
_CHUNK = 16_384
#: A truncated file is filled up to at most this many times its size.
_MOST_MISSING = 100


def read(path: Path, size: tuple[int, int] | None, damage: Damage) -> tuple[Columns, tuple[int, int], str]:
    """Columns, sensor size and "hdf5" of a file that holds one recording."""
    with contextlib.ExitStack() as stack:
        try:
            f = stack.enter_context(_open(path, damage, stack))
            if is_dataset(f):
                raise damage.lost("is a data set of many clips, not one recording", "Give a recording")
            _refuse_prophesee(f, damage)
            return _columns(f, damage), _size(f, size, damage), "hdf5"
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
        missing = int(stated[2]) - int(stated[1])
        damage.found("truncated_bytes", missing, "is cut off: {} bytes are missing")
        return h5py.File(stack.enter_context(scratch(".h5", path.read_bytes(), bytes(missing))), "r")


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


def _columns(f: h5py.File, damage: Damage) -> Columns:
    data = [f.get(f"events/{name}") for name in "txyp"]
    for name, column in zip("txyp", data, strict=True):
        if not isinstance(column, h5py.Dataset):
            raise damage.lost(f"has no events/{name}", "Give a file with events/t, x, y, p of one length")
        if column.ndim != 1 or column.dtype.kind not in "iub":
            what = f"events/{name} is {column.dtype} with shape {column.shape}"
            raise damage.lost(what, "Give integers in one dimension")
    lengths = [len(column) for column in data]
    if len(set(lengths)) != 1:
        raise damage.lost(f"its columns t, x, y, p have different lengths, {lengths}")
    if not damage.repair:
        return tuple(column[:] for column in data)  # type: ignore[return-value]
    parts = [_rows(data, start, damage) for start in range(0, lengths[0], _CHUNK)]
    return tuple(np.concatenate(c) for c in zip(*parts, strict=True)) if parts else joined([])  # type: ignore[return-value]


def _rows(data: list[h5py.Dataset], start: int, damage: Damage) -> list[np.ndarray]:
    """One chunk of each column, none of it where one of them does not decompress."""
    try:
        return [column[start : start + _CHUNK] for column in data]
    except (OSError, RuntimeError):
        damage.drop("garbled_rows", min(_CHUNK, len(data[0]) - start))
        return [column[:0] for column in data]


def _size(f: h5py.File, declared: tuple[int, int] | None, damage: Damage) -> tuple[int, int]:
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


def write(path: Path, events: np.ndarray, size: tuple[int, int]) -> int:
    """Write one recording, gzip-compressed, in the order of time; returns 0: no time is lost."""
    names = {"t": ("t", "<i8"), "x": ("x", "<u2"), "y": ("y", "<u2"), "p": ("on", "u1")}
    chunk = min(len(events), _CHUNK)
    with new_file(path) as (f, disk):
        f.attrs["width"], f.attrs["height"] = size
        for name, (_, dtype) in names.items():
            f.create_dataset(
                f"events/{name}", (len(events),), dtype, chunks=(chunk,), compression="gzip", shuffle=True
            )
        for start in range(0, len(events), chunk):
            part = events[start : start + chunk]
            for name, (field, _) in names.items():
                f[f"events/{name}"][start : start + chunk] = part[field]
            f.flush()  # the four columns side by side: a file that is cut off keeps its beginning
            disk.check()
    return 0

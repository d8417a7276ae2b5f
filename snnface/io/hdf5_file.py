"""One recording in HDF5: ``events/{t,x,y,p}`` and the attributes ``width`` and ``height``; plain h5py opens it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from snnface.io.damage import Damage
from snnface.io.decoding import Columns

SUFFIXES = (".h5", ".hdf5")
LARGEST_SENSOR = 65_535
#: Number of Prophesee's ECF compression in the registry of HDF5 filters.
_ECF = 0x8ECF
_CHUNK = 65_536


def read(path: Path, size: tuple[int, int] | None, damage: Damage) -> tuple[Columns, tuple[int, int], str]:
    """Columns, sensor size and "hdf5" of a file that holds one recording."""
    try:
        with h5py.File(path, "r") as f:
            if is_dataset(f):
                raise damage.lost("is a data set of many clips, not one recording", "Give a recording")
            _refuse_prophesee(f, damage)
            columns = tuple(_column(f, name, damage) for name in "txyp")
            if len({len(c) for c in columns}) != 1:
                raise damage.lost(f"its columns have different lengths, {[len(c) for c in columns]}")
            return columns, _size(f, size, damage), "hdf5"  # type: ignore[return-value]
    except (OSError, RuntimeError, KeyError) as e:
        if path.stat().st_size and not h5py.is_hdf5(path):
            raise damage.lost("is not an HDF5 file", "Give the right suffix") from e
        raise damage.lost(f"cannot be read as HDF5 ({e})") from e


def is_dataset(f: h5py.File) -> bool:
    """Whether an open file is a data set of many clips."""
    return "offsets" in f


def _refuse_prophesee(f: h5py.File, damage: Damage) -> None:
    events = f.get("CD/events")
    if not isinstance(events, h5py.Dataset):
        return
    filters = events.id.get_create_plist()
    ecf = any(filters.get_filter(i)[0] == _ECF for i in range(filters.get_nfilters()))
    kind = "compressed with ECF" if ecf else "a record of structures"
    raise damage.lost(f"is Prophesee HDF5, {kind}, which plain HDF5 cannot read", "Convert it to RAW")


def _column(f: h5py.File, name: str, damage: Damage) -> np.ndarray:
    data = f.get(f"events/{name}")
    if not isinstance(data, h5py.Dataset):
        raise damage.lost(f"has no events/{name}", "Give a file with events/t, x, y, p of one length")
    if data.ndim != 1 or data.dtype.kind not in "iub":
        raise damage.lost(f"events/{name} is {data.dtype} with shape {data.shape}", "Give integers in one dimension")
    return data[:]


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
    """Write one recording, gzip-compressed; returns 0: no time is lost."""
    with h5py.File(path, "w") as f:
        f.attrs["width"], f.attrs["height"] = size
        chunk = (min(len(events), _CHUNK),)
        for name, field, dtype in (("t", "t", "<i8"), ("x", "x", "<u2"), ("y", "y", "<u2"), ("p", "on", "u1")):
            f.create_dataset(
                f"events/{name}", data=events[field].astype(dtype), chunks=chunk, compression="gzip", shuffle=True
            )
    return 0

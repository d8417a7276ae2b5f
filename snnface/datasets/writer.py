"""Writes a data set clip by clip."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snnface import __version__
from snnface.datasets.layout import CLIP_FIELDS, EVENT_FIELDS, OFFSETS, ClipData
from snnface.errors import InputError
from snnface.hdf5 import new_file

_PACKED = {"compression": "gzip", "compression_opts": 2, "shuffle": True}
#: Rows that are packed together: small, so that a short window costs little.
_CHUNK = 1 << 14


def write_store(
    path: str | Path,
    clips: Iterable[ClipData],
    width: int,
    height: int,
    generator: dict[str, Any],
    *,
    landmark_scheme: str = "ibug68",
    rgb_aligned: bool = True,
) -> None:
    """Write clips one after the other in constant memory; the file appears whole or not at all.

    ``generator``: what made the clips, as JSON values.

    Raises
    ------
    InputError: a clip is not as :class:`ClipData` says or differs from the others in L, K or in having pictures;
        the disk is full.
    """
    # This version of the format has checksums on what it says of itself; HDF5 1.10 reads it.
    with new_file(path, libver=("v110", "v110")) as (file, disk):
        seed = generator.get("settings", {}).get("seed", -1)
        file.attrs.update(width=width, height=height, version=__version__, seed=seed)
        file.attrs.update(landmark_scheme=landmark_scheme, rgb_aligned=rgb_aligned)
        file.attrs["generator"] = json.dumps(generator, sort_keys=True)
        columns: dict[str, h5py.Dataset] = {}
        ends: dict[str, list[int]] = {name: [0] for name in OFFSETS}
        labels: dict[str, list[int]] = {name: [] for name in CLIP_FIELDS}
        for number, clip in enumerate(clips):
            where = f"{path}: clip {number}"
            clip.check(width, height, where)
            rows = _rows(clip)
            # The columns stay open: closing one would pack its last rows, to be unpacked for the next clip.
            columns = columns or {name: _empty(file, name, values) for name, values in rows.items()}
            _check_like_first(columns, rows, where)
            for name, values in rows.items():
                _append(columns[name], values)
            for name in CLIP_FIELDS:
                labels[name].append(int(getattr(clip, name)))
            for name, counted in zip(OFFSETS, ("events/t", "index_ms", "frame_t_us"), strict=True):
                ends[name].append(ends[name][-1] + len(rows[counted]))
            disk.check()
        if not columns:
            raise InputError(path, "a data set without clips", "Write at least one")
        for name, numbers in ends.items():
            file[name] = np.array(numbers, np.int64)
        for name, kind in CLIP_FIELDS.items():
            file[name] = np.array(labels[name], kind)


def _rows(clip: ClipData) -> dict[str, np.ndarray]:
    """What a clip adds to each long column."""
    rows = {f"events/{name}": np.asarray(clip.events[name], kind) for name, kind in EVENT_FIELDS.items()}
    rows["index_ms"] = np.searchsorted(clip.events["t"], np.arange(0, clip.duration_us + 1000, 1000))
    rows |= {name: np.asarray(getattr(clip, name), kind) for name, kind in clip.fields.items()}
    if clip.rgb is not None:
        rows["rgb"] = _pictures(clip.rgb)
    return rows


def _empty(file: h5py.File, name: str, values: np.ndarray) -> h5py.Dataset:
    if name == "rgb":
        return file.create_dataset("rgb", (0,), h5py.vlen_dtype(np.uint8), maxshape=(None,), chunks=(64,))
    row = values.shape[1:]
    chunk = max(1, _CHUNK // max(1, int(np.prod(row))))
    return file.create_dataset(name, (0, *row), values.dtype, maxshape=(None, *row), chunks=(chunk, *row), **_PACKED)


def _check_like_first(columns: dict[str, h5py.Dataset], rows: dict[str, np.ndarray], where: str) -> None:
    if columns.keys() != rows.keys():
        name = min(columns.keys() ^ rows.keys())
        what = "pictures" if name == "rgb" else name
        raise InputError(where, f"{what} in some clips only", f"Pass {name} for every clip or for none")
    for name in ("landmarks", "coefficients"):
        found, first = rows[name].shape[1:], columns[name].shape[1:]
        if found != first:
            fix = "Give all clips of a data set the same landmarks and coefficients"
            raise InputError(where, f"{name} has rows of shape {list(found)}, not {list(first)}", fix)


def _append(column: h5py.Dataset, values: np.ndarray) -> None:
    start = len(column)
    column.resize(start + len(values), axis=0)
    if len(values):
        column[start:] = values


def _pictures(pictures: Iterable[bytes]) -> np.ndarray:
    """Rows of bytes as h5py takes them at once: an array of arrays, or a plain one where all have one length."""
    rows = [np.frombuffer(picture, np.uint8) for picture in pictures]
    if len({len(row) for row in rows}) == 1:
        return np.stack(rows)
    ragged = np.empty(len(rows), object)
    for i, row in enumerate(rows):
        ragged[i] = row
    return ragged

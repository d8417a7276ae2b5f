"""Writes a data set clip by clip."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snnface import __version__
from snnface.datasets.layout import CLIP_FIELDS, EVENT_FIELDS, FRAME_FIELDS, OFFSETS, ClipData
from snnface.errors import InputError
from snnface.files import atomic_path

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
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        seed = generator.get("settings", {}).get("seed", -1)
        file.attrs.update(width=width, height=height, version=__version__, seed=seed)
        file.attrs.update(landmark_scheme=landmark_scheme, rgb_aligned=rgb_aligned)
        file.attrs["generator"] = json.dumps(generator, sort_keys=True)
        for name, kind in EVENT_FIELDS.items():
            _empty(file, f"events/{name}", (), kind)
        _empty(file, "index_ms", (), np.int64)
        ends: dict[str, list[int]] = {name: [0] for name in OFFSETS}
        labels: dict[str, list[int]] = {name: [] for name in CLIP_FIELDS}
        for number, clip in enumerate(clips):
            clip.check(width, height, f"{path}: clip {number}")
            marks = np.searchsorted(clip.events["t"], np.arange(0, clip.duration_us + 1000, 1000))
            if number == 0:
                _empty_frames(file, clip)
            _check_like_first(file, clip, f"{path}: clip {number}")
            for name in EVENT_FIELDS:
                _append(file[f"events/{name}"], clip.events[name])
            _append(file["index_ms"], marks)
            for name, kind in FRAME_FIELDS.items():
                _append(file[name], np.asarray(getattr(clip, name), kind))
            if clip.rgb is not None:
                _append(file["rgb"], _as_rows(clip.rgb))
            for name in CLIP_FIELDS:
                labels[name].append(int(getattr(clip, name)))
            for name, count in zip(OFFSETS, (len(clip.events), len(marks), len(clip.frame_t_us)), strict=True):
                ends[name].append(ends[name][-1] + count)
        if not labels["au"]:
            raise InputError(path, "a data set without clips", "Write at least one")
        for name, values in ends.items():
            file[name] = np.array(values, np.int64)
        for name, kind in CLIP_FIELDS.items():
            file[name] = np.array(labels[name], kind)


def _empty(file: h5py.File, name: str, row: tuple[int, ...], kind: Any) -> None:
    rows = max(1, _CHUNK // max(1, int(np.prod(row))))
    file.create_dataset(name, (0, *row), kind, maxshape=(None, *row), chunks=(rows, *row), **_PACKED)


def _empty_frames(file: h5py.File, clip: ClipData) -> None:
    for name, kind in FRAME_FIELDS.items():
        _empty(file, name, np.shape(getattr(clip, name))[1:], kind)
    if clip.rgb is not None:
        file.create_dataset("rgb", (0,), h5py.vlen_dtype(np.uint8), maxshape=(None,), chunks=(64,))


def _check_like_first(file: h5py.File, clip: ClipData, where: str) -> None:
    for name in ("landmarks", "coefficients"):
        found, first = np.shape(getattr(clip, name))[1:], file[name].shape[1:]
        if found != first:
            fix = "Give all clips of a data set the same landmarks and coefficients"
            raise InputError(where, f"{name} has rows of shape {list(found)}, not {list(first)}", fix)
    if (clip.rgb is not None) != ("rgb" in file):
        raise InputError(where, "pictures in some clips only", "Pass rgb for every clip or for none")


def _append(dataset: h5py.Dataset, values: np.ndarray) -> None:
    start = len(dataset)
    dataset.resize(start + len(values), axis=0)
    if len(values):
        dataset[start:] = values


def _as_rows(pictures: Iterable[bytes]) -> np.ndarray:
    """Rows of bytes as h5py takes them at once: an array of arrays, or a plain one where all have one length."""
    rows = [np.frombuffer(picture, np.uint8) for picture in pictures]
    if len({len(row) for row in rows}) == 1:
        return np.stack(rows)
    ragged = np.empty(len(rows), object)
    for i, row in enumerate(rows):
        ragged[i] = row
    return ragged

"""Labelled clips in one HDF5 file: long concatenated arrays and offsets, read lazily.

Root attributes: ``width``, ``height``, ``generator`` (JSON: what made it, with which settings and seed), ``version``.

``events/{t, x, y, p}`` int64 µs from the clip's start, uint16, uint16, uint8, with ``offsets [N + 1]``;
``index_ms`` with ``index_offsets [N + 1]``: for every clip the number of its events before each whole millisecond;
per clip ``identity``, ``au``, ``expression``, ``split``, ``duration_us``; per frame (concatenated, ``frame_offsets
[N + 1]``) ``frame_t_us``, ``au_intensity [., 24]``, ``landmarks [., L, 2]``, ``visible [., L]``,
``coefficients [., K]``, ``pose [., 3]``, ``gaze [., 2]``, ``box [., 4]`` and ``rgb`` (encoded pictures, optional).
Compression is gzip, so that plain h5py opens it anywhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from snnface import __version__
from snnface.errors import InputError
from snnface.events import pack
from snnface.files import atomic_path

SPLITS = ("train", "validation", "test")
EVENT_FIELDS = {"t": np.int64, "x": np.uint16, "y": np.uint16, "p": np.uint8}
CLIP_FIELDS = {
    "identity": np.int32,
    "au": np.int16,
    "expression": np.int8,
    "split": np.int8,
    "duration_us": np.int64,
}
FRAME_FIELDS = {
    "frame_t_us": np.int64,
    "au_intensity": np.float32,
    "landmarks": np.float32,
    "visible": np.bool_,
    "coefficients": np.float32,
    "pose": np.float32,
    "gaze": np.float32,
    "box": np.float32,
}
_PACKED = {"compression": "gzip", "compression_opts": 2, "shuffle": True}


@dataclass(frozen=True)
class ClipData:
    """One clip: ``events`` structured ``[E]`` (t in µs from the clip's start, x, y, p), labels of the clip, and
    labels of its F frames (shapes as in the module's text, without the clip axis); unlabelled floats are NaN,
    unlabelled classes −1. ``rgb``: F encoded pictures (JPEG or PNG bytes) or None."""

    events: np.ndarray
    duration_us: int
    identity: int
    au: int
    expression: int
    split: int
    frame_t_us: np.ndarray
    au_intensity: np.ndarray
    landmarks: np.ndarray
    visible: np.ndarray
    coefficients: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray
    box: np.ndarray
    rgb: list[bytes] | None = None


def write_store(
    path: str | Path, clips: Iterable[ClipData], width: int, height: int, generator: dict[str, Any]
) -> None:
    """Write clips one after the other in constant memory; the file appears whole or not at all."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(
            width=width,
            height=height,
            version=__version__,
            landmark_scheme="ibug68",
            rgb_aligned=True,
            generator=json.dumps(generator, sort_keys=True),
        )
        events = file.create_group("events")
        for name, kind in EVENT_FIELDS.items():
            _empty(events, name, (), kind)
        _empty(file, "index_ms", (), np.int64)
        offsets: dict[str, list[int]] = {"offsets": [0], "index_offsets": [0], "frame_offsets": [0]}
        labels: dict[str, list[int]] = {name: [] for name in CLIP_FIELDS}
        for clip in clips:
            for name in EVENT_FIELDS:
                _append(events[name], clip.events[name])
            marks = np.searchsorted(clip.events["t"], np.arange(0, clip.duration_us + 1000, 1000))
            _append(file["index_ms"], marks)
            for name, kind in FRAME_FIELDS.items():
                value = np.asarray(getattr(clip, name), kind)
                if name not in file:
                    _empty(file, name, value.shape[1:], kind)
                _append(file[name], value)
            if clip.rgb is not None:
                if "rgb" not in file:
                    file.create_dataset("rgb", (0,), h5py.vlen_dtype(np.uint8), maxshape=(None,), chunks=(64,))
                _append(file["rgb"], [np.frombuffer(picture, np.uint8) for picture in clip.rgb])
            for name in CLIP_FIELDS:
                labels[name].append(int(getattr(clip, name)))
            for name, count in (
                ("offsets", len(clip.events)),
                ("index_offsets", len(marks)),
                ("frame_offsets", len(clip.frame_t_us)),
            ):
                offsets[name].append(offsets[name][-1] + count)
        for name, values in offsets.items():
            file[name] = np.array(values, np.int64)
        for name, kind in CLIP_FIELDS.items():
            file[name] = np.array(labels[name], kind)


def _empty(group: h5py.Group, name: str, shape: tuple[int, ...], kind: Any) -> None:
    rows = max(1, 65536 // max(1, int(np.prod(shape))))
    group.create_dataset(name, (0, *shape), kind, maxshape=(None, *shape), chunks=(rows, *shape), **_PACKED)


def _append(dataset: h5py.Dataset, values: Any) -> None:
    start = len(dataset)
    dataset.resize(start + len(values), axis=0)
    for_vlen = h5py.check_vlen_dtype(dataset.dtype) is not None
    if for_vlen:
        for i, value in enumerate(values):
            dataset[start + i] = value
    elif len(values):
        dataset[start:] = values


class Store:
    """Lazy reader of a data set; per-clip labels are in memory, everything else is read when asked for.

    Raises :class:`InputError` naming the file, the field and the fix where the file is broken or of another kind.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._open() as file:
            missing = [n for n in ("offsets", "index_ms", *CLIP_FIELDS, *FRAME_FIELDS) if n not in file]
            missing += [f"events/{n}" for n in EVENT_FIELDS if f"events/{n}" not in file]
            missing += [n for n in ("width", "height", "generator") if n not in file.attrs]
            if missing:
                raise InputError(
                    self.path, f"is no snnface data set: {missing[0]} is missing", "Make one with snnface synth"
                )
            self.width, self.height = int(file.attrs["width"]), int(file.attrs["height"])
            self.generator: dict[str, Any] = json.loads(file.attrs["generator"])
            self.attrs: dict[str, Any] = dict(file.attrs)
            self.offsets, self.index_offsets, self.frame_offsets = (
                file[n][:] for n in ("offsets", "index_offsets", "frame_offsets")
            )
            self.identity, self.au, self.expression, self.split, self.duration_us = (file[n][:] for n in CLIP_FIELDS)
            self.has_rgb = "rgb" in file
            lengths = {f"events/{n}": (len(file[f"events/{n}"]), self.offsets[-1]) for n in EVENT_FIELDS}
            lengths |= {n: (len(file[n]), self.frame_offsets[-1]) for n in FRAME_FIELDS}
            lengths |= {n: (len(file[n]), len(self.offsets) - 1) for n in CLIP_FIELDS}
            lengths["index_ms"] = (len(file["index_ms"]), self.index_offsets[-1])
            for name, (found, wanted) in lengths.items():
                if found != wanted:
                    raise InputError(self.path, f"{name} has {found} rows, not {wanted}", "Make the data set again")

    @contextlib.contextmanager
    def _open(self) -> Iterator[h5py.File]:
        if not self.path.is_file():
            raise InputError(self.path, "no such file", "Check the path, or make a data set with snnface synth")
        try:
            with h5py.File(self.path, "r") as file:
                yield file
        except (OSError, RuntimeError, KeyError, ValueError) as e:
            if isinstance(e, InputError):
                raise
            raise InputError(self.path, f"cannot be read as HDF5 ({e})", "Make the data set again") from e

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def events(self, clip: int, start_us: int = 0, stop_us: int | None = None) -> np.ndarray:
        """Events of a clip with ``start_us ≤ t < stop_us`` as a structured array ``[E]``, t from the clip's start."""
        with self._open() as file:
            first = int(self.offsets[clip])
            marks = slice(int(self.index_offsets[clip]), int(self.index_offsets[clip + 1]))
            last_mark = marks.stop - marks.start - 1

            def around(t_us: int) -> tuple[int, int]:
                """Event numbers that bracket the first event at or after ``t_us``."""
                ms = min(max(t_us // 1000, 0), last_mark)
                low = int(file["index_ms"][marks.start + ms])
                high = int(file["index_ms"][marks.start + ms + 1]) if ms < last_mark else len_
                return low, high

            len_ = int(self.offsets[clip + 1]) - first
            low = around(start_us)[0] if start_us > 0 else 0
            high = around(stop_us)[1] if stop_us is not None else len_
            columns = [file[f"events/{n}"][first + low : first + high] for n in EVENT_FIELDS]
        events = pack(*columns)
        inside = slice(
            np.searchsorted(events["t"], start_us),
            len(events) if stop_us is None else np.searchsorted(events["t"], stop_us),
        )
        return events[inside]

    def frames(self, clip: int) -> dict[str, np.ndarray]:
        """Labels of a clip's F frames by name, as in :class:`ClipData`."""
        rows = slice(int(self.frame_offsets[clip]), int(self.frame_offsets[clip + 1]))
        with self._open() as file:
            return {name: file[name][rows] for name in FRAME_FIELDS}

    def clip(self, number: int) -> ClipData:
        """A whole clip, pictures as they are stored."""
        labels = {name: int(getattr(self, name)[number]) for name in CLIP_FIELDS}
        pictures = None
        if self.has_rgb:
            pictures = [picture.tobytes() for picture in self._encoded(number)]
        return ClipData(events=self.events(number), rgb=pictures, **labels, **self.frames(number))

    def _encoded(self, clip: int) -> np.ndarray:
        rows = slice(int(self.frame_offsets[clip]), int(self.frame_offsets[clip + 1]))
        with self._open() as file:
            return file["rgb"][rows]

    def rgb(self, clip: int) -> np.ndarray | None:
        """Pictures of a clip, uint8 ``[F, H, W, 3]``, or None where the set has none."""
        if not self.has_rgb:
            return None
        pictures = (Image.open(io.BytesIO(picture.tobytes())) for picture in self._encoded(clip))
        return np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])

    def content_sha256(self) -> str:
        """Hash of everything that the data set says, independent of compression, chunks and who wrote it."""
        digest = hashlib.sha256(f"{self.width}x{self.height}".encode())
        with self._open() as file:
            names = sorted(
                [*(f"events/{n}" for n in EVENT_FIELDS), *CLIP_FIELDS, *FRAME_FIELDS, "offsets", "frame_offsets"]
            )
            for name in names:
                data = file[name]
                digest.update(f"{name} {data.dtype.str} {data.shape}".encode())
                for start in range(0, len(data), 1 << 20):
                    digest.update(np.ascontiguousarray(data[start : start + (1 << 20)]).tobytes())
            if self.has_rgb:
                for picture in file["rgb"]:
                    digest.update(picture.tobytes())
        return digest.hexdigest()

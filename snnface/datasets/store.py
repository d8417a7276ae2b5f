"""Labelled clips in one HDF5 file: long concatenated arrays and offsets, read lazily.

Root attributes: ``width``, ``height``, ``generator`` (JSON: what made it, with which settings), ``seed``,
``version``, ``landmark_scheme``, ``rgb_aligned`` (whether RGB and events share pixels).

``events/{t, x, y, p}`` int64 µs from the clip's start, uint16, uint16, uint8, with ``offsets [N + 1]``;
``index_ms`` with ``index_offsets [N + 1]``: for every clip the number of its events before each whole millisecond;
per clip ``identity``, ``au``, ``expression``, ``split``, ``duration_us``; per frame (concatenated, ``frame_offsets
[N + 1]``) ``frame_t_us``, ``au_intensity [., 24]``, ``landmarks [., L, 2]``, ``visible [., L]``,
``coefficients [., K]``, ``pose [., 3]``, ``gaze [., 2]``, ``box [., 4]``; optional ``landmarks98 [., 98, 2]`` with
``visible98 [., 98]``, and ``rgb`` (encoded pictures).
Compression is gzip, so that plain h5py opens it anywhere. Large sets may lie in several files (``shards.py``).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from snnface.datasets.layout import (
    CLIP_FIELDS,
    EVENT_FIELDS,
    EXTRA_FIELDS,
    EXTRA_SHAPES,
    FRAME_FIELDS,
    FRAME_SHAPES,
    OFFSETS,
    SPLITS,
    ClipData,
    check_shape,
)
from snnface.datasets.shards import check as check_shards
from snnface.datasets.writer import write_store
from snnface.errors import InputError
from snnface.events import Recording, pack
from snnface.facs import EXPRESSIONS

__all__ = ["SPLITS", "ClipData", "Store", "write_store"]

_MAKE_AGAIN = "Make the data set again"
#: Rows that are hashed at once.
_HASHED = 1 << 20


class Store:
    """Lazy reader of a data set; per-clip labels are in memory, everything else is read when asked for.

    ``width``, ``height`` pixels; ``generator``; ``attrs``: all root attributes; int64 ``[N + 1]`` ``offsets``,
    ``index_offsets``, ``frame_offsets``; ``[N]`` ``identity``, ``au``, ``expression``, ``split``, ``duration_us``;
    ``has_rgb``; ``extra``: which of ``EXTRA_FIELDS`` it has. A store can be pickled, and read by several processes.

    Raises
    ------
    InputError: the file is broken, or of another layout; it names the file, the field and the fix.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._handle: tuple[int, h5py.File] | None = None
        with self._reading() as file:
            self._check_fields(file)
            check_shards(self.path, file)
            self.width, self.height = int(file.attrs["width"]), int(file.attrs["height"])
            self.generator: dict[str, Any] = json.loads(file.attrs["generator"])
            self.attrs: dict[str, Any] = dict(file.attrs)
            self.offsets, self.index_offsets, self.frame_offsets = (file[n][:] for n in OFFSETS)
            self.identity, self.au, self.expression, self.split, self.duration_us = (file[n][:] for n in CLIP_FIELDS)
            self.has_rgb = "rgb" in file
            self.extra = tuple(name for name in EXTRA_FIELDS if name in file)
            self._check_lengths(file)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_handle": None}

    @contextlib.contextmanager
    def _reading(self, what: str = "") -> Iterator[h5py.File]:
        """The open file, one handle a process, so that neighbouring windows share what was unpacked.

        ``what``: the fields to name where they cannot be read.
        """
        if not self.path.is_file():
            raise InputError(self.path, "no such file", "Check the path, or make a data set with snnface synth")
        try:
            if self._handle is None or self._handle[0] != os.getpid():
                self._handle = os.getpid(), h5py.File(self.path, "r")
            yield self._handle[1]
        except InputError:
            self.close()
            raise
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as e:
            self.close()
            found = f"{what} cannot be read" if what else "cannot be read as HDF5"
            raise InputError(self.path, f"{found} ({e})", _MAKE_AGAIN) from e

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._handle is not None:
            self._handle[1].close()
        self._handle = None

    def _check_fields(self, file: h5py.File) -> None:
        fields = {f"events/{n}": kind for n, kind in EVENT_FIELDS.items()} | CLIP_FIELDS | FRAME_FIELDS
        fields |= {name: kind for name, kind in EXTRA_FIELDS.items() if name in file}
        fields |= dict.fromkeys((*OFFSETS, "index_ms"), np.int64)
        missing = [n for n in fields if not isinstance(file.get(n), h5py.Dataset)]
        missing += [n for n in ("width", "height", "generator") if n not in file.attrs]
        if missing:
            fix = "Make one with snnface synth"
            raise InputError(self.path, f"is no snnface data set: {missing[0]} is missing", fix)
        for name, kind in fields.items():
            found, wanted = file[name].dtype, np.dtype(kind)
            if found != wanted and not np.can_cast(found, wanted, "safe"):
                raise InputError(self.path, f"{name} holds {found}, not {wanted}", _MAKE_AGAIN)

    def _check_lengths(self, file: h5py.File) -> None:
        clips = len(file["identity"])
        for name in OFFSETS:
            check_shape(self.path, name, file[name].shape, clips + 1, (), {})
            values = getattr(self, name)
            if values[0] != 0 or (np.diff(values) < 0).any():
                raise InputError(self.path, f"{name} does not start at 0 and grow", _MAKE_AGAIN)
        sizes: dict[str, int] = {}
        for name in CLIP_FIELDS:
            check_shape(self.path, name, file[name].shape, clips, (), sizes)
        for name in EVENT_FIELDS:
            check_shape(self.path, f"events/{name}", file[f"events/{name}"].shape, int(self.offsets[-1]), (), sizes)
        for name, row in (FRAME_SHAPES | {name: EXTRA_SHAPES[name] for name in self.extra}).items():
            check_shape(self.path, name, file[name].shape, int(self.frame_offsets[-1]), row, sizes)
        if self.has_rgb:
            check_shape(self.path, "rgb", file["rgb"].shape, int(self.frame_offsets[-1]), (), sizes)
        check_shape(self.path, "index_ms", file["index_ms"].shape, int(self.index_offsets[-1]), (), sizes)
        for name, least, most in (("expression", -1, len(EXPRESSIONS) - 1), ("split", 0, len(SPLITS) - 1)):
            values = getattr(self, name)
            if ((values < least) | (values > most)).any():
                raise InputError(self.path, f"{name} is outside {least} … {most}", _MAKE_AGAIN)
        if (np.diff(self.index_offsets) != -(-self.duration_us // 1000) + 1).any():
            raise InputError(self.path, "index_ms does not fit the clips' durations", _MAKE_AGAIN)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def _span(self, offsets: np.ndarray, clip: int) -> tuple[int, int]:
        """Where a clip's rows begin and end in the long columns."""
        clip = range(len(self))[clip]
        return int(offsets[clip]), int(offsets[clip + 1])

    def events(self, clip: int, start_us: int = 0, stop_us: int | None = None) -> np.ndarray:
        """Events of a clip with ``start_us ≤ t < stop_us``, structured ``[E]``, t in µs from the clip's start.

        Without ``stop_us`` to the end. Only the milliseconds around the window are read.
        """
        first, end = self._span(self.offsets, clip)
        with self._reading("events") as file:
            low = self._mark(file, clip, start_us // 1000) if start_us > 0 else 0
            high = end - first if stop_us is None else self._mark(file, clip, -(-stop_us // 1000))
            if not 0 <= low <= end - first >= high >= 0:
                raise InputError(self.path, f"index_ms of clip {clip} is broken", _MAKE_AGAIN)
            rows = slice(first + low, first + max(low, high))
            events = pack(*(file[f"events/{n}"][rows] for n in EVENT_FIELDS))
        try:
            Recording(events, self.width, self.height)
        except InputError as e:
            raise InputError(self.path, f"clip {clip} is broken: {e.what}", _MAKE_AGAIN) from e
        after = len(events) if stop_us is None else int(np.searchsorted(events["t"], stop_us))
        return events[int(np.searchsorted(events["t"], start_us)) : after]

    def _mark(self, file: h5py.File, clip: int, ms: int) -> int:
        """Number of the clip's events before a whole millisecond."""
        start, stop = self._span(self.index_offsets, clip)
        if start + ms >= stop:
            first, end = self._span(self.offsets, clip)
            return end - first
        return int(file["index_ms"][start + max(ms, 0)])

    def frames(self, clip: int, names: Iterable[str] = FRAME_FIELDS) -> dict[str, np.ndarray]:
        """Labels of a clip's F frames by name, as in :class:`ClipData`: those that are named, or those that every
        data set has."""
        rows = slice(*self._span(self.frame_offsets, clip))
        with self._reading("labels of frames") as file:
            return {name: file[name][rows] for name in names}

    def clip(self, number: int) -> ClipData:
        """A whole clip, pictures as they are stored."""
        labels: dict[str, Any] = {name: int(getattr(self, name)[number]) for name in CLIP_FIELDS}
        labels |= self.frames(number, (*FRAME_FIELDS, *self.extra))
        pictures = self.encoded_rgb(number) if self.has_rgb else None
        return ClipData(events=self.events(number), rgb=pictures, **labels)

    def encoded_rgb(self, clip: int, frames: slice = slice(None)) -> list[bytes]:
        """Pictures of a clip's frames as JPEG or PNG bytes; none where the set has none."""
        if not self.has_rgb:
            return []
        numbers = range(*self._span(self.frame_offsets, clip))[frames]
        with self._reading("rgb") as file:
            return [picture.tobytes() for picture in file["rgb"][numbers.start : numbers.stop]]

    def rgb(self, clip: int, frames: slice = slice(None)) -> np.ndarray | None:
        """Pictures of a clip's frames, or of a span of them, uint8 ``[F, H, W, 3]``; None where the set has none."""
        if not self.has_rgb:
            return None
        try:
            pictures = [
                np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
                for picture in self.encoded_rgb(clip, frames)
            ]
            return np.stack(pictures) if pictures else np.empty((0, self.height, self.width, 3), np.uint8)
        except (OSError, ValueError, SyntaxError) as e:
            if isinstance(e, InputError):
                raise
            raise InputError(self.path, f"rgb of clip {clip} cannot be decoded ({e})", _MAKE_AGAIN) from e

    def content_sha256(self) -> str:
        """Hash of all that the data set says about its clips, whatever its compression, chunks or maker."""
        scheme, aligned = self.attrs.get("landmark_scheme"), bool(self.attrs.get("rgb_aligned"))
        digest = hashlib.sha256(f"{self.width}x{self.height} {scheme} {aligned}".encode())
        with self._reading("content") as file:
            for name in (
                *(f"events/{n}" for n in EVENT_FIELDS),
                "offsets",
                *CLIP_FIELDS,
                "frame_offsets",
                *FRAME_FIELDS,
                *self.extra,
            ):
                data = file[name]
                digest.update(f"{name} {data.dtype.str} {data.shape}".encode())
                for start in range(0, len(data), _HASHED):
                    digest.update(np.ascontiguousarray(data[start : start + _HASHED]).data)
            for clip in range(len(self) if self.has_rgb else 0):
                for picture in file["rgb"][slice(*self._span(self.frame_offsets, clip))]:
                    digest.update(f"rgb {len(picture)}".encode() + picture.tobytes())
        return digest.hexdigest()

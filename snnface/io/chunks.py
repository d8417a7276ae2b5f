"""Chunks of HDF5 columns, packed and unpacked here exactly as HDF5's own shuffle and gzip filters do.

Any HDF5 reads what is packed here. It takes less time than HDF5 alone, which lets one thread in at a time, and least
where isal is installed, whose inflate takes half the time of zlib's.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

import h5py
import numpy as np

from snnface.events import EVENT_DTYPE

inflater: Any
try:
    from isal import isal_zlib as inflater
except ImportError:  # there is no wheel for this system
    inflater = zlib

#: Events that are packed together: few, so that a short window costs little.
CHUNK = 16_384
#: isal packs five times as fast as this, but what it packs is larger and takes longer to unpack.
_LEVEL = 2
_PACKED = {"compression": "gzip", "compression_opts": _LEVEL, "shuffle": True}
_FILTERS = [h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE]
_TYPES = ("<i8", "<u2", "<u2", "u1")
_BROKEN: tuple[type[Exception], ...] = (OSError, RuntimeError, ValueError, inflater.error)
#: Threads that pack.
THREADS = min(4, os.cpu_count() or 1)


def growing(f: h5py.File, name: str, dtype: str) -> h5py.Dataset:
    """A new column ``[0]`` that can be appended to."""
    return f.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(CHUNK,), **_PACKED)


def append(columns: Sequence[h5py.Dataset], events: np.ndarray, pool: Executor) -> None:
    """Append events, structured ``[E]`` (``EVENT_DTYPE``), to columns t, x, y, p of :func:`growing` whose last chunk
    is full; on disk at once, chunk by chunk side by side: a file that is cut off keeps its beginning."""
    start, firsts = len(columns[0]), range(0, len(events), CHUNK)
    for column in columns:
        column.resize(start + len(events), axis=0)
    for first, packed in zip(firsts, pool.map(_packed, (events[i : i + CHUNK] for i in firsts)), strict=True):
        for column, content in zip(columns, packed, strict=True):
            column.id.write_direct_chunk((start + first,), content)


def _packed(events: np.ndarray) -> list[bytes]:
    """At most a chunk of events as chunks of t, x, y and p: bands of the bytes of an event, place by place."""
    planes = np.zeros((EVENT_DTYPE.itemsize, CHUNK), np.uint8)
    planes[:, : len(events)] = np.ascontiguousarray(events).view(np.uint8).reshape(len(events), -1).T
    fields = dict(EVENT_DTYPE.fields or {})
    places = [(fields[name][1], fields[name][0].itemsize) for name in "txyp"]
    return [zlib.compress(planes[first : first + size].tobytes(), _LEVEL) for first, size in places]


class Rows:
    """Rows of columns t, x, y, p ``[E]``, which may be of any layout: what is not as written here is left to HDF5."""

    def __init__(self, columns: Sequence[h5py.Dataset]) -> None:
        self._columns = columns
        self._ours = all(map(_is_ours, columns, _TYPES)) and len({c.chunks for c in columns}) == 1

    def read(self, start: int, stop: int, into: Sequence[np.ndarray]) -> None:
        """Read ``start`` ≤ row < ``stop`` into arrays, one a column. Raises what h5py raises on broken files."""
        if self._ours:
            try:
                for low, high, planes in self._unpacked(start, stop):
                    for plane, column, out in zip(planes, self._columns, into, strict=True):
                        out[low - start : high - start] = _together(plane).view(column.dtype)
                return
            except _BROKEN:
                pass  # such as a chunk that was left out, or is broken: HDF5 knows which, and says so
        for column, out in zip(self._columns, into, strict=True):
            out[:] = column[start:stop]

    def events(self, start: int, stop: int, size: tuple[int, int]) -> np.ndarray | None:
        """The same as events of a sensor of that size, structured ``[E]``; None where they are not valid, or not of
        our layout."""
        if not self._ours:
            return None
        from snnface.io.chunk_kernels import together  # brings the compiler

        events, latest = np.empty(stop - start, EVENT_DTYPE), np.iinfo(np.int64).min
        try:
            # Not in threads: they take turns at HDF5 and Python, and windows of 16 chunks took longer.
            for low, high, planes in self._unpacked(start, stop):
                part = events[low - start : high - start]
                if not together(*planes, part, latest, *size):
                    return None
                latest = part["t"][-1]
        except _BROKEN:
            return None
        return events

    def _unpacked(self, start: int, stop: int) -> Iterator[tuple[int, int, list[np.ndarray]]]:
        """For each chunk its first row, the row after it and the bytes of each column, place by place."""
        chunk = self._columns[0].chunks[0]
        for first in range(start // chunk * chunk if start < stop else stop, stop, chunk):
            low, high = max(start, first), min(stop, first + chunk)
            planes = [_unpacked(column, first, chunk)[:, low - first : high - first] for column in self._columns]
            yield low, high, planes


def _is_ours(column: h5py.Dataset, dtype: str) -> bool:
    """Whether a column is chunked numbers of that type behind just those two filters."""
    settings = column.id.get_create_plist()
    filters = [settings.get_filter(i)[0] for i in range(settings.get_nfilters())]
    return column.chunks is not None and filters == _FILTERS and column.dtype == dtype


def _unpacked(column: h5py.Dataset, start: int, chunk: int) -> np.ndarray:
    """The chunk that begins with row ``start``, place by place: uint8 ``[bytes of a number, chunk]``, the lowest
    first; raises where it is broken or packed in another way."""
    size = column.dtype.itemsize
    left_out, packed = column.id.read_direct_chunk((start,))
    if left_out:
        raise ValueError("a filter was left out")
    plain = inflater.decompress(packed, bufsize=size * chunk)
    return np.frombuffer(plain, np.uint8).reshape(size, chunk)


def _together(planes: np.ndarray) -> np.ndarray:
    """Bytes ``[size, N]``, the lowest of every number first, as unsigned numbers ``[N]``."""
    size = len(planes)
    if size == 1:
        return planes[0]
    if size == 2:
        values = planes[1].astype("<u2")
        values <<= 8
        values |= planes[0]
        return values
    low = planes.min(axis=1)
    varies = low != planes.max(axis=1)  # few do: the high bytes of times hardly change
    values = np.full(planes.shape[1], np.where(varies, 0, low).view(f"<u{size}")[0])
    places = values.view(np.uint8).reshape(-1, size)
    for place in np.flatnonzero(varies).tolist():
        places[:, place] = planes[place]
    return values

"""Chunks of HDF5 columns, packed and unpacked here exactly as HDF5's own shuffle and gzip filters do.

Any HDF5 reads what is packed here. It takes less time than HDF5 alone, which lets one thread in at a time, and least
where isal is installed, whose inflate takes half the time of zlib's.
"""

from __future__ import annotations

import functools
import itertools
import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple

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
_SIZES = [np.dtype(t).itemsize for t in _TYPES]
_BROKEN: tuple[type[Exception], ...] = (OSError, RuntimeError, ValueError, inflater.error)
#: Threads that pack and unpack.
THREADS = min(4, os.cpu_count() or 1)
#: Chunks for which a thread of its own is worth starting.
_SHARE = 4


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


class _Chunk(NamedTuple):
    """One chunk of all columns, as it lies in the file: rows ``low`` ≤ row < ``high`` of those that begin with
    ``first`` are asked for."""

    first: int
    low: int
    high: int
    packed: list[bytes]


class Rows:
    """Rows of columns t, x, y, p ``[E]``, which may be of any layout: what is not as written here is left to HDF5."""

    def __init__(self, columns: Sequence[h5py.Dataset]) -> None:
        self._columns = columns
        self._ours = all(map(_is_ours, columns, _TYPES)) and len({c.chunks for c in columns}) == 1
        self._size = columns[0].chunks[0] if self._ours else 0  # events of a chunk; h5py takes long to tell

    def read(self, start: int, stop: int, into: Sequence[np.ndarray]) -> None:
        """Read ``start`` ≤ row < ``stop`` into arrays, one a column. Raises what h5py raises on broken files."""
        if self._ours:
            try:
                for chunk in self._chunks(start, stop):
                    for plane, column, out in zip(self._unpacked(chunk), self._columns, into, strict=True):
                        out[chunk.low - start : chunk.high - start] = _together(plane).view(column.dtype)
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

        events = np.empty(stop - start, EVENT_DTYPE)

        def put(chunks: list[_Chunk]) -> bool:
            latest = np.iinfo(np.int64).min
            for chunk in chunks:
                part = events[chunk.low - start : chunk.high - start]
                if not together(*self._unpacked(chunk), part, latest, *size):
                    return False
                latest = part["t"][-1]
            return True

        try:
            # Only what leaves Python alone is worth a thread: HDF5 lets one in at a time.
            chunks = list(self._chunks(start, stop))
            shares = _shares(chunks, min(THREADS, len(chunks) // _SHARE))
            others = [_pool(os.getpid()).submit(put, share) for share in shares[1:]]
            valid = put(shares[0]) and all(other.result() for other in others)
        except _BROKEN:
            return None
        edges, t = [share[0].low - start for share in shares[1:]], events["t"]
        return events if valid and all(t[edge - 1] <= t[edge] for edge in edges) else None

    def _chunks(self, start: int, stop: int) -> Iterator[_Chunk]:
        for first in range(start // self._size * self._size if start < stop else stop, stop, self._size):
            packed = [_packed_chunk(column, first) for column in self._columns]
            yield _Chunk(first, max(start, first), min(stop, first + self._size), packed)

    def _unpacked(self, chunk: _Chunk) -> list[np.ndarray]:
        """The bytes of each column's rows, place by place: uint8 ``[bytes of a number, rows]``, the lowest first."""
        rows = slice(chunk.low - chunk.first, chunk.high - chunk.first)
        return [_plain(p, size, self._size)[:, rows] for p, size in zip(chunk.packed, _SIZES, strict=True)]


@functools.cache
def _pool(process: int) -> ThreadPoolExecutor:
    """The threads of a process, which keep their memory for the next window; a fork has none of its parent's."""
    return ThreadPoolExecutor(THREADS)


def _shares(chunks: list[_Chunk], most: int) -> list[list[_Chunk]]:
    """At most so many parts of a list, and one at least, alike in size, one after the other."""
    count = max(1, most)
    edges = [len(chunks) * i // count for i in range(count + 1)]
    return [chunks[low:high] for low, high in itertools.pairwise(edges)]


def _is_ours(column: h5py.Dataset, dtype: str) -> bool:
    """Whether a column is chunked numbers of that type behind just those two filters."""
    settings = column.id.get_create_plist()
    filters = [settings.get_filter(i)[0] for i in range(settings.get_nfilters())]
    return column.chunks is not None and filters == _FILTERS and column.dtype == dtype


def _packed_chunk(column: h5py.Dataset, start: int) -> bytes:
    """The chunk that begins with row ``start``; raises where a filter was left out."""
    left_out, packed = column.id.read_direct_chunk((start,))
    if left_out:
        raise ValueError("a filter was left out")
    return bytes(packed)


def _plain(packed: bytes, size: int, chunk: int) -> np.ndarray:
    """A chunk unpacked, uint8 ``[size, chunk]``; raises where it is broken."""
    return np.frombuffer(inflater.decompress(packed, bufsize=size * chunk), np.uint8).reshape(size, chunk)


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

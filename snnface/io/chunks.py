"""Chunks of HDF5 columns, packed and unpacked here exactly as HDF5's own shuffle and gzip filters do.

Any HDF5 reads what is packed here. It takes less time than HDF5 alone, which lets one thread in at a time, and least
where isal is installed, whose inflate takes half the time of zlib's.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

import h5py
import numpy as np

from snnface.events import EVENT_DTYPE

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
#: Fewer chunks are unpacked before a thread has started.
_WORTH_A_THREAD = 3
#: Threads of this machine that one file is worth.
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
    fields = [EVENT_DTYPE.fields[name] for name in "txyp"]
    return [zlib.compress(planes[field[1] : field[1] + field[0].itemsize], _LEVEL) for field in fields]


class Rows:
    """Rows of columns ``[E]`` of one length, which may be of any kind: those of other layouts are left to HDF5."""

    def __init__(self, columns: Sequence[h5py.Dataset]) -> None:
        self._columns = columns
        self._ours = all(_is_ours(column) for column in columns) and len({c.chunks for c in columns}) == 1

    def read(self, start: int, stop: int, into: Sequence[np.ndarray], threads: int = 1) -> None:
        """Read ``start`` ≤ row < ``stop`` into arrays, one a column.

        Raises what h5py raises on broken files.
        """
        if self._ours and stop > start:
            try:
                return self._unpack(start, stop, into, threads)
            except (OSError, RuntimeError, ValueError, inflater.error):
                pass  # such as a chunk that was left out, or is broken: HDF5 knows which, and says so
        for column, out in zip(self._columns, into, strict=True):
            out[:] = column[start:stop]
        return None

    def _unpack(self, start: int, stop: int, into: Sequence[np.ndarray], threads: int) -> None:
        chunk = self._columns[0].chunks[0]

        def fill(numbers: range) -> None:
            for number in numbers:
                low, high = max(start, number * chunk), min(stop, (number + 1) * chunk)
                for column, out in zip(self._columns, into, strict=True):
                    values = _unpacked(column, number * chunk, chunk)
                    out[low - start : high - start] = values[low - number * chunk : high - number * chunk]

        first, after = start // chunk, -(-stop // chunk)
        threads = max(1, min(threads, (after - first) // _WORTH_A_THREAD))
        if threads == 1:
            return fill(range(first, after))
        edges = [first + (after - first) * i // threads for i in range(threads + 1)]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, map(range, edges[:-1], edges[1:])))
        return None


def _is_ours(column: h5py.Dataset) -> bool:
    """Whether a column is chunked integers in this machine's order of bytes behind just those two filters."""
    settings = column.id.get_create_plist()
    filters = [settings.get_filter(i)[0] for i in range(settings.get_nfilters())]
    return column.chunks is not None and filters == _FILTERS and column.dtype.isnative and column.dtype.kind in "iu"


def _unpacked(column: h5py.Dataset, start: int, chunk: int) -> np.ndarray:
    """The chunk ``[chunk]`` that begins with row ``start``; raises where it is broken or packed in another way."""
    size = column.dtype.itemsize
    left_out, packed = column.id.read_direct_chunk((start,))
    if left_out:
        raise ValueError("a filter was left out")
    plain = inflater.decompress(packed, bufsize=size * chunk)
    return _together(np.frombuffer(plain, np.uint8).reshape(size, chunk)).view(column.dtype)


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

"""Chunks of HDF5 columns, packed and unpacked here exactly as HDF5's own shuffle and gzip filters do.

Any HDF5 reads what is packed here. It is faster than HDF5 alone: chunks are unpacked in threads, which HDF5 does not
allow, and where isal is installed, its deflate takes a fraction of the time of zlib's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np

from snnface.events import EVENT_DTYPE

try:
    from isal import isal_zlib as deflate
except ImportError:  # there is no wheel for this system
    import zlib as deflate  # type: ignore[no-redef]

#: Events that are packed together: few, so that a short window costs little.
CHUNK = 16_384
_LEVEL = 2
_PACKED = {"compression": "gzip", "compression_opts": _LEVEL, "shuffle": True}
_FILTERS = [h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE]
#: Fewer chunks are unpacked before a thread has started.
_WORTH_A_THREAD = 3
_MOST_THREADS = 4


def growing(f: h5py.File, name: str, dtype: str) -> h5py.Dataset:
    """A new column ``[0]`` that can be appended to."""
    return f.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(CHUNK,), **_PACKED)


def append(columns: Sequence[h5py.Dataset], events: np.ndarray) -> None:
    """Append events, structured ``[E]`` (``EVENT_DTYPE``), to columns t, x, y, p of :func:`growing` whose last chunk
    is full; on disk at once, chunk by chunk side by side: a file that is cut off keeps its beginning."""
    start = len(columns[0])
    for column in columns:
        column.resize(start + len(events), axis=0)
    for first in range(0, len(events), CHUNK):
        part = events[first : first + CHUNK]
        planes = np.zeros((EVENT_DTYPE.itemsize, CHUNK), np.uint8)
        planes[:, : len(part)] = np.ascontiguousarray(part).view(np.uint8).reshape(len(part), -1).T
        top = 0
        for column in columns:
            size = column.dtype.itemsize
            column.id.write_direct_chunk((start + first,), deflate.compress(planes[top : top + size], _LEVEL))
            top += size


class Rows:
    """Rows of columns ``[E]`` of one length, which may be of any kind: those of other layouts are left to HDF5."""

    def __init__(self, columns: Sequence[h5py.Dataset]) -> None:
        self._columns = columns
        self._ours = all(_is_ours(column) for column in columns) and len({c.chunks for c in columns}) == 1

    def read(self, start: int, stop: int, into: Sequence[np.ndarray], threads: int = 1) -> None:
        """Read ``start`` ≤ row < ``stop`` into arrays, one a column; ``threads`` 0: as many as there are cores, to 4.

        Raises what h5py raises on broken files.
        """
        if self._ours and stop > start:
            try:
                return self._unpack(start, stop, into, threads or min(_MOST_THREADS, os.cpu_count() or 1))
            except (OSError, RuntimeError, ValueError, deflate.error):
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
    plain = deflate.decompress(packed, bufsize=size * chunk)
    planes = np.frombuffer(plain, np.uint8).reshape(size, chunk)
    if size == 1:
        return planes[0].view(column.dtype)
    low = planes.min(axis=1)
    varies = low != planes.max(axis=1)
    values = np.full(chunk, np.where(varies, 0, low).view(f"<u{size}")[0])
    for place in np.flatnonzero(varies).tolist():  # few: the high bytes of times and pixels hardly change
        values |= planes[place].astype(values.dtype) << (8 * place)
    return values.view(column.dtype)

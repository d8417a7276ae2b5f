"""Short windows of a long recording in HDF5, found through its index without a search."""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from snnface.errors import InputError
from snnface.events import Recording, pack
from snnface.io.chunks import Rows
from snnface.io.damage import Damage
from snnface.io.hdf5_file import SUFFIXES, open_recording
from snnface.io.recording import check_file


class Windows:
    """An open recording (HDF5) of ``width`` x ``height`` pixels and ``events`` events, to read windows of.

    Files without ``index_ms`` are searched by bisection. Close it, or use it in a ``with`` statement.

    Raises
    ------
    InputError: the file is absent, broken, or not one recording in HDF5.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in SUFFIXES:
            fix = f"Convert it: snnface convert {self.path} {self.path.with_suffix('.h5').name}"
            raise InputError(self.path, "is not HDF5, where windows are found", fix)
        check_file(self.path)
        self._stack = contextlib.ExitStack()
        file, self._columns, (self.width, self.height) = open_recording(
            self.path, None, Damage(self.path, repair=False), self._stack
        )
        self._rows = Rows(self._columns)
        self.events = len(self._columns[0])
        index = file.get("index_ms")
        self._index = index if isinstance(index, h5py.Dataset) and "start_us" in index.attrs else None
        self._start_us = int(self._index.attrs["start_us"]) if self._index is not None else 0

    def __enter__(self) -> Windows:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def window(self, start_us: int, stop_us: int) -> np.ndarray:
        """Events with ``start_us ≤ t < stop_us``, structured ``[E]`` (``EVENT_DTYPE``), sorted; t as in the file.

        Only the milliseconds around the window are unpacked.
        """
        with self._reading():
            low, high = self._before(start_us, 0), self._before(stop_us, 1)
            if not 0 <= low <= self.events >= high >= 0:
                raise InputError(self.path, "index_ms is broken", "Convert the recording again")
            high = max(low, high)
            events = self._rows.events(low, high, (self.width, self.height))
            if events is None:
                events = pack(*(column[low:high] for column in self._columns))
                Recording(events, self.width, self.height, where=str(self.path))
        # Bisection looks at a few times; searchsorted would copy them all first.
        t = events["t"]
        return events[bisect_left(t, start_us) : bisect_left(t, stop_us)]

    def _before(self, t_us: int, up: int) -> int:
        """Number of events before the whole millisecond below (``up`` 0) or above (1) a time."""
        if self._index is None:
            return self._bisected(t_us)
        entry = (t_us - self._start_us + 999 * up) // 1000
        return int(self._index[min(max(entry, 0), len(self._index) - 1)]) if len(self._index) else 0

    def _bisected(self, t_us: int) -> int:
        low, high = 0, self.events
        while low < high:
            middle = (low + high) // 2
            if int(self._columns[0][middle]) < t_us:
                low = middle + 1
            else:
                high = middle
        return low

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError, ValueError) as e:
            if isinstance(e, InputError):
                raise
            raise InputError(self.path, f"events cannot be read ({e})", "Convert the recording again") from e


def window(path: str | Path, start_us: int, stop_us: int) -> np.ndarray:
    """Events of a recording in HDF5 with ``start_us ≤ t < stop_us`` µs, structured ``[E]``; see :class:`Windows`."""
    with Windows(path) as windows:
        return windows.window(start_us, stop_us)

"""New HDF5 files that are whole or absent, even where the disk is full."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from snnface.errors import InputError
from snnface.files import FULL, atomic_path


class Disk(io.FileIO):
    """The file beneath a new HDF5 file. It never fails towards HDF5, which may crash when a write fails.

    The first error is kept, nothing more is written, and :meth:`check` raises it.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of ``data`` where the file stands; returns its length in bytes, whatever happens."""
        rest = memoryview(data).cast("B")
        length = len(rest)
        try:
            while rest and self.error is None:
                rest = rest[super().write(rest) :]
        except OSError as e:
            self.error = e
        return length

    def truncate(self, size: int | None = None) -> int:
        """Cut or extend the file to ``size`` bytes."""
        try:
            return super().truncate(size) if self.error is None else size or 0
        except OSError as e:
            self.error = e
            return size or 0

    def check(self) -> None:
        """Raise the first error of writing, if there was one."""
        if self.error is not None:
            raise self.error


@contextlib.contextmanager
def new_file(path: str | Path, **options: Any) -> Iterator[tuple[h5py.File, Disk]]:
    """Yield an HDF5 file to fill and its disk, to be checked during long writes; ``options`` are those of h5py.

    The file is moved to ``path`` at the end and removed on any error. Raises :class:`InputError` where it cannot be
    written.
    """
    with atomic_path(path) as temporary:
        try:
            disk = Disk(temporary, "w+")
        except OSError as e:
            raise InputError(path, f"cannot be written: {e.strerror}", "Choose a writable folder") from e
        try:
            with disk:
                with h5py.File(disk, "w", **options) as file:
                    yield file, disk
                disk.check()
        except OSError as e:
            if e is not disk.error or e.errno in FULL:
                raise
            raise InputError(path, f"cannot be written: {e.strerror}", "Choose another disk") from e

"""How the process uses memory during long work."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

# Parameters of glibc's mallopt, from its malloc.h, and their defaults.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_DEFAULTS = {_MMAP_THRESHOLD: 128 << 10, _TRIM_THRESHOLD: 128 << 10, _TOP_PAD: 0}
_KEEPING = {_MMAP_THRESHOLD: 1 << 30, _TRIM_THRESHOLD: (1 << 31) - 1, _TOP_PAD: 64 << 20}


@contextlib.contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let the C library keep freed blocks instead of handing them back to the system; does nothing outside glibc.

    For loops that take and free the same large arrays again and again: fetched anew, the system clears every page, a
    fifth of the time of a training step. Take what outlives the loop before it: blocks that stay, among blocks that
    come and go, leave gaps of all sizes, and the search for one that fits becomes slower than the work itself.
    """
    library = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    if library is None or not hasattr(library, "mallopt"):
        yield
        return
    try:
        for parameter, value in _KEEPING.items():
            library.mallopt(parameter, value)
        yield
    finally:
        for parameter, value in _DEFAULTS.items():
            library.mallopt(parameter, value)
        library.malloc_trim(0)

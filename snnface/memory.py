"""How the process uses memory during long work."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

from snnface.engine import library

# Parameters of glibc's mallopt, from its malloc.h, and their defaults.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_DEFAULTS = {_MMAP_THRESHOLD: 128 << 10, _TRIM_THRESHOLD: 128 << 10, _TOP_PAD: 0}
_KEEPING = {_MMAP_THRESHOLD: 1 << 30, _TRIM_THRESHOLD: (1 << 31) - 1, _TOP_PAD: 64 << 20}


@contextlib.contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let the C library (glibc; no other) keep freed blocks instead of handing them back to the system. At the end
    all goes back, what the engine holds for its next run too.

    For loops that take and free the same large arrays again and again: fetched anew, the system clears every page, a
    fifth of the time of a training step. Take what outlives the loop before it: blocks that stay, among blocks that
    come and go, leave gaps of all sizes, and the search for one that fits becomes slower than the work itself.
    """
    libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    if libc is not None and not hasattr(libc, "mallopt"):
        libc = None

    def choose(values: dict[int, int]) -> None:
        if libc is not None:
            for parameter, value in values.items():
                libc.mallopt(parameter, value)

    choose(_KEEPING)
    try:
        yield
    finally:
        library.trim()
        choose(_DEFAULTS)
        if libc is not None:
            libc.malloc_trim(0)

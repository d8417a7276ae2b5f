"""What the process holds of memory, and when it hands back what it has freed."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from snnface.engine import library

# Parameters of glibc's mallopt, from its malloc.h, and their defaults.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_DEFAULTS = {_MMAP_THRESHOLD: 128 << 10, _TRIM_THRESHOLD: 128 << 10, _TOP_PAD: 0}
_KEEPING = {_MMAP_THRESHOLD: 1 << 30, _TRIM_THRESHOLD: (1 << 31) - 1, _TOP_PAD: 64 << 20}

#: Where Linux says what a process holds, in KiB.
_STATUS = Path("/proc/self/status")
#: getrusage counts KiB, on macOS bytes.
_MAXRSS_UNIT = 1 << (20 if sys.platform == "darwin" else 10)


def resident_mb() -> float:
    """Resident memory now, MB (2²⁰ bytes); where the system does not say, the most so far."""
    return _field("VmRSS") or peak_mb()


def peak_mb() -> float:
    """The most resident memory since the process began, MB (2²⁰ bytes).

    On Linux the program's own: what getrusage tells there begins with the size of the process that started it.
    """
    return _field("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MAXRSS_UNIT


def give_back() -> None:
    """Hand all freed memory back to the system (glibc; no other)."""
    gc.collect()
    trim = getattr(_libc(), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextlib.contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let the C library (glibc; no other) keep freed blocks instead of handing them back to the system. At the end
    all goes back, what the engine holds for its next run too.

    For loops that take and free the same large arrays again and again: fetched anew, the system clears every page, a
    fifth of the time of a training step. Take what outlives the loop before it: blocks that stay, among blocks that
    come and go, leave gaps of all sizes, and the search for one that fits becomes slower than the work itself.
    """
    mallopt = getattr(_libc(), "mallopt", None)

    def choose(values: dict[int, int]) -> None:
        if mallopt is not None:
            for parameter, value in values.items():
                mallopt(parameter, value)

    choose(_KEEPING)
    try:
        yield
    finally:
        choose(_DEFAULTS)
        library.trim()
        give_back()


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform.startswith("linux") else None


def _field(name: str) -> float | None:
    """A field of the process's status, MB; None where the system has none."""
    if not _STATUS.exists():
        return None
    for line in _STATUS.read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return None

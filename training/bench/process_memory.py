"""What a process holds of memory: now, at most, and no more than it may."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def resident_mb() -> float:
    """Resident memory now, MB (2²⁰ bytes); where the system does not say, the most so far."""
    return _field("VmRSS") or peak_mb()


def peak_mb() -> float:
    """The most resident memory since :func:`forget_peak`, or since the process began where that is not possible."""
    return _field("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MAXRSS_UNIT


#: getrusage counts KiB, on macOS bytes.
_MAXRSS_UNIT = 1 << (20 if sys.platform == "darwin" else 10)


def forget_peak() -> None:
    """Let the peak begin at what is resident now (Linux; elsewhere it stays)."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def settle() -> None:
    """Hand freed memory back to the system, so that a baseline holds only what is alive."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def limit(gigabytes: float) -> None:
    """Let allocations fail beyond this, instead of driving the machine into swapping."""
    most = int(gigabytes * (1 << 30))
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _field(name: str) -> float | None:
    if not _STATUS.exists():
        return None
    for line in _STATUS.read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return None

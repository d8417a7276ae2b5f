"""What a process holds of memory: now, at most, and no more than it may."""

from __future__ import annotations

import resource
from pathlib import Path

from snnface.memory import give_back as settle
from snnface.memory import peak_mb, resident_mb

__all__ = ["forget_peak", "limit", "peak_mb", "resident_mb", "settle"]


def forget_peak() -> None:
    """Let the peak begin at what is resident now (Linux; elsewhere it stays)."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def limit(gigabytes: float) -> None:
    """Let allocations fail beyond this, instead of driving the machine into swapping."""
    most = int(gigabytes * (1 << 30))
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))

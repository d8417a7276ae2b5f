"""How long conversions use the heap."""

from __future__ import annotations

import ctypes
import sys

# A parameter of glibc's mallopt, from its malloc.h, and what is large: the system clears every page of it.
_MMAP_THRESHOLD, _LARGE = -3, 1 << 20


def keep_large_blocks_apart() -> None:
    """Let the C library (glibc; no other) take each large array from the system and hand it back when it is freed.

    For loops in which large arrays come and go among small blocks that stay: on one heap these leave gaps that
    nothing fits, and the process grows with the length of what it converts.
    """
    libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    if libc is not None and hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, _LARGE)  # once it is set, it no longer grows by itself

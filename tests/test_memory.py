"""Freed memory is kept inside the context and handed back after it."""

from __future__ import annotations

import ctypes
import resource
import sys

import numpy as np
import pytest

from snnface.memory import freed_memory_kept

#: Below the size for which NumPy asks for huge pages.
PAGES = 500


def faults(rounds: int) -> int:
    """Pages that the system had to clear for arrays that are taken and freed again and again."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        np.ones(PAGES * 4096, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(
    not (sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")), reason="the C library is not glibc"
)
def test_freed_memory_is_kept_inside_only() -> None:
    with freed_memory_kept():
        faults(2)
        assert faults(50) < 5 * PAGES
    assert faults(50) > 25 * PAGES

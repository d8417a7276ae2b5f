"""Freed memory is kept inside the context and handed back after it; a process's peak is its own."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys

import pytest

#: 2 MB an array, below the size for which NumPy asks for huge pages.
PAGES = 500
ROUNDS = 50

# In a process of its own: in a long one, a hole that earlier work left in the heap may take the array.
PROGRAM = f"""
import json, resource
import numpy as np
from snnface.memory import freed_memory_kept

def faults(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        np.ones({PAGES} * 4096, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with freed_memory_kept():
    faults(2)
    inside = faults({ROUNDS})
print(json.dumps([inside, faults({ROUNDS})]))
"""


@pytest.mark.skipif(
    not (sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")), reason="the C library is not glibc"
)
def test_freed_memory_is_kept_inside_only() -> None:
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120)
    inside, after = json.loads(answer.stdout)
    assert inside < 5 * PAGES  # pages that the system had to clear
    assert after > ROUNDS * PAGES / 2


#: Prints its own peak; started by a process that holds as many MB as its argument says.
STARTED = "from snnface.memory import peak_mb; print(peak_mb())"
STARTER = f"""
import subprocess, sys
import numpy as np
held = np.ones(int(sys.argv[1]) << 20, np.uint8)
print(subprocess.run([sys.executable, "-c", {STARTED!r}], capture_output=True, text=True, check=True).stdout)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system itself counts so")
def test_the_peak_is_not_that_of_the_process_that_started_this_one() -> None:
    def peak(held_mb: int) -> float:
        call = [sys.executable, "-c", STARTER, str(held_mb)]
        return float(subprocess.run(call, capture_output=True, text=True, check=True, timeout=120).stdout)

    assert 50 < peak(1_000) < peak(1) + 200

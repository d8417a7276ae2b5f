"""The neuron's inner loop over time, compiled: one pass over memory, state of a block of neurons in cache.

Arrays are ``[T, N]`` float32 or float64, N neurons of a batch in any order; equations in :mod:`snnface.neuron`.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

#: Neurons that a thread carries through all steps at a time.
BLOCK = 2048
_JIT: dict[str, Any] = {"cache": True, "nogil": True, "parallel": True, "error_model": "numpy"}


@numba.njit(**_JIT)
def forward(x, u, v, alpha, beta, threshold, membrane, spikes):  # type: ignore[no-untyped-def]
    """Run all steps: reads ``x``, updates ``u`` and ``v`` [N], writes membrane (before reset) and spikes (0/1)."""
    steps, neurons = x.shape
    for block in numba.prange((neurons + BLOCK - 1) // BLOCK):
        first, last = block * BLOCK, min((block + 1) * BLOCK, neurons)
        for t in range(steps):
            for i in range(first, last):
                current = alpha * u[i] + x[t, i]
                m = beta * v[i] + current
                fired = m > threshold
                u[i] = current
                membrane[t, i] = m
                v[i] = 0 if fired else m
                spikes[t, i] = 1 if fired else 0


@numba.njit(**_JIT)
def backward(g, membrane, alpha, beta, threshold, surrogate, slope, detach_reset, gx):  # type: ignore[no-untyped-def]
    """Gradient of the synaptic input from that of the spikes ``g``; surrogate 0 fast sigmoid, 1 atan, 2 triangle."""
    steps, neurons = g.shape
    for block in numba.prange((neurons + BLOCK - 1) // BLOCK):
        first, last = block * BLOCK, min((block + 1) * BLOCK, neurons)
        gu = np.zeros(last - first, g.dtype)
        after = np.zeros(last - first, g.dtype)
        for t in range(steps - 1, -1, -1):
            for i in range(first, last):
                k = i - first
                m = membrane[t, i]
                d = abs(m - threshold) * slope
                if surrogate == 0:
                    s = 1 / ((1 + d) * (1 + d))
                elif surrogate == 1:
                    s = 1 / (1 + (d * (math.pi / 2)) ** 2)
                else:
                    s = max(1 - d, 0.0)
                through = g[t, i] if detach_reset else g[t, i] - after[k] * m
                gv = through * s + (0 if m > threshold else after[k])
                gu[k] = alpha * gu[k] + gv
                gx[t, i] = gu[k]
                after[k] = beta * gv

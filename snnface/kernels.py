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
    # Constants of the arrays' own type: others would turn the arithmetic into float64.
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for block in numba.prange((neurons + BLOCK - 1) // BLOCK):
        first, last = block * BLOCK, min((block + 1) * BLOCK, neurons)
        for t in range(steps):
            for i in range(first, last):
                current = alpha * u[i] + x[t, i]
                m = beta * v[i] + current
                fired = m > threshold
                u[i] = current
                membrane[t, i] = m
                v[i] = zero if fired else m
                spikes[t, i] = one if fired else zero


@numba.njit(**_JIT)
def backward(g, membrane, alpha, beta, threshold, surrogate, slope, detach_reset, gx):  # type: ignore[no-untyped-def]
    """Gradient of the synaptic input from that of the spikes ``g``; surrogate 0 fast sigmoid, 1 atan, 2 triangle."""
    steps, neurons = g.shape
    zero, one, quarter_turn = g.dtype.type(0), g.dtype.type(1), g.dtype.type(math.pi / 2)
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
                    s = one / ((one + d) * (one + d))
                elif surrogate == 1:
                    s = one / (one + (d * quarter_turn) * (d * quarter_turn))
                else:
                    s = max(one - d, zero)
                through = g[t, i] if detach_reset else g[t, i] - after[k] * m
                gv = through * s + (zero if m > threshold else after[k])
                gu[k] = alpha * gu[k] + gv
                gx[t, i] = gu[k]
                after[k] = beta * gv


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _reach(position, padding, dilation, stride, taps, size, out, tap):  # type: ignore[no-untyped-def]
    """Write which outputs along one axis see a position, and through which tap of the kernel; returns how many."""
    count = 0
    for k in range(taps):
        at = position + padding - k * dilation
        if at >= 0 and at % stride == 0 and at // stride < size:
            out[count], tap[count] = at // stride, k
            count += 1
    return count


@numba.njit(**_JIT)
def events_forward(place, value, first, size, weight, stride, padding, dilation, out):  # type: ignore[no-untyped-def]
    """Add every active cell's weights ``[C, kH, kW, O]`` to the outputs ``[F, H', W', O]`` of its frame.

    ``place``: cell within its frame, (c·H + y)·W + x; ``first [F + 1]``: where each frame's cells begin;
    ``size``: (H, W) of the input.
    """
    taps_y, taps_x, outputs = weight.shape[1:]
    for frame in numba.prange(len(out)):
        oy, ky = np.empty(taps_y, np.int64), np.empty(taps_y, np.int64)
        ox, kx = np.empty(taps_x, np.int64), np.empty(taps_x, np.int64)
        for i in range(first[frame], first[frame + 1]):
            x, y, c = place[i] % size[1], place[i] // size[1] % size[0], place[i] // (size[0] * size[1])
            high = _reach(y, padding[0], dilation[0], stride[0], taps_y, out.shape[1], oy, ky)
            wide = _reach(x, padding[1], dilation[1], stride[1], taps_x, out.shape[2], ox, kx)
            for j in range(high):
                for k in range(wide):
                    for o in range(outputs):
                        out[frame, oy[j], ox[k], o] += value[i] * weight[c, ky[j], kx[k], o]


@numba.njit(**_JIT)
def events_backward(place, value, first, size, g, stride, padding, dilation, parts):  # type: ignore[no-untyped-def]
    """Gradient of the weights from that of the outputs ``g [F, H', W', O]``, into ``parts [P, C, kH, kW, O]``.

    Part p adds up the frames p, p + P, …: the same sums for any number of threads.
    """
    taps_y, taps_x, outputs = parts.shape[2:]
    for part in numba.prange(len(parts)):
        oy, ky = np.empty(taps_y, np.int64), np.empty(taps_y, np.int64)
        ox, kx = np.empty(taps_x, np.int64), np.empty(taps_x, np.int64)
        for frame in range(part, len(g), len(parts)):
            for i in range(first[frame], first[frame + 1]):
                x, y, c = place[i] % size[1], place[i] // size[1] % size[0], place[i] // (size[0] * size[1])
                high = _reach(y, padding[0], dilation[0], stride[0], taps_y, g.shape[1], oy, ky)
                wide = _reach(x, padding[1], dilation[1], stride[1], taps_x, g.shape[2], ox, kx)
                for j in range(high):
                    for k in range(wide):
                        for o in range(outputs):
                            parts[part, c, ky[j], kx[k], o] += value[i] * g[frame, oy[j], ox[k], o]

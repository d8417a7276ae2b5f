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
_STEP: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
_JIT: dict[str, Any] = _STEP | {"parallel": True}


@numba.njit(**_STEP)
def _forward_step(x, u, v, alpha, beta, threshold, membrane, spikes):  # type: ignore[no-untyped-def]
    # Slices from 0 on, and constants of the arrays' own type: otherwise nothing is vectorised.
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(len(x)):
        current = alpha * u[i] + x[i]
        m = beta * v[i] + current
        fired = m > threshold
        u[i] = current
        membrane[i] = m
        v[i] = zero if fired else m
        spikes[i] = one if fired else zero


@numba.njit(**_JIT)
def forward(x, u, v, alpha, beta, threshold, membrane, spikes):  # type: ignore[no-untyped-def]
    """Run all steps: reads ``x``, updates ``u`` and ``v`` [N], writes membrane (before reset) and spikes (0/1)."""
    steps, neurons = x.shape
    for block in numba.prange((neurons + BLOCK - 1) // BLOCK):
        a, b = block * BLOCK, min((block + 1) * BLOCK, neurons)
        for t in range(steps):
            _forward_step(x[t, a:b], u[a:b], v[a:b], alpha, beta, threshold, membrane[t, a:b], spikes[t, a:b])


@numba.njit(**_STEP)
def _backward_step(g, membrane, alpha, beta, threshold, surrogate, slope, reset, gu, after, gx):  # type: ignore[no-untyped-def]
    zero, one, quarter_turn = g.dtype.type(0), g.dtype.type(1), g.dtype.type(math.pi / 2)
    for i in range(len(g)):
        m = membrane[i]
        d = abs(m - threshold) * slope
        if surrogate == 0:
            s = one / ((one + d) * (one + d))
        elif surrogate == 1:
            s = one / (one + (d * quarter_turn) * (d * quarter_turn))
        else:
            s = max(one - d, zero)
        gv = (g[i] - reset * after[i] * m) * s + (zero if m > threshold else after[i])
        gu[i] = alpha * gu[i] + gv
        gx[i] = gu[i]
        after[i] = beta * gv


@numba.njit(**_JIT)
def backward(g, membrane, alpha, beta, threshold, surrogate, slope, detach_reset, gx):  # type: ignore[no-untyped-def]
    """Gradient of the synaptic input from that of the spikes ``g``; surrogate 0 fast sigmoid, 1 atan, 2 triangle."""
    steps, neurons = g.shape
    reset = g.dtype.type(0 if detach_reset else 1)
    for block in numba.prange((neurons + BLOCK - 1) // BLOCK):
        a, b = block * BLOCK, min((block + 1) * BLOCK, neurons)
        gu, after = np.zeros(b - a, g.dtype), np.zeros(b - a, g.dtype)
        for t in range(steps - 1, -1, -1):
            _backward_step(
                g[t, a:b], membrane[t, a:b], alpha, beta, threshold, surrogate, slope, reset, gu, after, gx[t, a:b]
            )


@numba.njit(**_STEP)
def _add(value, row, out):  # type: ignore[no-untyped-def]
    for i in range(len(out)):
        out[i] += value * row[i]


@numba.njit(**_STEP)
def _reach(position, padding, dilation, stride, taps, size, out, tap):  # type: ignore[no-untyped-def]
    """Write which outputs along one axis see a position, and through which tap of the kernel; returns how many."""
    count = 0
    for k in range(taps):
        at = position + padding - k * dilation
        if at >= 0 and at % stride == 0 and at // stride < size:
            out[count], tap[count] = at // stride, k
            count += 1
    return count


@numba.njit(**_STEP)
def _targets(place, size, outputs, taps, stride, padding, dilation, ys, xs):  # type: ignore[no-untyped-def]
    """Where a cell's weights go: its channel, and how many rows ``ys`` and columns ``xs`` ``[2, taps]`` (output, tap)
    of the outputs see it. ``place``: (c·H + y)·W + x; pairs are (y, x), ``outputs`` and ``taps`` sizes."""
    y, x = place // size[1] % size[0], place % size[1]
    high = _reach(y, padding[0], dilation[0], stride[0], taps[0], outputs[0], ys[0], ys[1])
    wide = _reach(x, padding[1], dilation[1], stride[1], taps[1], outputs[1], xs[0], xs[1])
    return place // (size[0] * size[1]), high, wide


@numba.njit(**_JIT)
def events_forward(place, value, first, size, weight, stride, padding, dilation, out):  # type: ignore[no-untyped-def]
    """Add every active cell's weights ``[C, kH, kW, O]`` to the outputs ``[F, H', W', O]`` of its frame.

    ``place``: cell within its frame, (c·H + y)·W + x; ``first [F + 1]``: where each frame's cells begin;
    ``size``: (H, W) of the input.
    """
    outputs, taps = out.shape[1:3], weight.shape[1:3]
    for frame in numba.prange(len(out)):
        ys, xs = np.empty((2, taps[0]), np.int64), np.empty((2, taps[1]), np.int64)
        for i in range(first[frame], first[frame + 1]):
            c, high, wide = _targets(place[i], size, outputs, taps, stride, padding, dilation, ys, xs)
            for j in range(high):
                for k in range(wide):
                    _add(value[i], weight[c, ys[1, j], xs[1, k]], out[frame, ys[0, j], xs[0, k]])


@numba.njit(**_JIT)
def events_backward(place, value, first, size, g, stride, padding, dilation, parts):  # type: ignore[no-untyped-def]
    """Gradient of the weights from that of the outputs ``g [F, H', W', O]``, into ``parts [P, C, kH, kW, O]``.

    Part p adds up the frames p, p + P, …: the same sums for any number of threads.
    """
    outputs, taps = g.shape[1:3], parts.shape[2:4]
    for part in numba.prange(len(parts)):
        ys, xs = np.empty((2, taps[0]), np.int64), np.empty((2, taps[1]), np.int64)
        for frame in range(part, len(g), len(parts)):
            for i in range(first[frame], first[frame + 1]):
                c, high, wide = _targets(place[i], size, outputs, taps, stride, padding, dilation, ys, xs)
                for j in range(high):
                    for k in range(wide):
                        _add(value[i], g[frame, ys[0, j], xs[0, k]], parts[part, c, ys[1, j], xs[1, k]])

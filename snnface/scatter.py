"""Kernels of the streaming path: work where events and spikes are, and one pass over the neurons.

Sources and neurons are numbered channels-last, (y·W + x)·C + c, so that the weights a source sends to one pixel
lie side by side. Compiled on first use and kept on disk; without fast-math, so that results are those of the
plain formulas.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import math

from numba import njit


@njit(cache=True)
def age_cells(t, x, y, p, end_us, tau_us, width, sums, cells):
    """Add up the age weights exp(−(end − t)/τ) of events by pixel and polarity.

    ``sums``: float64 by cell, −1 where untouched. Writes the touched cells to ``cells``; returns their number.
    """
    count = 0
    for i in range(len(t)):
        cell = (y[i] * width + x[i]) * 2 + p[i]
        if sums[cell] < 0:
            sums[cell] = 0
            cells[count] = cell
            count += 1
        sums[cell] += math.exp((t[i] - end_us) / tau_us)
    return count


@njit(cache=True)
def scatter_conv(cells, values, weight, width, stride, padding, dilation, group_in, out):
    """Add each source's patch of weights to the pixels that see it.

    ``weight``: ``[C, kH, kW, O/groups]``; ``width`` of the input; ``group_in``: input channels of a group;
    ``out``: synaptic sums ``[H, W, O]``.
    """
    channels, kernel_y, kernel_x, outputs = weight.shape
    for i in range(len(cells)):
        c = cells[i] % channels
        pixel = cells[i] // channels
        first = c // group_in * outputs
        top, left = pixel // width + padding[0], pixel % width + padding[1]
        for ky in range(kernel_y):
            y = top - ky * dilation[0]
            if y < 0 or y % stride[0] or y // stride[0] >= out.shape[0]:
                continue
            for kx in range(kernel_x):
                x = left - kx * dilation[1]
                if x < 0 or x % stride[1] or x // stride[1] >= out.shape[1]:
                    continue
                row, column = y // stride[0], x // stride[1]
                for o in range(outputs):
                    out[row, column, first + o] += values[i] * weight[c, ky, kx, o]


@njit(cache=True)
def scatter_dense(cells, values, weight, out):
    """Add each source's row of weights ``[I, O]`` to the synaptic sums ``[O]``."""
    for i in range(len(cells)):
        for o in range(weight.shape[1]):
            out[o] += values[i] * weight[cells[i], o]


@njit(cache=True)
def fire(x, u, v, alpha, beta, threshold, spikes):
    """One step of all neurons of a layer (see :mod:`snnface.neuron`), flat arrays ``[N]``.

    Takes the synaptic sums ``x`` and leaves them zero. Writes the neurons that spike to ``spikes``; returns their
    number.
    """
    count = 0
    for i in range(len(x)):
        u[i] = alpha * u[i] + x[i]
        v[i] = beta * v[i] + u[i]
        x[i] = 0
        if v[i] > threshold:
            v[i] = 0
            spikes[count] = i
            count += 1
    return count

"""The linear part of an integer layer: spikes or payloads in, synaptic sums out, exactly.

Sums are computed in floating point: float32 only where Σ|w|·max|x| < 2²⁴ bounds every partial sum, float64
otherwise. Numpy multiplies matrices with neither Winograd transforms nor reduced precision, so the order of summation
does not matter.
"""

from __future__ import annotations

import math

import numpy as np

from snnface.errors import InputError
from snnface.hardware.integers.network import STATE_LIMIT, IntegerLayer

#: Values in one block of unfolded input: large enough for fast products, small enough for the cache.
_BLOCK = 1 << 20


class Synapses:
    """The synapses of one layer. ``bound``: what no sum can exceed for inputs up to ``largest_input``."""

    def __init__(self, layer: IntegerLayer, largest_input: int) -> None:
        self.layer = layer
        groups = layer.groups
        rows = layer.weight.reshape(len(layer.weight), -1)
        self.bound = int(np.abs(rows).sum(1).max()) * largest_input
        self.recurrent: np.ndarray | None = None
        if layer.recurrent is not None:
            own = int(np.abs(layer.recurrent).sum(1).max())
            self.bound += own
            self.recurrent = layer.recurrent.T.astype(np.float32 if own < 1 << 24 else np.float64)
        if self.bound >= 1 << 31:
            raise InputError(
                f"layer {layer.name}", "its synaptic sums leave 32 bits", "Use smaller weights or payloads"
            )
        self.dtype = np.float32 if self.bound < 1 << 24 else np.float64
        if layer.kind == "conv":
            self.taps = [(0, rows.reshape(groups, len(rows) // groups, -1).astype(self.dtype))]
        else:
            delays = np.zeros(1, np.int64) if layer.delay is None else np.unique(layer.delay)
            keep = rows if layer.delay is None else None
            self.taps = [
                (int(d), (keep if keep is not None else np.where(layer.delay == d, rows, 0)).T.astype(self.dtype))
                for d in delays
            ]

    def sums(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Synaptic sums ``[N, *shape_out]`` of the input ``[N, *shape_in]`` through one of :attr:`taps`."""
        if self.layer.kind == "dense":
            return x.reshape(len(x), len(weight)).astype(self.dtype) @ weight
        out = np.empty((len(x), *self.layer.shape_out), self.dtype)
        groups, outputs, inputs = weight.shape
        block = max(1, _BLOCK // (groups * inputs * math.prod(self.layer.shape_out[1:])))
        for start in range(0, len(x), block):
            part = x[start : start + block]
            # One product of a whole block: many small ones cost more in handing them to threads than in numbers.
            found = np.matmul(weight, self._unfold(part).reshape(groups, inputs, -1))
            found = found.reshape(groups * outputs, len(part), *self.layer.shape_out[1:])
            out[start : start + block] = found.swapaxes(0, 1)
        # Lava wraps the sums of a convolution to signed 24 bits
        if self.bound >= STATE_LIMIT:
            out = np.mod(out.astype(np.float64) + STATE_LIMIT, 2 * STATE_LIMIT) - STATE_LIMIT
        return out

    def _unfold(self, x: np.ndarray) -> np.ndarray:
        """``[N, C, H, W]`` → ``[C, kH, kW, N, H', W']``: the inputs of every output pixel."""
        layer = self.layer
        (sy, sx), (py, px), (dy, dx) = layer.stride, layer.padding, layer.dilation
        n, c, height, width = x.shape
        padded = np.zeros((n, c, height + 2 * py, width + 2 * px), self.dtype)
        padded[:, :, py : py + height, px : px + width] = x
        kh, kw = layer.weight.shape[2:]
        _, oh, ow = layer.shape_out
        columns = np.empty((c, kh, kw, n, oh, ow), self.dtype)
        for i in range(kh):
            rows = padded[:, :, i * dy : i * dy + sy * (oh - 1) + 1 : sy]
            for j in range(kw):
                columns[:, i, j] = rows[..., j * dx : j * dx + sx * (ow - 1) + 1 : sx].swapaxes(0, 1)
        return columns

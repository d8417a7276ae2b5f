"""Synapses in numpy, event by event: spikes or payloads in, synaptic sums out.

A convolution is computed only at the positions that an active pixel reaches; a dense layer adds up the rows of the
inputs that spiked. Sums are whole numbers, so their order does not matter.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np


class Sums(NamedTuple):
    """Synaptic sums ``[channels, n]`` that arrive at n positions ``at`` (a slice where it is all of them)."""

    at: Any
    values: np.ndarray


class Conv:
    """A convolution, pairs (y, x). ``weight``: ``[O, I/groups, kH, kW]`` as torch has it."""

    def __init__(
        self,
        weight: np.ndarray,
        shape_in: tuple[int, ...],
        shape_out: tuple[int, ...],
        geometry: list[tuple[int, int]],
        groups: int,
        dtype: type[np.floating[Any]],
    ) -> None:
        strides, paddings, dilations = geometry
        self.weight = weight.reshape(groups, len(weight) // groups, -1).astype(dtype)
        channels, height, width = shape_in
        self.pixels = height * width
        padded = height + 2 * paddings[0], width + 2 * paddings[1]
        self.buffer = np.zeros((channels, padded[0] * padded[1]), dtype)
        #: Of every input neuron its place in the padded buffer, of every output position the places it reads.
        rows = (np.arange(height)[:, None] + paddings[0]) * padded[1] + np.arange(width) + paddings[1]
        self.place = (np.arange(channels)[:, None] * self.buffer.shape[1] + rows.ravel()).ravel()
        reads = [
            np.arange(n)[:, None] * s + np.arange(k) * d
            for n, s, k, d in zip(shape_out[1:], strides, weight.shape[2:], dilations, strict=True)
        ]
        window = reads[0][:, None, :, None] * padded[1] + reads[1][None, :, None, :]
        self.window = window.reshape(math.prod(shape_out[1:]), -1).T.copy()
        axes = [_reached(r - p, n) for r, p, n in zip(reads, paddings, shape_in[1:], strict=True)]
        self.reaches = _positions(axes, shape_out[2], len(self.window.T))

    def sums(self, active: np.ndarray, payload: np.ndarray | None) -> Sums | None:
        """What the input neurons ``active`` (flat, CHW) send, None where it reaches nobody.

        ``payload``: integers, or None for spikes.
        """
        reached = np.zeros(self.window.shape[1] + 1, bool)
        reached[self.reaches[active % self.pixels]] = True
        at = np.flatnonzero(reached[:-1])
        if not len(at):
            return None
        flat, place = self.buffer.reshape(-1), self.place[active]
        flat[place] = 1 if payload is None else payload
        columns = self.buffer[:, self.window[:, at]].reshape(len(self.weight), -1, len(at))
        flat[place] = 0
        return Sums(at, np.matmul(self.weight, columns).reshape(-1, len(at)))


def _reached(reads: np.ndarray, size: int) -> np.ndarray:
    """int ``[size, most]``: outputs along one axis that read each input position, −1 where there are fewer.

    ``reads``: ``[outputs, kernel]`` input positions.
    """
    outputs, taps = np.nonzero((reads >= 0) & (reads < size))
    position = reads[outputs, taps]
    order = np.argsort(position, kind="stable")
    position, outputs = position[order], outputs[order]
    rank = np.arange(len(position)) - np.searchsorted(position, position)
    table = np.full((size, int(rank.max(initial=0)) + 1), -1)
    table[position, rank] = outputs
    return table


def _positions(axes: list[np.ndarray], width: int, none: int) -> np.ndarray:
    """Two axes' tables as one: output positions of each pixel ``[H*W, most]``, ``none`` where there are fewer."""
    rows, columns = axes[0][:, None, :, None], axes[1][None, :, None, :]
    table = np.where((rows >= 0) & (columns >= 0), rows * width + columns, none)
    return table.reshape(len(axes[0]) * len(axes[1]), -1)


class Dense:
    """A dense layer; ``weight``: ``[O, I]``."""

    def __init__(self, weight: np.ndarray, dtype: type[np.floating[Any]]) -> None:
        self.rows = np.ascontiguousarray(weight.T.astype(dtype))

    def sums(self, active: np.ndarray, payload: np.ndarray | None) -> Sums:
        """As :meth:`Conv.sums`; there is one position."""
        rows = self.rows[active]
        total = rows.sum(0) if payload is None else payload.astype(rows.dtype) @ rows
        return Sums(slice(None), total[:, None])

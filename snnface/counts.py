"""Exact counts of what a network did: synaptic operations from the real fan-out, spikes, neuron updates.

A synaptic operation is one spike reaching one neuron. A pixel at the border, or between the strides, of a
convolution reaches fewer neurons than one in the middle: the fan-out is counted for every source neuron. A cell
of the input (pixel, polarity, step) with events is one spike, whatever payload it carries. Every neuron is
updated at every step, spike or no spike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snnface.batch import EventBatch
from snnface.forward import Trace
from snnface.input import coded
from snnface.network import Network, SynapticLayer


@dataclass(frozen=True)
class LayerCounts:
    """Totals of one layer over all clips; ``busiest_synops`` is the most of any single step."""

    name: str
    neurons: int
    parameters: int
    synops: int
    busiest_synops: int
    spikes: int
    updates: int


@dataclass(frozen=True)
class Counts:
    """Totals of a network over ``steps`` steps, which are ``seconds`` of recording."""

    layers: tuple[LayerCounts, ...]
    clips: int
    steps: int
    seconds: float
    input_events: int
    input_spikes: int

    def total(self, field: str) -> int:
        """Sum of one field of :class:`LayerCounts` over the layers."""
        return sum(getattr(layer, field) for layer in self.layers)


def axis_pairs(size_in: int, size_out: int, kernel: int, stride: int, padding: int, dilation: int) -> np.ndarray:
    """int64 ``[size_in]``: how many (output, kernel position) pairs along one axis read each input position."""
    read = np.arange(size_out)[:, None] * stride - padding + np.arange(kernel) * dilation
    return np.bincount(read[(read >= 0) & (read < size_in)], minlength=size_in)


def fan_out(layer: SynapticLayer) -> np.ndarray:
    """int64, the shape of the layer's input: synapses that each source neuron drives (padding drives none)."""
    if layer.kind == "dense":
        return np.full(layer.shape_in, layer.weight.shape[0], np.int64)
    rows, columns = (
        axis_pairs(layer.shape_in[1 + i], layer.shape_out[1 + i], layer.weight.shape[2 + i], s, p, d)
        for i, (s, p, d) in enumerate(zip(layer.stride, layer.padding, layer.dilation, strict=True))
    )
    plane = (layer.weight.shape[0] // layer.groups) * rows[:, None] * columns
    return np.broadcast_to(plane, layer.shape_in).copy()


def count(network: Network, runs: Iterable[tuple[EventBatch, Trace]]) -> Counts:
    """Count over batches and what a backend made of them; steps after a clip's own end are left out."""
    fans = [torch.from_numpy(fan_out(layer)).flatten() for layer in network.layers]
    sums = np.zeros((len(network.layers), 2), np.int64)  # synops, spikes
    busiest = np.zeros(len(network.layers), np.int64)
    clips = steps = microseconds = events = cells = 0
    for batch, trace in runs:
        own = batch.steps(network.step_us)
        inside = torch.arange(int(own.max()))[:, None] < own
        clips, steps = clips + batch.size, steps + int(own.sum())
        microseconds += int(batch.duration_us.sum())
        events += len(batch.t)
        into_first, active = _input_synops(network, batch, fans[0], inside)
        cells += active
        for i in range(len(network.layers)):
            synops = (_driven(trace.spikes[i - 1], fans[i]) if i else into_first)[: len(inside)] * inside
            sums[i, 0] += int(synops.sum())
            busiest[i] = max(busiest[i], int(synops.max()))
            if i < len(trace.spikes):
                per_step = trace.spikes[i].flatten(2).sum(2, dtype=torch.float64)
                sums[i, 1] += int((per_step[: len(inside)] * inside).sum())
    layers = tuple(
        LayerCounts(
            name=layer.name,
            neurons=layer.neurons,
            parameters=math.prod(layer.weight.shape),
            synops=int(sums[i, 0]),
            busiest_synops=int(busiest[i]),
            spikes=int(sums[i, 1]),
            updates=layer.neurons * steps,
        )
        for i, layer in enumerate(network.layers)
    )
    return Counts(layers, clips, steps, microseconds / 1e6, events, cells)


def _driven(spikes: Tensor, fan: Tensor) -> Tensor:
    """Synaptic operations of spikes ``[T, B, ...]``, float64 ``[T, B]``: exact, and one step at a time in memory."""
    weights = fan.double()
    return torch.stack([step.flatten(1).double() @ weights for step in spikes])


def _input_synops(network: Network, batch: EventBatch, fan: Tensor, inside: Tensor) -> tuple[Tensor, int]:
    """Synaptic operations of the first layer, float64 ``[T, B]``, and the number of active input cells."""
    cells = coded(batch, network, len(inside))
    index = cells.index[cells.value != 0]
    frame = index // len(fan)
    kept = inside.flatten()[frame]
    drives = fan[index[kept] % len(fan)].double()
    synops = torch.bincount(frame[kept], weights=drives, minlength=inside.numel())
    return synops.view(inside.shape), int(kept.sum())

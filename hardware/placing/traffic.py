"""Spikes between cores: a spike goes once to every core that holds one of its targets."""

from __future__ import annotations

import math

import numpy as np

from snnface.counts import Counts
from snnface.hardware.placing.cores import Cut
from snnface.hardware.placing.placement import Placement
from snnface.network import SynapticLayer


def cores_reached(layer: SynapticLayer, cut: Cut) -> float:
    """Cores of ``layer`` that a spike into it reaches, the mean over all source neurons that reach any."""
    x, y, channels = cut.parts
    if layer.kind == "dense":
        return float(channels)
    width, height, _ = cut.tile
    reached = np.outer(
        _tiles_of(layer, 0, y, height),
        _tiles_of(layer, 1, x, width),
    )
    return float(reached[reached > 0].mean()) * math.ceil(channels / layer.groups)


def messages(placement: Placement, counts: Counts) -> list[float] | None:
    """Messages into each layer's cores over all clips, spikes spread evenly over their sources.

    None where no cores are known.
    """
    spikes = [counts.input_spikes, *(layer.spikes for layer in counts.layers)]
    cuts = [placed.cut for placed in placement.layers]
    if placement.cores is None or any(cut is None for cut in cuts):
        return None
    return [
        n * cores_reached(placed.layer, placed.cut)
        for n, placed in zip(spikes, placement.layers, strict=False)
        if placed.cut is not None
    ]


def _tiles_of(layer: SynapticLayer, axis: int, parts: int, tile: int) -> np.ndarray:
    """int64 ``[size in]``: tiles along one axis (0: y, 1: x) that read each input position."""
    size_in, size_out = layer.shape_in[1 + axis], layer.shape_out[1 + axis]
    stride, padding, dilation = layer.stride[axis], layer.padding[axis], layer.dilation[axis]
    taps = np.arange(layer.weight.shape[2 + axis]) * dilation - padding
    tiles = np.zeros(size_in, np.int64)
    for part in range(parts):
        outputs = np.arange(part * tile, min((part + 1) * tile, size_out))
        read = (outputs[:, None] * stride + taps).ravel()
        tiles[np.unique(read[(read >= 0) & (read < size_in)])] += 1
    return tiles

"""The reference backend: our own neuron, fused over time, on any device that torch has."""

from __future__ import annotations

import functools

from torch import Tensor

from snnface.forward import run_network
from snnface.neuron import Lif, lif


def neurons(x: Tensor, neuron: Lif) -> Tensor:
    """Spikes ``[T, B, ...]`` of :func:`snnface.neuron.lif`."""
    return lif(x, neuron)[0]


run = functools.partial(run_network, neurons=neurons)

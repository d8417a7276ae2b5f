"""The forward pass that every float backend shares: synapses are common, the neurons are the backend's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snnface.batch import EventBatch
from snnface.input import InputSpikes, coded
from snnface.network import Network
from snnface.neuron import Lif, integrate
from snnface.surrogate import Surrogate
from snnface.synapse import Conv, from_events, from_spikes

#: Synaptic input ``[T, B, ...]`` and parameters → spikes ``[T, B, ...]``.
Neurons = Callable[[Tensor, Lif], Tensor]


@dataclass(frozen=True)
class Layer:
    """One layer in torch terms; ``conv`` is None for a dense layer, ``spiking`` False for the readout."""

    weight: Tensor
    neuron: Lif
    conv: Conv | None
    spiking: bool = True


@dataclass(frozen=True)
class Trace:
    """What a run produced: ``spikes`` of each spiking layer ``[T, B, *shape]`` (0/1), ``readout`` ``[T, B, R]``.

    ``readout`` is the membrane of the last layer where it does not spike, else that layer's spikes.
    """

    spikes: list[Tensor]
    readout: Tensor


def propagate(inputs: InputSpikes, layers: Sequence[Layer], neurons: Neurons) -> Trace:
    """Run a batch through the layers, one pass over all steps per layer (no layer lag)."""
    spikes: list[Tensor] = []
    for i, layer in enumerate(layers):
        if i == 0:
            x = from_events(inputs, layer.weight, layer.conv)
        else:
            x = from_spikes(spikes[-1], layer.weight, layer.conv)
        if not layer.spiking:
            return Trace(spikes, integrate(x, layer.neuron.alpha, layer.neuron.beta)[0])
        spikes.append(neurons(x, layer.neuron))
    return Trace(spikes, spikes[-1].flatten(2))


def network_layers(
    network: Network, dtype: torch.dtype, surrogate: Surrogate | None = None, detach_reset: bool = True
) -> list[Layer]:
    """The layers of a plain network as torch tensors of ``dtype``."""
    return [
        Layer(
            torch.as_tensor(layer.weight, dtype=dtype),
            Lif(layer.alpha, layer.beta, layer.threshold, surrogate or Surrogate(), detach_reset),
            Conv(layer.stride, layer.padding, layer.dilation, layer.groups) if layer.kind == "conv" else None,
            layer.spiking,
        )
        for layer in network.layers
    ]


def run_network(
    network: Network,
    batch: EventBatch,
    neurons: Neurons,
    dtype: torch.dtype = torch.float32,
    steps: int | None = None,
) -> Trace:
    """Run a trained network on a batch of clips, without gradients."""
    with torch.no_grad():
        return propagate(coded(batch, network, steps, dtype), network_layers(network, dtype), neurons)

"""The forward pass that every float backend shares: synapses are common, the neurons are the backend's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from snnface.batch import EventBatch
from snnface.input import Coding, InputSpikes, coded
from snnface.network import Network
from snnface.neuron import Lif, integrate, lif
from snnface.surrogate import Surrogate
from snnface.synapse import Conv, from_events, from_spikes

#: Synaptic input ``[T, B, C, ...]`` and parameters → spikes (or the readout's membranes) of the same shape.
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

    ``readout`` is the membrane of the last layer where it does not spike, else that layer's spikes. ``rates``: of
    each spiking layer ``[B, C]``, the mean of each channel's spikes over steps and positions, differentiable; empty
    where a backend that is not trained leaves them out.
    """

    spikes: list[Tensor]
    readout: Tensor
    rates: list[Tensor] = field(default_factory=list)

    def dense(self) -> Trace:
        """The same with every layer's spikes as a tensor; a backend may keep them packed (with a ``dense`` too)."""
        spikes = [s if isinstance(s, Tensor) else s.dense() for s in self.spikes]
        return Trace(spikes, self.readout if isinstance(self.readout, Tensor) else spikes[-1].flatten(2), self.rates)


#: A batch of clips, how its events enter, and the layers → what they do: how a backend serves the encoder.
Run = Callable[[EventBatch, Coding, Sequence[Layer]], Trace]


def reference(x: Tensor, neuron: Lif) -> Tensor:
    """Spikes ``[T, B, C, ...]`` of :func:`snnface.neuron.lif`."""
    return lif(x, neuron)[0]


def membranes(x: Tensor, neuron: Lif) -> Tensor:
    """Membranes ``[T, B, C, ...]`` of :func:`snnface.neuron.integrate`."""
    return integrate(x, neuron)[0]


def propagate(
    inputs: InputSpikes, layers: Sequence[Layer], neurons: Neurons = reference, integrator: Neurons = membranes
) -> Trace:
    """Run input spikes through the layers, one pass over all steps per layer (no layer lag)."""
    spikes: list[Tensor] = []
    readout: Tensor | None = None
    for layer in layers:
        if spikes:
            x = from_spikes(spikes[-1], layer.weight, layer.conv)
        else:
            x = from_events(inputs, layer.weight, layer.conv)
        if layer.spiking:
            spikes.append(neurons(x, layer.neuron))
        else:
            readout = integrator(x, layer.neuron)
    if readout is None:
        readout = spikes[-1].flatten(2)
    return Trace(spikes, readout, [s.mean((0, *range(3, s.dim()))) for s in spikes])


def run_reference(
    batch: EventBatch,
    coding: Coding,
    layers: Sequence[Layer],
    neurons: Neurons = reference,
    steps: int | None = None,
    integrator: Neurons = membranes,
) -> Trace:
    """Run a batch of clips through layers in plain torch, in the dtype and on the device of their weights.

    ``coding``: step, age and payloads of the events (an encoder's configuration or a network); ``steps``: as many as
    the longest clip has by default; ``neurons`` and ``integrator`` (of the readout): another library's, in place of
    the reference's.
    """
    return propagate(coded(batch, coding, steps, layers[0].weight.dtype), layers, neurons, integrator)


def network_layers(
    network: Network,
    dtype: torch.dtype,
    surrogate: Surrogate | None = None,
    detach_reset: bool = True,
    device: torch.device | str | None = None,
) -> list[Layer]:
    """The layers of a plain network as torch tensors of ``dtype`` on ``device``."""

    def parameter(value: float | np.ndarray) -> float | Tensor:
        return torch.as_tensor(value, dtype=dtype, device=device) if isinstance(value, np.ndarray) else value

    return [
        Layer(
            torch.as_tensor(layer.weight, dtype=dtype, device=device),
            Lif(
                parameter(layer.alpha),
                parameter(layer.beta),
                parameter(layer.threshold),
                surrogate or Surrogate(),
                detach_reset,
                layer.reset,
            ),
            Conv(layer.stride, layer.padding, layer.dilation, layer.groups) if layer.kind == "conv" else None,
            layer.spiking,
        )
        for layer in network.layers
    ]


def run_network(
    network: Network,
    batch: EventBatch,
    neurons: Neurons = reference,
    dtype: torch.dtype = torch.float32,
    steps: int | None = None,
) -> Trace:
    """Run a trained network on a batch of clips, without gradients."""
    with torch.no_grad():
        return run_reference(batch, network, network_layers(network, dtype), neurons, steps)

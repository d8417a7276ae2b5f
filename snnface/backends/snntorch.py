"""snnTorch as a backend: ``Synaptic`` with reset to zero and without its default reset delay.

snnTorch propagates gradients through the reset; ``detach_reset`` of our parameters does not apply here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import snntorch
import torch
from snntorch import surrogate as snn_surrogate
from torch import Tensor

from snnface.errors import InputError
from snnface.forward import run_network
from snnface.neuron import Lif, per_channel


def steps(x: Tensor, neuron: Lif) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Spikes, current and membrane after reset ``[B, C, ...]`` of ``snntorch.Synaptic``, step by step.

    Raises
    ------
    InputError: reset by subtraction: snnTorch subtracts again where the membrane is still above the threshold.
    """
    if neuron.reset != "zero":
        raise InputError("backend snntorch", "has another reset by subtraction", "Use the torch backend")
    cell = snntorch.Synaptic(
        alpha=0.0,
        beta=0.0,
        spike_grad=snn_surrogate.fast_sigmoid(slope=neuron.surrogate.slope),
        reset_mechanism="zero",
        reset_delay=False,
    ).to(x)
    for name in ("alpha", "beta", "threshold"):  # set here: snnTorch makes its parameters float32
        setattr(cell, name, per_channel(getattr(neuron, name), x))
    syn = mem = torch.zeros_like(x[0])
    for t, step in enumerate(x):
        if neuron.cut(t):
            syn, mem = syn.detach(), mem.detach()
        spike, syn, mem = cell(step, syn, mem)
        yield spike.to(x.dtype), syn, mem  # snnTorch's spikes are float32 whatever the membrane is


def neurons(x: Tensor, neuron: Lif) -> Tensor:
    """Spikes ``[T, B, C, ...]`` of :func:`steps`."""
    return torch.stack([spike for spike, _, _ in steps(x, neuron)])


run = functools.partial(run_network, neurons=neurons)

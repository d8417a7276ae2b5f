"""snnTorch as a backend: ``Synaptic`` with reset to zero and without its default reset delay.

snnTorch propagates gradients through the reset; ``detach_reset`` of our parameters does not apply here.
"""

from __future__ import annotations

import functools

import snntorch
import torch
from snntorch import surrogate as snn_surrogate
from torch import Tensor

from snnface.forward import run_network
from snnface.neuron import Lif


def neurons(x: Tensor, neuron: Lif) -> Tensor:
    """Spikes ``[T, B, ...]`` of ``snntorch.Synaptic``, state passed explicitly step by step."""
    cell = snntorch.Synaptic(
        alpha=neuron.alpha,
        beta=neuron.beta,
        threshold=neuron.threshold,
        spike_grad=snn_surrogate.fast_sigmoid(slope=neuron.surrogate.slope),
        reset_mechanism="zero",
        reset_delay=False,
    ).to(x.dtype)
    for name in ("alpha", "beta", "threshold"):  # snnTorch keeps its parameters in float32
        setattr(cell, name, torch.as_tensor(getattr(neuron, name), dtype=x.dtype))
    syn = mem = torch.zeros_like(x[0])
    spikes = []
    for step in x:
        spike, syn, mem = cell(step, syn, mem)
        spikes.append(spike)
    return torch.stack(spikes).to(x.dtype)  # snnTorch's spikes are float32 whatever the membrane is


run = functools.partial(run_network, neurons=neurons)

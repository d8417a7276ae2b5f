"""Norse as a backend: ``lif_feed_forward_step`` in its own units.

Norse integrates dv = dt·τ_mem⁻¹·(i − v): with dt = 1, τ_mem⁻¹ = 1 − β and τ_syn⁻¹ = 1 − α its input is
x/(1 − β), and the current it stores is α·u/(1 − β). Its surrogate is SuperSpike with slope 1 whatever is set,
and it propagates gradients through the reset.
"""

from __future__ import annotations

import functools

import torch
from norse.torch.functional.lif import LIFFeedForwardState, LIFParameters, lif_feed_forward_step
from torch import Tensor

from snnface.errors import InputError
from snnface.forward import run_network
from snnface.neuron import Lif


def neurons(x: Tensor, neuron: Lif) -> Tensor:
    """Spikes ``[T, B, ...]`` of Norse's LIF; raises :class:`InputError` for a membrane without leak (β = 1)."""
    if neuron.beta >= 1:
        raise InputError("backend norse", "cannot express a membrane without leak (beta = 1)", "Use another backend")

    def number(value: float) -> Tensor:
        return torch.as_tensor(value, dtype=x.dtype)

    parameters = LIFParameters(
        tau_syn_inv=number(1 - neuron.alpha),
        tau_mem_inv=number(1 - neuron.beta),
        v_leak=number(0.0),
        v_th=number(neuron.threshold),
        v_reset=number(0.0),
        method="super",
        alpha=number(neuron.surrogate.slope),
    )
    zero = torch.zeros_like(x[0])
    state = LIFFeedForwardState(v=zero, i=zero)
    spikes = []
    for step in x / (1 - neuron.beta):
        spike, state = lif_feed_forward_step(step, state, parameters, dt=1.0)
        spikes.append(spike)
    return torch.stack(spikes)


run = functools.partial(run_network, neurons=neurons)

"""Norse as a backend: ``lif_feed_forward_step`` in its own units.

Norse integrates dv = dt·τ_mem⁻¹·(i − v): with dt = 1, τ_mem⁻¹ = 1 − β and τ_syn⁻¹ = 1 − α its input is
x/(1 − β), and the current it stores is α·u/(1 − β). Its surrogate is SuperSpike with slope 1 whatever is set,
and it propagates gradients through the reset.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from norse.torch.functional.lif import LIFFeedForwardState, LIFParameters, lif_feed_forward_step
from torch import Tensor

from snnface.errors import InputError
from snnface.forward import run_network
from snnface.neuron import Lif, per_channel


def steps(x: Tensor, neuron: Lif) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Spikes, current and membrane after reset ``[B, C, ...]`` of Norse's LIF, step by step, in our units.

    Norse keeps the current decayed: here it is as its membrane got it.
    """
    gain = 1 - per_channel(neuron.beta, x)
    before = torch.zeros_like(x[0])
    for step, (spike, state) in zip(x, _states(x, neuron), strict=True):
        yield spike, before * gain + step, state.v
        before = state.i


def neurons(x: Tensor, neuron: Lif) -> Tensor:
    """Spikes ``[T, B, C, ...]`` of Norse's LIF.

    Raises
    ------
    InputError: reset by subtraction, or a membrane without leak (β = 1).
    """
    return torch.stack([spike for spike, _ in _states(x, neuron)])


def _states(x: Tensor, neuron: Lif) -> Iterator[tuple[Tensor, LIFFeedForwardState]]:
    if neuron.reset != "zero":
        raise InputError("backend norse", "cannot reset by subtraction", "Use the torch backend")
    alpha, beta, threshold = (per_channel(p, x) for p in (neuron.alpha, neuron.beta, neuron.threshold))
    if (beta >= 1).any():
        raise InputError("backend norse", "cannot express a membrane without leak (beta = 1)", "Use another backend")
    parameters = LIFParameters(
        tau_syn_inv=1 - alpha,
        tau_mem_inv=1 - beta,
        v_leak=x.new_zeros(()),
        v_th=threshold,
        v_reset=x.new_zeros(()),
        method="super",
        alpha=x.new_tensor(neuron.surrogate.slope),
    )
    zero = torch.zeros_like(x[0])
    state = LIFFeedForwardState(v=zero, i=zero)
    for t, step in enumerate(x / (1 - beta)):
        if neuron.cut(t):
            state = LIFFeedForwardState(v=state.v.detach(), i=state.i.detach())
        spike, state = lif_feed_forward_step(step, state, parameters, dt=1.0)
        yield spike, state


run = functools.partial(run_network, neurons=neurons)

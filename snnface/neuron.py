"""The one neuron: current-based leaky integrate-and-fire with reset to zero, fused over all time steps.

    u ← α·u + x        synaptic current
    v ← β·v + u        membrane
    s = v > θ          spike
    v ← 0 where s      reset to zero; the current is kept

This is Lava's CUBA, snnTorch's Synaptic (reset "zero", no reset delay) and, after a change of units, Norse's LIF.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from snnface.compiled import compiled
from snnface.surrogate import SURROGATES, Surrogate


@dataclass(frozen=True)
class Lif:
    """Parameters of a layer's neurons: decays of current (alpha) and membrane (beta) per step, threshold,
    surrogate, and whether the reset is left out of the gradient."""

    alpha: float
    beta: float
    threshold: float = 1.0
    surrogate: Surrogate = field(default_factory=Surrogate)
    detach_reset: bool = True


class LifState(NamedTuple):
    """Current u and membrane v after a step, each ``[B, ...]``."""

    u: Tensor
    v: Tensor


def lif(x: Tensor, neuron: Lif, state: LifState | None = None) -> tuple[Tensor, LifState]:
    """Run neurons over all steps.

    ``x``: synaptic input ``[T, B, ...]``. Returns spikes (0/1, same shape and dtype) and the state after the last
    step. Gradients flow to ``x`` from the spikes; the state is a value for streaming and carries none.
    """
    zero = x.new_zeros(x.shape[1:]) if state is None else None
    u, v = (zero, zero) if state is None else state
    spikes, u, v = _Lif.apply(x, u, v, neuron)
    return spikes, LifState(u, v)


class _Lif(torch.autograd.Function):
    """Keeps the membrane before reset; the spikes follow from it.

    Backward, from the last step to the first, with g the gradient of the spikes and σ' the surrogate:
        ḡ    = gradient of v after reset = β·gv of the next step
        gv   = g·σ' + ḡ·(1 − s) [− ḡ·v·σ' where the reset stays in the graph]
        gx   = gu = gv + α·gu of the next step
    On a CPU both loops are compiled (:mod:`snnface.kernels`); elsewhere they run step by step in torch.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, u: Tensor, v: Tensor, neuron: Lif
    ) -> tuple[Tensor, Tensor, Tensor]:
        membrane, spikes, u, v = _run(x, u, v, neuron)
        ctx.save_for_backward(membrane)
        ctx.neuron = neuron
        ctx.mark_non_differentiable(u, v)
        return spikes, u, v

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, *_: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        (membrane,) = ctx.saved_tensors
        neuron: Lif = ctx.neuron
        gx = torch.empty_like(membrane)
        if membrane.device.type == "cpu":
            g = g if g.stride() == membrane.stride() else torch.empty_like(membrane).copy_(g)
            kind = membrane.numpy().dtype.type
            compiled().backward(
                _flat(g),
                _flat(membrane),
                *(kind(n) for n in (neuron.alpha, neuron.beta, neuron.threshold)),
                list(SURROGATES).index(neuron.surrogate.name),
                kind(neuron.surrogate.slope),
                neuron.detach_reset,
                _flat(gx),
            )
        else:
            _backward_steps(g, membrane, neuron, gx)
        return gx, None, None, None


def _dense(x: Tensor) -> Tensor:
    """``x`` itself where every step is one dense block of memory, in whatever order; else a copy."""
    step = x[0]
    strides = sorted(zip(step.stride(), step.shape, strict=True))
    expected = 1
    for stride, size in strides:
        if size != 1 and stride != expected:
            return x.contiguous()
        expected *= size
    return x if x.stride(0) == step.numel() or len(x) == 1 else x.contiguous()


def _flat(x: Tensor) -> Any:
    """A dense tensor ``[T, ...]`` as a numpy array ``[T, N]`` of the same memory, in memory order."""
    neurons = x[0].numel()
    return x.detach().as_strided((len(x), neurons), (neurons, 1)).numpy()


def _run(x: Tensor, u: Tensor, v: Tensor, neuron: Lif) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Membrane before reset and spikes of all steps, then current and membrane after the last."""
    x = _dense(x)
    membrane, spikes = torch.empty_like(x), torch.empty_like(x)
    u, v = (torch.empty_like(x[0]).copy_(s) for s in (u, v))
    if x.device.type == "cpu":
        numbers = (x.detach().numpy().dtype.type(n) for n in (neuron.alpha, neuron.beta, neuron.threshold))
        compiled().forward(_flat(x), *(_flat(s[None])[0] for s in (u, v)), *numbers, _flat(membrane), _flat(spikes))
    else:
        _forward_steps(x, u, v, neuron, membrane, spikes)
    return membrane, spikes, u, v


def _forward_steps(x: Tensor, u: Tensor, v: Tensor, neuron: Lif, membrane: Tensor, spikes: Tensor) -> None:
    for t in range(len(x)):
        u.mul_(neuron.alpha).add_(x[t])
        m = torch.mul(v, neuron.beta, out=membrane[t]).add_(u)
        silent = torch.le(m, neuron.threshold)
        torch.mul(m, silent, out=v)
        torch.logical_not(silent, out=spikes[t])


def _backward_steps(g: Tensor, membrane: Tensor, neuron: Lif, gx: Tensor) -> None:
    gu = torch.zeros_like(membrane[0])
    after = torch.zeros_like(membrane[0])
    for t in range(len(membrane) - 1, -1, -1):
        m = membrane[t]
        slope = neuron.surrogate(m - neuron.threshold)
        through = g[t] if neuron.detach_reset else g[t] - after * m
        gv = torch.mul(after, m <= neuron.threshold).addcmul_(through, slope)
        torch.mul(gu, neuron.alpha, out=gx[t]).add_(gv)
        gu = gx[t]
        after = gv.mul_(neuron.beta)


def integrate(x: Tensor, alpha: float, beta: float, state: LifState | None = None) -> tuple[Tensor, LifState]:
    """The readout: the same dynamics without threshold. Returns the membrane ``[T, B, R]`` of every step.

    Gradients flow to ``x``; the state is a value for streaming and carries none.
    """
    zero = x.new_zeros(x.shape[1:]) if state is None else None
    u, v = (zero, zero) if state is None else state
    membrane, u, v = _Integrate.apply(x, u, v, Lif(alpha, beta, math.inf))
    return membrane, LifState(u, v)


class _Integrate(torch.autograd.Function):
    """A linear filter that does not change with time: its transpose is the same filter, run backwards in time."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, u: Tensor, v: Tensor, neuron: Lif
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.neuron = neuron
        membrane, _, u, v = _run(x, u, v, neuron)
        ctx.mark_non_differentiable(u, v)
        return membrane, u, v

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, *_: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        zero = g.new_zeros(g.shape[1:])
        return _run(g.flip(0), zero, zero, ctx.neuron)[0].flip(0), None, None, None

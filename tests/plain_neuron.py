"""The neuron's equations step by step, differentiated by autograd: what the reference is tested against."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from snnface.neuron import Lif, LifState

#: Written again from their definitions, of slope·d, so that a change of either side shows.
DERIVATIVES = {
    "fast_sigmoid": lambda d: 1 / (1 + d.abs()) ** 2,
    "atan": lambda d: 1 / (1 + (math.pi / 2 * d) ** 2),
    "triangle": lambda d: torch.relu(1 - d.abs()),
}
PRIMITIVES = {
    "fast_sigmoid": lambda d: d / (1 + d.abs()),
    "atan": lambda d: 2 / math.pi * torch.atan(math.pi / 2 * d),
    "triangle": lambda d: torch.where(d.abs() < 1, d - d * d.abs() / 2, d.sign() / 2),
}


class Spike(torch.autograd.Function):
    """A step of d = v − θ with the surrogate as its derivative."""

    @staticmethod
    def forward(ctx, d: Tensor, name: str, slope: float) -> Tensor:
        ctx.save_for_backward(d)
        ctx.surrogate = name, slope
        return (d > 0).to(d.dtype)

    @staticmethod
    def backward(ctx, g: Tensor) -> tuple[Tensor, None, None]:
        (d,), (name, slope) = ctx.saved_tensors, ctx.surrogate
        return g * DERIVATIVES[name](d * slope), None, None


def plain(x: Tensor, neuron: Lif, state: LifState | None = None) -> tuple[Tensor, LifState]:
    """Spikes ``[T, B, C, ...]`` and the last state, as :func:`snnface.neuron.lif`."""
    alpha, beta, threshold = (
        p.view(-1, *[1] * (x.dim() - 3)) if isinstance(p, Tensor) else p
        for p in (neuron.alpha, neuron.beta, neuron.threshold)
    )
    name, slope = neuron.surrogate.name, neuron.surrogate.slope
    u, v = state if state is not None else (torch.zeros_like(x[0]), torch.zeros_like(x[0]))
    spikes = []
    for t, step in enumerate(x):
        if neuron.truncate and t % neuron.truncate == 0:
            u, v = u.detach(), v.detach()
        u = alpha * u + step
        v = beta * v + u
        d = v - threshold
        s = 0.5 + PRIMITIVES[name](slope * d) / slope if neuron.smooth else Spike.apply(d, name, slope)
        reset = s.detach() if neuron.detach_reset else s
        v = v * (1 - reset) if neuron.reset == "zero" else v - threshold * reset
        spikes.append(s)
    return torch.stack(spikes), LifState(u, v)


def currents(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Input that makes about every fifth neuron-step spike."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype) * 0.7

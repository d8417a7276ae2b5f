"""The one neuron: current-based leaky integrate-and-fire, all time steps of a layer in one call.

    u ← α·u + x        synaptic current
    v ← β·v + u        membrane
    s = v > θ          spike
    v ← 0 where s      reset to zero; the current is kept
    v ← v − θ·s        instead, reset by subtraction

With reset to zero this is Lava's CUBA, snnTorch's Synaptic (reset "zero", no reset delay) and, after a change of
units, Norse's LIF. This module is the reference: plain torch, any device, float32 and float64.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from snnface.errors import InputError
from snnface.surrogate import Surrogate


@dataclass(frozen=True)
class Lif:
    """Parameters of a layer's neurons.

    ``alpha``, ``beta``: decay of current and membrane per step; ``threshold``: each one number, or a tensor ``[C]``,
    one for each output channel, which may require gradients. ``detach_reset``: leave the reset out of the gradient.
    ``truncate``: no gradient crosses from a step that is a multiple of it to the step before (the state does), in
    steps counted from the call's first. ``smooth``: the surrogate's primitive takes the spike's place, in the output
    and in the reset: no longer spikes, but a smooth function, whose gradients can be checked.

    Raises
    ------
    InputError: another reset, or a truncation below 1 step.
    """

    alpha: float | Tensor
    beta: float | Tensor
    threshold: float | Tensor = 1.0
    surrogate: Surrogate = field(default_factory=Surrogate)
    detach_reset: bool = True
    reset: Literal["zero", "subtract"] = "zero"
    truncate: int | None = None
    smooth: bool = False

    def __post_init__(self) -> None:
        if self.reset not in ("zero", "subtract"):
            raise InputError("neuron", f"reset {self.reset!r} is unknown", "Use zero or subtract")
        if self.truncate is not None and self.truncate < 1:
            raise InputError("neuron", f"gradients cut every {self.truncate} steps", "Give 1 step or more, or None")

    def cut(self, step: int) -> bool:
        """Whether the gradient stops on its way from this step to the step before."""
        return self.truncate is not None and step % self.truncate == 0


class LifState(NamedTuple):
    """Current u and membrane v after a step, each ``[B, ...]``."""

    u: Tensor
    v: Tensor


def lif(x: Tensor, neuron: Lif, state: LifState | None = None) -> tuple[Tensor, LifState]:
    """Run neurons over all steps.

    ``x``: synaptic input ``[T, B, C, ...]``. Returns spikes (0/1, same shape and dtype) and the state after the last
    step. Gradients flow from the spikes to ``x`` and to the parameters that are tensors; the state is a value for
    streaming and carries none.

    Raises
    ------
    InputError: a parameter is a tensor of another length than the channels.
    """
    u, v = _silent(x) if state is None else state
    spikes, u, v = _Lif.apply(x, u, v, neuron.alpha, neuron.beta, neuron.threshold, neuron)
    return spikes, LifState(u, v)


def integrate(x: Tensor, neuron: Lif, state: LifState | None = None) -> tuple[Tensor, LifState]:
    """The readout: the same dynamics without threshold. Returns the membrane ``[T, B, R]`` of every step.

    Gradients flow to ``x`` and to the decays that are tensors; the state is a value for streaming and carries none.
    """
    u, v = _silent(x) if state is None else state
    alpha, beta = (per_channel(p, x) for p in (neuron.alpha, neuron.beta))
    membranes = []
    for t, step in enumerate(x.unbind()):
        if neuron.cut(t):
            u, v = u.detach(), v.detach()
        u = alpha * u + step
        v = beta * v + u
        membranes.append(v)
    return torch.stack(membranes), LifState(u.detach(), v.detach())


def per_channel(parameter: float | Tensor, x: Tensor) -> Tensor:
    """A parameter in the dtype and on the device of ``x [T, B, C, ...]``, to be used with one step of it."""
    value = torch.as_tensor(parameter, dtype=x.dtype, device=x.device)
    if value.dim() == 0:
        return value
    if value.dim() != 1 or x.dim() < 3 or len(value) != x.shape[2]:
        raise InputError(
            "neuron",
            f"has a parameter of shape {list(value.shape)} on input {list(x.shape)}",
            "Give one number, or one for each channel",
        )
    return value.view(-1, *[1] * (x.dim() - 3))


def _silent(x: Tensor) -> LifState:
    return LifState(torch.zeros_like(x[0]), torch.zeros_like(x[0]))


class _Lif(torch.autograd.Function):
    """All steps in place; what is kept is the membrane before reset (and the current, where alpha learns).

    Backward, from the last step to the first, with g the gradient of the spikes, ā that of the membrane after reset,
    σ' the surrogate and r what the reset takes away (v, or θ by subtraction):

        direct = (g [− ā·r where the reset stays in the graph])·σ'
        gv     = direct + ā·(1 − s)        to zero
                 direct + ā                by subtraction
        gx     = gu = gv + α·gu of the next step
        ā of the step before = β·gv
        ∂α = Σ gu·u of the step before     ∂β = Σ gv·v after the reset of the step before
        ∂θ = −Σ direct [− Σ ā·s by subtraction]
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        x: Tensor,
        u: Tensor,
        v: Tensor,
        alpha: float | Tensor,
        beta: float | Tensor,
        threshold: float | Tensor,
        neuron: Lif,
    ) -> tuple[Tensor, Tensor, Tensor]:
        a, b, theta = (per_channel(p, x) for p in (alpha, beta, threshold))
        start = u, v
        u, v = torch.empty_like(x[0]).copy_(u), torch.empty_like(x[0]).copy_(v)
        spikes = torch.empty_like(x)
        membrane = torch.empty_like(x if any(ctx.needs_input_grad) else x[:1])
        current = torch.empty_like(x) if ctx.needs_input_grad[3] else None
        for t in range(len(x)):
            u.mul_(a).add_(x[t])
            m = torch.mul(v, b, out=membrane[t % len(membrane)]).add_(u)
            if neuron.smooth:
                s = spikes[t].copy_(neuron.surrogate.primitive(m - theta))
            else:
                s = torch.gt(m, theta, out=spikes[t])
            torch.addcmul(m, m if neuron.reset == "zero" else theta, s, value=-1, out=v)
            if current is not None:
                current[t] = u
        ctx.save_for_backward(membrane, spikes, current, a, b, theta, *start)
        ctx.neuron = neuron
        ctx.mark_non_differentiable(u, v)
        return spikes, u, v

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        membrane, spikes, current, alpha, beta, theta, u_start, v_start = ctx.saved_tensors
        neuron: Lif = ctx.neuron
        to_zero = neuron.reset == "zero"
        gx, gu, after = torch.empty_like(membrane), torch.zeros_like(membrane[0]), torch.zeros_like(membrane[0])
        learned = [torch.zeros_like(after) if needed else None for needed in ctx.needs_input_grad[3:6]]
        g_alpha, g_beta, g_theta = learned
        for t in range(len(membrane) - 1, -1, -1):
            m, s = membrane[t], spikes[t]
            taken = m if to_zero else theta
            direct = neuron.surrogate(m - theta)
            direct.mul_(g[t] if neuron.detach_reset else torch.addcmul(g[t], after, taken, value=-1))
            gv = direct + (torch.addcmul(after, after, s, value=-1) if to_zero else after)
            torch.mul(gu, alpha, out=gx[t]).add_(gv)
            if g_alpha is not None:
                g_alpha.addcmul_(gx[t], current[t - 1] if t else u_start)
            if g_beta is not None:
                g_beta.addcmul_(gv, _after_reset(membrane[t - 1], spikes[t - 1], theta, to_zero) if t else v_start)
            if g_theta is not None:
                g_theta.sub_(direct)
                if not to_zero:
                    g_theta.addcmul_(after, s, value=-1)
            gu, after = gx[t], gv.mul_(beta)
            if neuron.cut(t):
                gu, after = torch.zeros_like(gu), after.zero_()
        return gx, None, None, *(None if p is None else _channel_sum(p) for p in learned), None


def _after_reset(membrane: Tensor, spikes: Tensor, theta: Tensor, to_zero: bool) -> Tensor:
    return torch.addcmul(membrane, membrane if to_zero else theta, spikes, value=-1)


def _channel_sum(values: Tensor) -> Tensor:
    """``[B, C, ...]`` → ``[C]``."""
    return values.transpose(0, 1).flatten(1).sum(1)

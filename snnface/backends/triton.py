"""A CUDA device as a backend: all steps of a layer's neurons in one Triton kernel, forward and back.

Synapses are torch's convolutions with time folded into the batch (:mod:`snnface.synapse`), in the precision that
torch is set to: on a CUDA device TF32, unless ``torch.backends.cudnn.allow_tf32 = False``. A program takes a block of
neurons through the steps with currents and membranes in registers; the way back reads the membranes that the way
there has written. No fused multiply-adds: given the same input, spikes are those of the reference to the bit.

Checked against the reference on an H100, where they move 2.7 to 3.0 TB/s, and by Triton's interpreter on a CPU;
larger blocks and other numbers of warps were not faster.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from snnface.batch import EventBatch
from snnface.errors import InputError
from snnface.forward import Layer, Trace, network_layers, run_reference
from snnface.input import Coding
from snnface.network import Network
from snnface.neuron import Lif, per_channel

_SURROGATES = ("fast_sigmoid", "atan", "triangle")
#: Neurons of a program.
_BLOCK = 256
_HALF_PI = tl.constexpr(math.pi / 2)


def run(batch: EventBatch, coding: Coding, layers: Sequence[Layer], steps: int | None = None) -> Trace:
    """Run a batch through layers on the device of their weights, as :func:`snnface.forward.run_reference`.

    The batch may stay on the CPU: its events are moved, and become input spikes on the device.

    Raises
    ------
    InputError: the layers are not in float32 on a CUDA device, or have a neuron that the kernels do not know.
    """
    return run_reference(batch.to(layers[0].weight.device), coding, layers, neurons, steps, membranes)


def run_network(network: Network, batch: EventBatch, steps: int | None = None) -> Trace:
    """Run a trained network on a batch of clips on the current CUDA device, without gradients.

    Raises
    ------
    InputError: there is no CUDA device.
    """
    if device() == "cuda" and not torch.cuda.is_available():
        raise InputError("backend triton", "torch finds no CUDA device", "Use the backend native or torch")
    with torch.no_grad():
        return run(batch, network, network_layers(network, torch.float32, device=device()), steps)


def neurons(x: Tensor, neuron: Lif) -> Tensor:
    """Spikes of :func:`snnface.neuron.lif`: ``x`` float32 ``[T, B, C, ...]`` → 0/1, the same shape.

    Gradients flow to ``x`` and to the parameters that are tensors. Raises InputError as :func:`run`.
    """
    _check(x, neuron)
    return _Scan.apply(x, neuron.alpha, neuron.beta, neuron.threshold, neuron)


def membranes(x: Tensor, neuron: Lif) -> Tensor:
    """Membranes of :func:`snnface.neuron.integrate`: ``x`` float32 ``[T, B, C, ...]`` → the same shape.

    Gradients flow to ``x`` and to the decays that are tensors. Raises InputError as :func:`run`.
    """
    _check(x, neuron)
    return _Scan.apply(x, neuron.alpha, neuron.beta, None, neuron)


def unsupported(layers: Sequence[Layer]) -> str:
    """Why the kernels cannot run these layers; empty where they can."""
    return next(filter(None, (_reason(layer.weight, layer.neuron) for layer in layers)), "")


def device() -> str:
    """Type of the device that the kernels run on: ``cuda``, or ``cpu`` where Triton interprets them."""
    return "cuda" if isinstance(_forward, triton.JITFunction) else "cpu"


def _reason(tensor: Tensor, neuron: Lif) -> str:
    if tensor.device.type != device() or tensor.dtype != torch.float32:
        return f"it computes in float32 on {device()}, not in {tensor.dtype} on {tensor.device}"
    if neuron.smooth:
        return "it computes spikes, not their smooth primitive"
    if neuron.surrogate.name not in _SURROGATES:
        return f"it does not know the surrogate {neuron.surrogate.name}"
    return ""


def _check(x: Tensor, neuron: Lif) -> None:
    reason = _reason(x, neuron)
    if reason:
        raise InputError("backend triton", reason, "Move the network there, or use the backend torch")


class _Scan(torch.autograd.Function):
    """One layer's neurons over all steps; without a threshold the readout, whose membrane comes out.

    The equations back are the reference's. The current is not kept: it is the membrane before the reset, less what
    has remained of the step before.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        x: Tensor,
        alpha: float | Tensor,
        beta: float | Tensor,
        threshold: float | Tensor | None,
        neuron: Lif,
    ) -> Tensor:
        x = _in_memory_order(x)
        parameters = [None if p is None else _channels(p, x) for p in (alpha, beta, threshold)]
        out = torch.empty_like(x)
        spikes, membrane = (None, out) if threshold is None else (out, None)
        if membrane is None and any(ctx.needs_input_grad):
            membrane = torch.empty_like(x)
        with torch.cuda.device_of(x):
            _forward[_grid(x)](
                x, spikes, membrane, *parameters, *_shape(x), neuron.reset == "zero", _BLOCK, enable_fp_fusion=False
            )  # fmt: skip
        ctx.save_for_backward(membrane, *parameters)
        ctx.neuron = neuron
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        membrane, *parameters = ctx.saved_tensors
        neuron: Lif = ctx.neuron
        if g.stride() != membrane.stride():
            g = torch.empty_like(membrane).copy_(g)
        gx = torch.empty_like(membrane)
        learned = [torch.empty_like(membrane[0]) if needed else None for needed in ctx.needs_input_grad[1:4]]
        with torch.cuda.device_of(g):
            _backward[_grid(g)](
                membrane, g, gx, *learned, *parameters, *_shape(g), (len(g) - 1) * g[0].numel(),
                neuron.truncate or len(g), neuron.surrogate.slope, neuron.surrogate.name, neuron.reset == "zero",
                neuron.detach_reset, _BLOCK, enable_fp_fusion=False,
            )  # fmt: skip
        return gx, *(None if p is None else p.sum((0, *range(2, p.dim()))) for p in learned), None


def _in_memory_order(x: Tensor) -> Tensor:
    """``x`` with step after step in memory and no gaps within one; channels may lie anywhere in it."""
    dense = torch.empty_like(x).stride() == x.stride()
    return x if dense and x.stride(0) == x[0].numel() else x.contiguous()


def _channels(parameter: float | Tensor, x: Tensor) -> Tensor:
    """One number for each channel, ``[C]``; a plain one is written there, since a copy would wait for the device."""
    if not isinstance(parameter, Tensor):
        return x.new_full((x.shape[2],), parameter)
    return per_channel(parameter, x).flatten().expand(x.shape[2]).contiguous()


def _grid(x: Tensor) -> tuple[int]:
    return (triton.cdiv(x[0].numel(), _BLOCK),)


def _shape(x: Tensor) -> tuple[int, int, int, int]:
    """Steps, neurons, channels, and how far apart in memory the channels are."""
    return len(x), x[0].numel(), x.shape[2], x.stride(2)


@triton.jit
def _after_reset(m, theta, to_zero: tl.constexpr):
    """Membranes after a step, from those before the reset; ``theta`` None: there is none."""
    if theta is None:
        return m
    else:  # not after an if: the compiler would go on past the return
        return tl.where(m > theta, 0.0 if to_zero else m - theta, m)


@triton.jit
def _surrogate(d, slope, name: tl.constexpr):
    """:mod:`snnface.surrogate`, of d = v − θ."""
    if name == "fast_sigmoid":
        r = 1.0 + slope * tl.abs(d)
        return 1.0 / (r * r)
    elif name == "atan":
        r = d * (slope * _HALF_PI)
        return 1.0 / (1.0 + r * r)
    else:
        return tl.maximum(1.0 - slope * tl.abs(d), 0.0)


@triton.jit
def _forward(
    x, spikes, membrane, alpha, beta, threshold, steps, size, channels, apart,
    to_zero: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """``spikes``, or ``membrane`` before the reset, or both, of ``x`` ``[steps, size]``; None: not wanted.

    ``alpha``, ``beta``, ``threshold``: one a channel; ``channels`` of them, ``apart`` neurons from each other.
    """
    # 64 bits: steps times neurons may be more than 2³¹.
    at = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = at < size
    channel = at // apart % channels
    a, b = tl.load(alpha + channel), tl.load(beta + channel)
    theta = None
    if threshold is not None:
        theta = tl.load(threshold + channel)
    u = tl.zeros([block], tl.float32)
    v = tl.zeros([block], tl.float32)
    for _ in range(steps):
        u = a * u + tl.load(x + at, mask=inside)
        m = b * v + u
        if spikes is not None:
            tl.store(spikes + at, (m > theta).to(tl.float32), mask=inside)
        if membrane is not None:
            tl.store(membrane + at, m, mask=inside)
        v = _after_reset(m, theta, to_zero)
        at += size


@triton.jit
def _backward(
    membrane, g, gx, g_alpha, g_beta, g_threshold, alpha, beta, threshold, steps, size, channels, apart, last,
    truncate, slope, surrogate: tl.constexpr, to_zero: tl.constexpr, detach_reset: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """``gx`` ``[steps, size]`` and each neuron's part of what is learned ``[size]`` (None: not learned), of ``g``.

    ``last``: where the last step begins. The names are those of the equations in :mod:`snnface.neuron`.
    """
    neuron = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = neuron < size
    channel = neuron // apart % channels
    a, b = tl.load(alpha + channel), tl.load(beta + channel)
    theta = None
    if threshold is not None:
        theta = tl.load(threshold + channel)
    at = neuron + last
    gu = tl.zeros([block], tl.float32)
    after = tl.zeros([block], tl.float32)
    later = tl.zeros([block], tl.float32)  # gx of the step after, truncated or not
    sum_alpha = tl.zeros([block], tl.float32)
    sum_beta = tl.zeros([block], tl.float32)
    sum_threshold = tl.zeros([block], tl.float32)
    m = tl.load(membrane + at, mask=inside)
    for i in range(steps):
        t = steps - 1 - i
        g_out = tl.load(g + at, mask=inside)
        has_before = inside & (at >= size)
        before = tl.load(membrane + at - size, mask=has_before, other=0.0)
        v = tl.where(has_before, _after_reset(before, theta, to_zero), 0.0)
        if threshold is None:
            gv = g_out + after
        else:
            spiked = m > theta
            if not detach_reset:
                g_out -= after * (m if to_zero else theta)
            direct = g_out * _surrogate(m - theta, slope, surrogate)
            gv = direct + (tl.where(spiked, 0.0, after) if to_zero else after)
            sum_threshold -= direct
            if not to_zero:
                sum_threshold -= tl.where(spiked, after, 0.0)
        sum_alpha += later * (m - b * v)
        sum_beta += gv * v
        later = gu * a + gv
        tl.store(gx + at, later, mask=inside)
        # No gradient passes from a step that is a multiple of truncate to the one before.
        passes = t % truncate != 0
        gu = tl.where(passes, later, 0.0)
        after = tl.where(passes, b * gv, 0.0)
        m = before
        at -= size
    if g_alpha is not None:
        tl.store(g_alpha + neuron, sum_alpha, mask=inside)
    if g_beta is not None:
        tl.store(g_beta + neuron, sum_beta, mask=inside)
    if g_threshold is not None:
        tl.store(g_threshold + neuron, sum_threshold, mask=inside)

"""Synapses: what a layer's neurons receive, from spikes or straight from the event stream."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from snnface.compiled import compiled
from snnface.input import InputSpikes
from snnface.network import conv_shape

#: Partial sums of the first layer's gradient: as many as may be computed at once.
_PARTS = 8


@dataclass(frozen=True)
class Conv:
    """Geometry of a convolution, pairs (y, x)."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


def from_spikes(spikes: Tensor, weight: Tensor, conv: Conv | None) -> Tensor:
    """Spikes ``[T, B, C, H, W]`` or ``[T, B, N]`` through weights (OIHW with ``conv``, else OI) → ``[T, B, ...]``.

    Time is folded into the batch: one call for all steps. Images are kept channels-last in memory.
    """
    steps, clips = spikes.shape[:2]
    if conv is None:
        return F.linear(spikes.flatten(2), weight)
    x = spikes.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    out = F.conv2d(x, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    return out.unflatten(0, (steps, clips))


def from_events(spikes: InputSpikes, weight: Tensor, conv: Conv | None) -> Tensor:
    """Input events through the first layer's weights → ``[T, B, ...]``; work only where events are.

    Every active cell adds its weight patch to the outputs that see it. Same result as the dense convolution, which
    stands in where the weights are not on a CPU or the convolution has groups.
    """
    if weight.device.type != "cpu" or (conv and conv.groups > 1):
        return from_spikes(spikes.dense(), weight, conv)
    if conv is None:
        whole = weight.unflatten(1, spikes.shape[2:])
        return _Events.apply(whole, spikes, Conv()).flatten(2)
    return _Events.apply(weight, spikes, conv)


class _Events(torch.autograd.Function):
    """The first layer's convolution as a sum over active cells, compiled (:mod:`snnface.kernels`)."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, spikes: InputSpikes, conv: Conv) -> Tensor:  # type: ignore[override]
        ctx.spikes, ctx.conv, ctx.shape = spikes, conv, weight.shape
        steps, clips = spikes.shape[:2]
        channels, height, width = conv_shape(
            spikes.shape[2:], tuple(weight.shape), conv.stride, conv.padding, conv.dilation
        )
        out = weight.new_zeros(steps * clips, height, width, channels)
        rows = weight.detach().permute(1, 2, 3, 0).contiguous()
        compiled().events_forward(*_cells(spikes, out), rows.numpy(), *_geometry(conv), out.numpy())
        return out.unflatten(0, (steps, clips)).permute(0, 1, 4, 2, 3)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        outputs, channels, kernel_y, kernel_x = ctx.shape
        g = g.flatten(0, 1).permute(0, 2, 3, 1).contiguous()
        parts = g.new_zeros(_PARTS, channels, kernel_y, kernel_x, outputs)
        compiled().events_backward(*_cells(ctx.spikes, g), g.numpy(), *_geometry(ctx.conv), parts.numpy())
        return parts.sum(0).permute(3, 0, 1, 2), None, None


def _cells(spikes: InputSpikes, like: Tensor) -> tuple[Any, Any, Any, tuple[int, int]]:
    """The cells of every frame: positions within their frame, values, first cell of each frame, (H, W)."""
    size = math.prod(spikes.shape[2:])
    first = torch.searchsorted(spikes.index, torch.arange(len(like) + 1) * size)
    place = (spikes.index % size).to(torch.int32)
    return place.numpy(), spikes.value.to(like.dtype).numpy(), first.numpy(), (spikes.shape[3], spikes.shape[4])


def _geometry(conv: Conv) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    return conv.stride, conv.padding, conv.dilation

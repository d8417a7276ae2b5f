"""Synapses: what a layer's neurons receive, from spikes or straight from the event stream."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from snnface.input import InputSpikes


@dataclass(frozen=True)
class Conv:
    """Geometry of a convolution, pairs (y, x)."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


def from_spikes(spikes: Tensor, weight: Tensor, conv: Conv | None) -> Tensor:
    """Spikes ``[T, B, C, H, W]`` or ``[T, B, N]`` through weights (OIHW with ``conv``, else OI) → ``[T, B, ...]``.

    Time is folded into the batch: one call for all steps. Images lie in memory as convolutions are fastest.
    """
    steps, clips = spikes.shape[:2]
    if conv is None:
        return F.linear(spikes.flatten(2), weight)
    x = spikes.flatten(0, 1).contiguous(memory_format=_layout(weight))
    out = F.conv2d(x, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    return out.unflatten(0, (steps, clips))


def _layout(weight: Tensor) -> torch.memory_format:
    """Channels last, except where cuDNN convolves in all digits of float32: then channel by channel."""
    cudnn = torch.backends.cudnn
    tf32 = cudnn.conv.fp32_precision == "tf32" if hasattr(cudnn, "conv") else cudnn.allow_tf32
    return torch.contiguous_format if weight.is_cuda and not tf32 else torch.channels_last


def from_events(spikes: InputSpikes, weight: Tensor, conv: Conv | None) -> Tensor:
    """Input events through the first layer's weights → ``[T, B, ...]``.

    The reference lays the events out as a dense input; an engine adds up weights where events are.
    """
    return from_spikes(spikes.to(weight).dense(), weight, conv)

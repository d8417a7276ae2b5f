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

    Time is folded into the batch: one call for all steps. Images are kept channels-last in memory.
    """
    steps, clips = spikes.shape[:2]
    if conv is None:
        return F.linear(spikes.flatten(2), weight)
    x = spikes.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    out = F.conv2d(x, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    return out.unflatten(0, (steps, clips))


def from_events(spikes: InputSpikes, weight: Tensor, conv: Conv | None) -> Tensor:
    """Input events through the first layer's weights → ``[T, B, ...]``.

    The reference lays the events out as a dense input; an engine adds up weights where events are.
    """
    return from_spikes(spikes.to(weight).dense(), weight, conv)

"""Synapses: what a layer's neurons receive, from spikes or straight from the event stream."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from snnface.input import InputSpikes
from snnface.network import conv_shape


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

    Same result as :func:`from_spikes` of the dense input, which stands in where the convolution has groups. The input
    is a sparse matrix, here of one row for each output that reads events.
    """
    steps, clips, *shape = spikes.shape
    frames = steps * clips
    if conv is None:
        frame, cell = _divided(spikes.index, math.prod(shape))
        entries = _sparse(frame, cell, spikes.value, (frames, math.prod(shape)), weight)
        return torch.sparse.mm(entries, weight.t()).unflatten(0, (steps, clips))
    if conv.groups > 1:
        return from_spikes(spikes.dense().to(weight), weight, conv)
    channels, height, width = conv_shape(tuple(shape), tuple(weight.shape), conv.stride, conv.padding, conv.dilation)
    taps = weight.permute(2, 3, 1, 0).flatten(0, 2)
    row, tap, value = _patches(spikes, weight.shape[2:], (height, width), conv)
    out = torch.sparse.mm(_sparse(row, tap, value, (frames * height * width, len(taps)), weight), taps)
    return out.view(steps, clips, height, width, channels).permute(0, 1, 4, 2, 3)


def _patches(
    spikes: InputSpikes, kernel: Sequence[int], size: tuple[int, int], conv: Conv
) -> tuple[Tensor, Tensor, Tensor]:
    """What the outputs of a convolution read: output (frame, y, x), tap (y, x, channel) and value of every entry."""
    rest, x = _divided(spikes.index, spikes.shape[4])
    rest, y = _divided(rest, spikes.shape[3])
    frame, channel = _divided(rest, spikes.shape[2])
    entries = []
    for i in range(kernel[0]):
        row, seen_y = _reader(y, i, 0, size, conv)
        for j in range(kernel[1]):
            column, seen_x = _reader(x, j, 1, size, conv)
            seen = seen_y & seen_x
            output = (frame * size[0] + row) * size[1] + column
            tap = (i * kernel[1] + j) * spikes.shape[2] + channel
            entries.append((output[seen], tap[seen], spikes.value[seen]))
    output, tap, value = (torch.cat(parts) for parts in zip(*entries, strict=True))
    return output, tap, value


def _reader(position: Tensor, tap: int, axis: int, size: tuple[int, int], conv: Conv) -> tuple[Tensor, Tensor]:
    """Along one axis, the output that reads a position through a tap of the kernel, and whether there is one."""
    output, off = _divided(position + conv.padding[axis] - tap * conv.dilation[axis], conv.stride[axis])
    return output, (off == 0) & (output >= 0) & (output < size[axis])


def _divided(index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Quotient (rounded down) and remainder."""
    quotient = index.div(size, rounding_mode="floor")
    return quotient, index - quotient * size


def _sparse(row: Tensor, column: Tensor, value: Tensor, shape: tuple[int, int], like: Tensor) -> Tensor:
    """A sparse matrix in the dtype and on the device of another tensor; there is one entry at most for each place."""
    index = torch.stack([row, column]).to(like.device)
    return torch.sparse_coo_tensor(index, value.to(like), shape, check_invariants=False)

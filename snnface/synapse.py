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
    """Input events through the first layer's weights → ``[T, B, ...]``; work only where events are.

    Every active cell adds its weight patch to the outputs that see it: a weighted sum of rows of the weight
    matrix for each output, which is what ``embedding_bag`` computes. Same result as the dense convolution.
    """
    steps, clips, _, height, width = spikes.shape
    if conv is None:
        row, column = _dense_pairs(spikes)
        sums = _weighted_rows(row, column, spikes.value, weight.t(), steps * clips)
        return sums.view(steps, clips, -1)
    if conv.groups != 1:
        raise ValueError("the first layer takes groups=1")
    out_h, out_w = (
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(
            (height, width), conv.padding, conv.dilation, weight.shape[2:], conv.stride, strict=True
        )
    )
    row, column, cell = _patch_pairs(spikes, weight.shape, conv, out_h, out_w)
    rows = weight.permute(1, 2, 3, 0).reshape(-1, weight.shape[0])
    sums = _weighted_rows(row, column, spikes.value[cell], rows, steps * clips * out_h * out_w)
    return sums.view(steps, clips, out_h, out_w, -1).permute(0, 1, 4, 2, 3)


def _dense_pairs(spikes: InputSpikes) -> tuple[Tensor, Tensor]:
    pixels = spikes.shape[2] * spikes.shape[3] * spikes.shape[4]
    return spikes.index // pixels, spikes.index % pixels


def _patch_pairs(
    spikes: InputSpikes, shape: torch.Size, conv: Conv, out_h: int, out_w: int
) -> tuple[Tensor, Tensor, Tensor]:
    """For every (active cell, weight position) that meets an output: output row, weight row, cell number."""
    _, _, channels, height, width = spikes.shape
    kernel_h, kernel_w = shape[2:]
    x = spikes.index % width
    y = spikes.index // width % height
    channel = spikes.index // (width * height) % channels
    frame = spikes.index // (width * height * channels)
    ky, kx = torch.arange(kernel_h), torch.arange(kernel_w)
    oy = y[:, None] + conv.padding[0] - ky * conv.dilation[0]
    ox = x[:, None] + conv.padding[1] - kx * conv.dilation[1]
    seen_y = (oy % conv.stride[0] == 0) & (oy >= 0) & (oy < out_h * conv.stride[0])
    seen_x = (ox % conv.stride[1] == 0) & (ox >= 0) & (ox < out_w * conv.stride[1])
    cell, iy, ix = (seen_y[:, :, None] & seen_x[:, None, :]).nonzero(as_tuple=True)
    row = (frame[cell] * out_h + oy[cell, iy] // conv.stride[0]) * out_w + ox[cell, ix] // conv.stride[1]
    column = (channel[cell] * kernel_h + iy) * kernel_w + ix
    return row, column, cell


def _weighted_rows(row: Tensor, column: Tensor, value: Tensor, table: Tensor, rows: int) -> Tensor:
    """out[r] = Σ over pairs with row = r of value · table[column]: ``[rows, O]``."""
    row, order = torch.sort(row, stable=True)
    offsets = torch.searchsorted(row, torch.arange(rows))
    return F.embedding_bag(column[order], table, offsets, mode="sum", per_sample_weights=value[order].to(table.dtype))

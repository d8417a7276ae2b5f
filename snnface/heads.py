"""From readout membranes to answers: rows of the readout, their units, and how a clip is summed up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

#: The heads in the order of the readout's rows.
HEAD_ORDER = ("au", "expression", "landmarks", "coefficients")


def decode(readout: Tensor, heads: Mapping[str, Any]) -> dict[str, Tensor]:
    """Answers of every step: ``[T, B, R]`` membranes → name: ``[T, B, size]`` = membrane · scale + offset.

    ``heads``: name → object with start, stop, scale, offset (:class:`snnface.network.Head`).
    """
    return {
        name: readout[..., h.start : h.stop] * torch.as_tensor(h.scale, dtype=readout.dtype, device=readout.device)
        + torch.as_tensor(h.offset, dtype=readout.dtype, device=readout.device)
        for name, h in heads.items()
    }


def clip_logits(logits: Tensor, steps: Tensor) -> Tensor:
    """Logits of a clip ``[B, K]``: the mean over its own steps of ``[T, B, K]``; ``steps``: int64 ``[B]``."""
    step = torch.arange(len(logits), device=logits.device)
    inside = (step[:, None] < steps.to(logits.device)[None]).to(logits.dtype)
    return (logits * inside[..., None]).sum(0) / inside.sum(0)[:, None]


def at_times(values: Tensor, clip: Tensor, t_us: Tensor, step_us: int) -> Tensor:
    """Answers at given times: ``values [T, B, K]``, ``clip`` and ``t_us`` int64 ``[F]`` → ``[F, K]``.

    A time reads the last step that has ended by then (the first step for earlier times): no look into the future.
    """
    step = (t_us // step_us - 1).clamp(0, len(values) - 1)
    return values[step, clip]

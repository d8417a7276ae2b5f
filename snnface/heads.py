"""From readout membranes to answers: rows of the readout, their units, and how a clip is summed up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

#: The heads in the order of the readout's rows.
HEAD_ORDER = ("au", "expression", "landmarks", "coefficients")


def decode(readout: Tensor, heads: Mapping[str, Any]) -> dict[str, Tensor]:
    """Answers of every step: ``[T, B, R]`` membranes → name: ``[T, B, size]`` = membrane / settled · scale + offset.

    ``heads``: name → object with start, stop, scale, offset, settling (:class:`snnface.network.Head`).
    """
    answers = {}
    for name, head in heads.items():
        membrane = readout[..., head.start : head.stop]
        if head.settling is not None:
            steps = torch.arange(1, len(readout) + 1, device=readout.device)[:, None]
            membrane = membrane / settled(head.settling, steps).to(readout)[:, None]
        answers[name] = membrane * torch.as_tensor(head.scale).to(readout) + torch.as_tensor(head.offset).to(readout)
    return answers


def settled(settling: Any, steps: Tensor) -> Tensor:
    """What membranes are divided by after so many ``steps`` (integers ``[T, 1]``): float64 ``[T, size]``,
    differentiable.

    After n steps of a constant input, u ← α·u + x, v ← β·v + u have brought v from 0 to the part
    r = 1 − βⁿ − (1 − β)·α·(αⁿ − βⁿ)/(α − β) of where it ends: the correction of a running mean's start (Kingma & Ba
    2015, Adam), for two decays. A ``settling`` (:class:`snnface.network.Settling`) adds its prior, so that the first
    events do not count as much as many.
    """
    alpha, beta = (torch.as_tensor(d).to(steps.device, torch.float64) for d in (settling.alpha, settling.beta))
    apart = (alpha - beta).abs() > 1e-6
    difference = torch.where(apart, alpha - beta, 1.0)
    slope = torch.where(apart, (alpha**steps - beta**steps) / difference, steps * beta ** (steps - 1))
    reached = 1 - beta**steps - (1 - beta) * alpha * slope
    return settling.prior + (1 - settling.prior) * reached


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

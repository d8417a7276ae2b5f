"""Event-exact input: every event enters with its own age.

The current of the first synapse at step time t_k is Σ w(x_i − …)·exp(−(t_k − t_i)/τ_syn). Written as the
chip's recurrence u ← α·u + x with α = exp(−step/τ_syn), the part of a step is
x_k = Σ over t₍ₖ₋₁₎ < t_i ≤ t_k of exp(−(t_k − t_i)/τ_syn): exact for every step length. Events of one pixel in
one step add up to one entry; nothing is stored for the pixels and steps without events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from snnface.batch import EventBatch


@dataclass(frozen=True)
class InputSpikes:
    """The N active (step, clip, polarity, pixel) cells of a batch, sorted by that order.

    ``index``: int64 ``[N]`` = (((step·B + clip)·2 + polarity)·H + y)·W + x; ``value``: float ``[N]``, the summed
    age weight (mode exact), payload/p₁ (graded) or 1 (unary). ``shape``: (T, B, 2, H, W).
    """

    index: Tensor
    value: Tensor
    shape: tuple[int, int, int, int, int]

    def to(self, other: Tensor) -> InputSpikes:
        """The same on the device of another tensor, values in its dtype."""
        return InputSpikes(self.index.to(other.device), self.value.to(other), self.shape)

    def dense(self) -> Tensor:
        """The same as a dense float tensor ``[T, B, 2, H, W]`` (for checks and for chips' test input)."""
        flat = torch.zeros(self.shape, dtype=self.value.dtype, device=self.value.device).view(-1)
        return flat.index_add_(0, self.index, self.value).view(self.shape)


class Coding(Protocol):
    """How a network takes events: what :func:`input_spikes` needs to know of it."""

    @property
    def step_us(self) -> int: ...
    @property
    def tau_syn_us(self) -> float: ...
    @property
    def input_mode(self) -> str: ...
    @property
    def payload_one(self) -> int: ...
    @property
    def payload_max(self) -> int: ...


def coded(
    batch: EventBatch, coding: Coding, steps: int | None = None, dtype: torch.dtype = torch.float32
) -> InputSpikes:
    """The input spikes of a batch as a network (or an encoder's configuration) takes them."""
    c = coding
    return input_spikes(batch, c.step_us, c.tau_syn_us, c.input_mode, c.payload_one, c.payload_max, steps, dtype)


def input_spikes(
    batch: EventBatch,
    step_us: int,
    tau_syn_us: float,
    mode: str = "exact",
    payload_one: int = 8,
    payload_max: int = 31,
    steps: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> InputSpikes:
    """Bin events into steps with their age weights.

    Step k (from 0) takes k·step < t ≤ (k+1)·step, in µs; an event at t = 0 belongs to step 0, events after the
    last of ``steps`` (default: as many as the longest clip has) are left out.
    """
    steps = int(batch.steps(step_us).max()) if steps is None else steps
    k = ((batch.t + step_us - 1) // step_us - 1).clamp(min=0)
    shape = (steps, batch.size, 2, batch.height, batch.width)
    index = (((k * shape[1] + batch.sample) * 2 + batch.p) * shape[3] + batch.y) * shape[4] + batch.x
    age = ((k + 1) * step_us - batch.t).to(torch.float64)
    inside = (k < steps).nonzero()[:, 0]
    index, age = index[inside], age[inside]
    index, inverse = torch.unique(index, return_inverse=True)
    value = torch.zeros(len(index), dtype=torch.float64, device=age.device)
    value.index_add_(0, inverse, torch.exp(-age / tau_syn_us))
    if mode == "graded":
        value = torch.round(value * payload_one).clamp(max=payload_max) / payload_one
    elif mode == "unary":
        value = torch.ones_like(value)
    return InputSpikes(index, value.to(dtype), shape)

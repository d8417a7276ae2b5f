"""A ragged batch of event clips: concatenated events and offsets, nothing accumulated, nothing padded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class EventBatch:
    """B clips, their E events concatenated; clip b owns events ``offsets[b]:offsets[b + 1]``.

    ``t``: int64 ``[E]``, µs from the clip's start, sorted within a clip; ``x``, ``y``: int64 ``[E]`` pixels;
    ``p``: int64 ``[E]`` polarity 0/1; ``offsets``: int64 ``[B + 1]``; ``duration_us``: int64 ``[B]``.
    """

    t: Tensor
    x: Tensor
    y: Tensor
    p: Tensor
    offsets: Tensor
    duration_us: Tensor
    width: int
    height: int

    @property
    def size(self) -> int:
        """Number of clips B."""
        return len(self.offsets) - 1

    @property
    def sample(self) -> Tensor:
        """int64 ``[E]``: the clip that each event belongs to."""
        clips = torch.arange(self.size, device=self.t.device)
        return torch.repeat_interleave(clips, self.offsets.diff(), output_size=len(self.t))

    def to(self, device: torch.device | str) -> EventBatch:
        """The same on a device."""
        columns = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **columns)  # type: ignore[arg-type]

    def steps(self, step_us: int) -> Tensor:
        """int64 ``[B]``: number of whole or begun steps of each clip."""
        return (self.duration_us + step_us - 1) // step_us

    def with_events(self, keep: Tensor | None = None, **columns: Tensor) -> EventBatch:
        """A copy with other columns, and with only the events where ``keep`` (bool ``[E]``) is true."""
        values: dict[str, Any] = dict(columns)
        changed = replace(self, **values)
        if keep is None:
            return changed
        chosen = keep.nonzero()[:, 0]
        return replace(
            changed,
            offsets=torch.searchsorted(chosen, self.offsets),
            **{name: getattr(changed, name).index_select(0, chosen) for name in ("t", "x", "y", "p")},
        )


def collate_events(clips: Sequence[np.ndarray], duration_us: Sequence[int], width: int, height: int) -> EventBatch:
    """Join structured event arrays (fields t in µs from the clip's start, x, y, p) into one batch."""

    def column(name: str) -> Tensor:
        parts = [np.asarray(c[name], np.int64) for c in clips]
        return torch.from_numpy(np.concatenate(parts)) if parts else torch.zeros(0, dtype=torch.int64)

    counts = np.array([0, *(len(c) for c in clips)], np.int64)
    return EventBatch(
        t=column("t"),
        x=column("x"),
        y=column("y"),
        p=column("p"),
        offsets=torch.from_numpy(counts.cumsum()),
        duration_us=torch.as_tensor(list(duration_us), dtype=torch.int64),
        width=width,
        height=height,
    )

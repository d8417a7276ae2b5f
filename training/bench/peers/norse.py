"""Norse. v ← v + k·(x − v) with k = 1 − β: weights are divided by k. Its surrogate is SuperSpike, a fast sigmoid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from norse.torch import LIFBoxCell
from norse.torch.functional.lif_box import LIFBoxParameters
from torch import Tensor

from snnface.training.bench.peers.network import Network
from snnface.training.bench.workload import BETA, THRESHOLD


def _subtract(z: Tensor, v: Tensor, reset: Tensor, threshold: Tensor) -> Tensor:
    return v - z.detach() * threshold


def _zero(z: Tensor, v: Tensor, reset: Tensor, threshold: Tensor) -> Tensor:
    return v * (1 - z.detach())


class Norse(Network):
    """``norse.torch.LIFBoxCell``, the LIF without synaptic current, with the reset left out of the gradient."""

    def __init__(self, weights: Sequence[Tensor], reset: str, order: str = "step") -> None:
        super().__init__([w / (1 - BETA) for w in weights], reset, order)
        parameters = LIFBoxParameters(
            tau_mem_inv=torch.tensor((1 - BETA) * 1000),
            v_th=torch.tensor(THRESHOLD),
            alpha=torch.tensor(10.0),
            reset_method=_subtract if reset == "subtract" else _zero,
        )
        self.cell = LIFBoxCell(parameters, dt=0.001)
        self.restart()

    def restart(self) -> None:
        self.state: list[Any] = [None] * len(self.convs)

    def fire(self, layer: int, x: Tensor) -> Tensor:
        spikes, self.state[layer] = self.cell(x, self.state[layer])
        return spikes

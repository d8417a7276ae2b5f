"""Plain torch, a line for each equation: what a library's conveniences are measured against."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from snnface.training.bench.definition import fire
from snnface.training.bench.peers.network import Network


class Plain(Network):
    """The definition itself."""

    def __init__(self, weights: Sequence[Tensor], reset: str, order: str = "step") -> None:
        super().__init__(weights, reset, order)
        self.reset = reset
        self.restart()

    def restart(self) -> None:
        self.membrane: list[Tensor | float] = [0.0] * len(self.convs)

    def fire(self, layer: int, x: Tensor) -> Tensor:
        _, spikes, self.membrane[layer] = fire(x, self.membrane[layer], self.reset)
        return spikes

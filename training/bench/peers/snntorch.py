"""snnTorch. Its Leaky subtracts the threshold a step late, or spikes on a membrane that is already lowered; the
reset is therefore written out, which also is faster: Leaky then need not look for the last step's spikes."""

from __future__ import annotations

from collections.abc import Sequence

import snntorch
from snntorch import surrogate
from torch import Tensor

from snnface.training.bench.peers.network import Network
from snnface.training.bench.workload import BETA, THRESHOLD


class SnnTorch(Network):
    """``snntorch.Leaky`` with the reset after the spike."""

    def __init__(self, weights: Sequence[Tensor], reset: str, order: str = "step") -> None:
        super().__init__(weights, reset, order)
        self.subtract = reset == "subtract"
        self.lif = snntorch.Leaky(
            beta=BETA, threshold=THRESHOLD, spike_grad=surrogate.atan(alpha=2.0), reset_mechanism="none"
        )
        self.restart()

    def restart(self) -> None:
        self.membrane: list[Tensor | None] = [None] * len(self.convs)
        self.lif.mem = self.lif.beta.new_zeros(0)

    def fire(self, layer: int, x: Tensor) -> Tensor:
        before = self.membrane[layer]
        spikes, membrane = self.lif(x, x.new_zeros(x.shape) if before is None else before)
        reset = spikes.detach()
        self.membrane[layer] = membrane - THRESHOLD * reset if self.subtract else membrane * (1 - reset)
        return spikes

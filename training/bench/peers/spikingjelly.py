"""SpikingJelly, in single-step mode and in its own multi-step mode."""

from __future__ import annotations

from collections.abc import Sequence

from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from snnface.training.bench.peers.network import Network
from snnface.training.bench.workload import BETA, THRESHOLD


def _lif(reset: str, mode: str) -> nn.Module:
    return neuron.LIFNode(
        tau=1 / (1 - BETA),
        decay_input=False,
        v_threshold=THRESHOLD,
        v_reset=None if reset == "subtract" else 0.0,
        surrogate_function=surrogate.ATan(alpha=2.0),
        detach_reset=True,
        step_mode=mode,
    )


class SpikingJelly(Network):
    """``LIFNode`` in single-step mode."""

    convolution = layer.Conv2d
    mode = "s"

    def __init__(self, weights: Sequence[Tensor], reset: str, order: str = "step") -> None:
        super().__init__(weights, reset, order)
        self.neurons = nn.ModuleList(_lif(reset, self.mode) for _ in weights)
        functional.set_step_mode(self, self.mode)

    def restart(self) -> None:
        functional.reset_net(self)

    def fire(self, layer: int, x: Tensor) -> Tensor:
        return self.neurons[layer](x)


class SpikingJellyMulti(SpikingJelly):
    """``LIFNode`` and ``Conv2d`` in multi-step mode: every layer takes all steps at once."""

    mode = "m"

    def rates(self, x: Tensor) -> Tensor:
        for conv, neurons in zip(self.convs, self.neurons, strict=True):
            x = neurons(conv(x))
        self.restart()
        return x.mean((0, 3, 4))

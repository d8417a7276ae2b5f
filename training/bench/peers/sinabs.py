"""sinabs. Its layers take sequences, batch first; one convolution for all steps, as its own models do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import sinabs
import sinabs.activation
import sinabs.layers
import torch
from torch import Tensor, nn

from snnface.training.bench.peers.network import Network
from snnface.training.bench.workload import BETA, THRESHOLD


def _atan(membrane: Tensor, threshold: Tensor) -> Tensor:
    return 1 / (1 + (math.pi * (membrane - threshold)) ** 2)


def _subtract(spikes: Tensor, state: dict[str, Any], threshold: Tensor) -> dict[str, Any]:
    return state | {"v_mem": state["v_mem"] - spikes.detach() * threshold}


def _zero(spikes: Tensor, state: dict[str, Any], threshold: Tensor) -> dict[str, Any]:
    return state | {"v_mem": state["v_mem"] * (1 - spikes.detach())}


class Sinabs(Network):
    """``sinabs.layers.LIF`` with the peers' surrogate and the reset left out of the gradient."""

    def __init__(self, weights: Sequence[Tensor], reset: str, order: str = "layer") -> None:
        super().__init__(weights, reset, order)
        self.neurons = nn.ModuleList(
            sinabs.layers.LIF(
                tau_mem=-1 / math.log(BETA),
                norm_input=False,
                spike_threshold=torch.tensor(THRESHOLD),
                spike_fn=sinabs.activation.SingleSpike,
                reset_fn=_subtract if reset == "subtract" else _zero,
                surrogate_grad_fn=_atan,
            )
            for _ in weights
        )
        for parameter in self.neurons.parameters():
            parameter.requires_grad_(False)

    def restart(self) -> None:
        sinabs.reset_states(self)

    def fire(self, layer: int, x: Tensor) -> Tensor:
        return self.neurons[layer](x.unsqueeze(1)).squeeze(1)

    def rates(self, x: Tensor) -> Tensor:
        steps, clips = x.shape[:2]
        x = x.transpose(0, 1).flatten(0, 1)
        for conv, neurons in zip(self.convs, self.neurons, strict=True):
            x = neurons(conv(x).unflatten(0, (clips, steps))).flatten(0, 1)
        self.restart()
        return x.mean((2, 3)).unflatten(0, (clips, steps)).mean(1)

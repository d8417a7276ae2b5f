"""What the libraries share: three convolutions, neurons of the library's own, and two orders of computing them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from snnface.training.bench.workload import PADDING, STRIDE

#: Weight names of a peer's parameters are the layers' numbers; ``step`` loops over time outside, ``layer`` inside.
ORDERS = ("step", "layer")


class Network(nn.Module):
    """Convolutions of ``weights`` (OIHW each), neurons by :meth:`fire`; ``reset``: "subtract" or "zero".

    ``order``: "step" takes the layers at every step; "layer" takes all steps at every layer, with one convolution
    for all of them.
    """

    convolution: Callable[..., nn.Conv2d] = nn.Conv2d

    def __init__(self, weights: Sequence[Tensor], reset: str, order: str = "step") -> None:
        super().__init__()
        self.order = order
        self.convs = nn.ModuleList(self._conv(w) for w in weights)

    def _conv(self, weight: Tensor) -> nn.Module:
        outputs, inputs, kernel, _ = weight.shape
        conv = self.convolution(inputs, outputs, kernel, stride=STRIDE, padding=PADDING, bias=False)
        conv.weight.data.copy_(weight)
        return conv

    def restart(self) -> None:
        """Silent neurons before the first step."""
        raise NotImplementedError

    def fire(self, layer: int, x: Tensor) -> Tensor:
        """Input ``[B, C, H, W]`` of one step → spikes."""
        raise NotImplementedError

    def step(self, x: Tensor) -> Tensor:
        """One step of all layers: ``[B, 2, H, W]`` → spikes of the last layer."""
        for i, conv in enumerate(self.convs):
            x = self.fire(i, conv(x))
        return x

    def rates(self, x: Tensor) -> Tensor:
        """All steps ``[T, B, 2, H, W]`` → mean over time and positions of the last layer's spikes ``[B, C]``."""
        if self.order == "layer":
            for i, conv in enumerate(self.convs):
                currents = conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
                x = torch.stack([self.fire(i, current) for current in currents])
            rates = x.mean((0, 3, 4))
        else:
            rates = torch.stack([self.step(frame).mean((2, 3)) for frame in x]).mean(0)
        self.restart()  # afterwards: a compiler finds the same state every time
        return rates

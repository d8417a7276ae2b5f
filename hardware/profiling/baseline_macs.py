"""Multiply-accumulates of a CNN, counted while it runs.

Counted: convolutions, linear layers and the gates of recurrent layers. As for synaptic operations, products with
the zeros of a padding are left out, in the CNN's favour. Normalisation folds into the weights; activations,
pooling and a cell's elementwise products are not counted, again in its favour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnface.batch import collate_events
from snnface.counts import axis_pairs
from snnface.encoder import ConvConfig, DenseConfig, EncoderConfig, HeadConfig
from snnface.events import EVENT_DTYPE
from snnface.network import Network

FRAMES_PER_SECOND = 30
_NORMALISATION = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


def baselines(network: Network) -> dict[str, int]:
    """Multiply-accumulates a second of every CNN registered as ``snnface.baselines``, at this network's size.

    A baseline is made from an encoder's configuration and takes an event batch; its ``step_us`` is a frame.
    """
    _, height, width = network.input_shape
    config = configuration(network)
    return {
        e.name: macs_per_second(e.load()(config), width, height)
        for e in sorted(entry_points(group="snnface.baselines"), key=lambda e: e.name)
    }


def configuration(network: Network) -> EncoderConfig:
    """The widths, kernels and strides of a network as an encoder's configuration (time constants are defaults)."""
    _, height, width = network.input_shape
    convs = [layer for layer in network.layers if layer.kind == "conv"]
    dense = [layer for layer in network.layers if layer.kind == "dense" and layer.spiking]
    return EncoderConfig(
        width=width,
        height=height,
        conv=[ConvConfig(channels=c.weight.shape[0], kernel=c.weight.shape[2], stride=c.stride[0]) for c in convs],
        dense=[DenseConfig(features=d.neurons) for d in dense],
        heads={"readout": HeadConfig(size=(n := network.layers[-1].neurons), scale=[1.0] * n, offset=[0.0] * n)},
    )


def count_macs(module: nn.Module, *inputs: Any) -> int:
    """Multiply-accumulates of one forward pass of ``module(*inputs)``; values do not matter.

    Raises
    ------
    NotImplementedError: a module with parameters is of a kind that is not counted: nothing is left out silently.
    """
    total = 0
    hooks = []

    def counting(counter: Callable[..., int]) -> Callable[..., None]:
        def hook(layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            nonlocal total
            total += counter(layer, args[0], output)

        return hook

    for name, layer in module.named_modules():
        counter = next((c for kind, c in _COUNTERS.items() if isinstance(layer, kind)), None)
        if counter is not None:
            hooks.append(layer.register_forward_hook(counting(counter)))
        elif next(layer.parameters(recurse=False), None) is not None and not isinstance(layer, _NORMALISATION):
            raise NotImplementedError(f"no count for {type(layer).__name__} ({name})")
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            module(*inputs)
    finally:
        module.train(training)
        for hook in hooks:
            hook.remove()
    return total


def macs_per_second(baseline: nn.Module, width: int, height: int) -> int:
    """Multiply-accumulates a second at 30 frames/s of a network that takes an :class:`EventBatch`.

    ``baseline.step_us`` is the length of its frames; one frame at the given size is run.
    """
    frame_us = int(baseline.step_us)  # type: ignore[arg-type]
    still = collate_events([np.zeros(0, EVENT_DTYPE)], [frame_us], width, height)
    return count_macs(baseline, still) * FRAMES_PER_SECOND


def _conv(layer: nn.modules.conv._ConvNd, x: Tensor, output: Tensor) -> int:
    if layer.padding_mode != "zeros" or layer.transposed or isinstance(layer.padding, str):
        raise NotImplementedError(f"no count for {layer}")
    dims = len(layer.kernel_size)
    pairs = math.prod(
        int(axis_pairs(x.shape[i - dims], output.shape[i - dims], k, s, p, d).sum())
        for i, (k, s, p, d) in enumerate(
            zip(layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True)
        )
    )
    images = output.numel() // math.prod(output.shape[-dims - 1 :])
    return images * layer.out_channels * (layer.in_channels // layer.groups) * pairs


def _linear(layer: nn.Linear, x: Tensor, output: Tensor) -> int:
    return output.numel() * layer.in_features


def _recurrent(layer: nn.RNNBase, x: Tensor, output: Any) -> int:
    """Every weight of the gates (and of a projection) is used once a step, in each layer and direction."""
    weights = sum(p.numel() for name, p in layer.named_parameters() if name.startswith("weight"))
    return x.numel() // layer.input_size * weights


_COUNTERS: dict[type[nn.Module], Callable[..., int]] = {
    nn.modules.conv._ConvNd: _conv,
    nn.Linear: _linear,
    nn.RNNBase: _recurrent,
}

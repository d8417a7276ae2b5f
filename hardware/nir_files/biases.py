"""Biases of networks from elsewhere, put into the chip's integers: our own networks have none.

Lava adds a bias to the membrane in every step. Where a neuron has no synaptic current of its own (α = 0) that is what
a bias of its weights does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snnface.errors import InputError
from snnface.hardware.integers.network import BIAS_MAX, IntegerNetwork


def with_biases(network: IntegerNetwork, biases: dict[str, np.ndarray]) -> IntegerNetwork:
    """A quantised network with biases ``[O]`` by layer, in units of the float weights.

    Raises :class:`InputError` where one leaves the chip's range.
    """
    assert network.host is not None, "quantised networks have host settings"
    layers = []
    for layer, scale in zip(network.layers, network.host.scales, strict=True):
        bias = np.rint(np.asarray(biases.get(layer.name, 0.0)) * scale).astype(np.int64)
        if np.abs(bias).max() > BIAS_MAX:
            what = f"has a bias of {np.abs(bias).max()} in the chip's units, which end at {BIAS_MAX}"
            raise InputError(f"layer {layer.name}", what, "Train with smaller biases, or with bias=False")
        own = bias.reshape(-1, *[1] * (len(layer.shape_out) - 1))
        layers.append(replace(layer, bias=own) if bias.any() else layer)
    return replace(network, layers=tuple(layers))

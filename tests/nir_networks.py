"""Networks and inputs for the tests of NIR: enough neurons for 10⁵ spikes in few steps."""

from __future__ import annotations

import math

import numpy as np

from snnface.network import Head, Network, SynapticLayer, conv_shape

SHAPE = (2, 30, 38)


def network(seed: int = 0, per_channel: bool = False) -> Network:
    """Random conv 5×5 stride 2 → conv 3×3 stride (2, 1), dilation 2, groups 2 → dense → readout.

    ``per_channel``: decays and thresholds differ between channels.
    """
    rng = np.random.default_rng(seed)
    shape: tuple[int, ...] = SHAPE
    layers = []

    def neurons(channels: int, threshold: float) -> dict[str, object]:
        if not per_channel:
            return {"alpha": 0.78, "beta": 0.9, "threshold": threshold}
        return {
            "alpha": rng.uniform(0.3, 0.8, channels),
            "beta": rng.uniform(0.6, 0.95, channels),
            "threshold": threshold * rng.uniform(0.8, 1.3, channels),
        }

    for name, channels, k, gain, geometry in (
        ("conv1", 16, 5, 1.3, {"stride": (2, 2), "padding": (2, 2)}),
        ("conv2", 24, 3, 0.5, {"stride": (2, 1), "padding": (1, 3), "dilation": (1, 2), "groups": 2}),
    ):
        groups = geometry.get("groups", 1)
        weight = (
            gain * rng.normal(0.02, 1, (channels, shape[0] // groups, k, k)) / math.sqrt(shape[0] * k * k / groups)
        )
        plain = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)} | geometry
        out = conv_shape(shape, weight.shape, plain["stride"], plain["padding"], plain["dilation"])
        layers.append(SynapticLayer(name, "conv", weight, shape, out, **neurons(channels, 1.0), **geometry))
        shape = out
    inputs = math.prod(shape)
    weight = 0.4 * rng.normal(0.01, 1, (40, inputs)) / math.sqrt(inputs)
    layers.append(SynapticLayer("dense1", "dense", weight, shape, (40,), **neurons(40, 1.5)))
    weight = rng.normal(size=(7, 40))
    layers.append(SynapticLayer("readout", "dense", weight, (40,), (7,), 0.78, 0.95, spiking=False))
    heads = {"au": Head(0, 4, np.full(4, 0.5), np.zeros(4)), "expression": Head(4, 7, np.ones(3), np.arange(3.0))}
    return Network(SHAPE, 5000, 20_000.0, "graded", tuple(layers), heads=heads)


def spikes(steps: int, density: float = 0.1, seed: int = 1, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Random spikes, float64 ``[steps, *shape]``."""
    return (np.random.default_rng(seed).random((steps, *shape)) < density).astype(np.float64)

"""A float network on a grid: the integers of its weights, thresholds and decays, and the numbers they stand for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snnface.errors import InputError
from snnface.hardware.integers.network import DECAY_UNIT, THRESHOLD_MAX, Host, IntegerLayer, IntegerNetwork
from snnface.hardware.netx_files.write import chip_refusal
from snnface.hardware.quantising.bounds import decay, memory, one_sided, rows
from snnface.hardware.quantising.grid import Grid, levels
from snnface.network import Network, SynapticLayer


def on_grid(network: Network, grid: Grid) -> IntegerNetwork:
    """A float network's weights, thresholds and decays rounded on a grid.

    Raises :class:`InputError` where a layer is not what a chip computes, or where its input could wrap the first
    layer's current.
    """
    sizes = [len(layer.weight) for layer in network.layers]
    if len(grid.scales) != len(sizes) or any(len(s) not in (1, n) for s, n in zip(grid.scales, sizes, strict=True)):
        raise InputError("network", "has other layers than its grid of weights", "Use the grid it was trained with")
    result = integer_network(network, grid)
    largest = payload_range(network, grid.input_mode)[1]
    first = result.layers[0]
    limit = (THRESHOLD_MAX - 1) * memory(network.layers[0]) / largest
    if (one_sided(first.weight.reshape(len(first.weight), -1)) > limit).any():
        raise InputError(
            f"layer {first.name}",
            "quantised, its current could wrap",
            "Quantise it by calibration: snnface export --bits 8",
        )
    for quantised in result.layers:
        if what := chip_refusal(quantised):
            raise InputError(
                f"layer {quantised.name}", f"quantised, it has {what}", "Scale its weights or its threshold"
            )
    return result


def as_it_runs(network: Network, grid: Grid) -> Network:
    """The float network that the chip's numbers stand for."""
    layers: list[SynapticLayer] = []
    for layer, integer, scale in zip(network.layers, integer_network(network, grid).layers, grid.scales, strict=True):
        one = payload_range(network, grid.input_mode)[0] if not layers else 1
        threshold = integer.threshold.reshape(-1) / (scale * one)
        layers.append(
            replace(
                layer,
                weight=integer.weight / scale.reshape(-1, *[1] * (integer.weight.ndim - 1)),
                alpha=_plain(1 - integer.i_decay / DECAY_UNIT),
                beta=_plain(1 - integer.v_decay / DECAY_UNIT),
                threshold=_plain(threshold) if layer.spiking else layer.threshold,
            )
        )
    return replace(network, layers=tuple(layers))


def _plain(values: np.ndarray) -> float | np.ndarray:
    return values.reshape(-1) if values.size > 1 else float(values.item())


def payload_range(network: Network, mode: str) -> tuple[int, int]:
    """Payload of one fresh event, and the largest."""
    return (network.payload_one, network.payload_max) if mode == "graded" else (1, 1)


def integer_network(network: Network, grid: Grid) -> IntegerNetwork:
    one = payload_range(network, grid.input_mode)[0]
    ones = [one] + [1] * (len(network.layers) - 1)
    layers = [integer_layer(*x, grid.bits) for x in zip(network.layers, grid.scales, grid.steps, ones, strict=True)]
    host = Host(
        network.step_us,
        network.tau_syn_us,
        grid.input_mode,
        network.payload_one,
        network.payload_max,
        tuple(scale * one for scale, one in zip(grid.scales, ones, strict=True)),
        network.heads,
    )
    return IntegerNetwork(network.input_shape, tuple(layers), host)


def integer_layer(
    layer: SynapticLayer, scale: np.ndarray, step: int = 2, payload_one: int = 1, bits: int = 8
) -> IntegerLayer:
    """One layer at the weight scale ``[1]`` or, channel by channel, ``[O]``, and ``step`` units to a level;
    ``payload_one`` multiplies its threshold."""
    weight = (step * levels(rows(layer), scale, step, bits)).astype(np.int64).reshape(layer.weight.shape)
    own = scale if len(scale) > 1 else scale[0]
    threshold = np.rint(layer.threshold * own * payload_one) if layer.spiking else np.asarray(THRESHOLD_MAX)

    def spread(values: np.ndarray) -> np.ndarray:
        """One number, or one for each channel, as it broadcasts over the neurons."""
        return values.reshape(-1, *[1] * (len(layer.shape_out) - 1)) if values.ndim else values

    return IntegerLayer(
        layer.name,
        layer.kind,
        weight,
        layer.shape_in,
        layer.shape_out,
        spread(decay(layer.alpha)),
        spread(decay(layer.beta)),
        spread(np.minimum(threshold, THRESHOLD_MAX).astype(np.int64)),
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
    )

"""What would make a network fit: changes of its shape, each with what it saves and what it costs.

Every proposal is laid on the chip again. Operations are estimated with the spike rate of every layer unchanged;
what a change does to accuracy only a training tells (``snnface explore``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from snnface.counts import fan_out
from snnface.hardware.placing.chip import Chip
from snnface.hardware.placing.placement import Placement, place, unary
from snnface.network import Network, SynapticLayer, conv_shape

#: (number, layer) → outputs and stride that the layer is to have.
_Change = Callable[[int, SynapticLayer], tuple[int, tuple[int, int]]]


def proposals(network: Network, placement: Placement, budget: int | None = None) -> list[dict[str, Any]]:
    """Changes that need fewer cores, least change of the work first.

    ``budget``: cores that it may take, the chip's by default. Rows: ``change``, ``cores``, ``chips``, ``fits`` (the
    budget and the chip), ``parameters``, ``neurons`` and ``synops`` as shares of the network's own, ``cost``.
    """
    chip = placement.chip
    if chip.core is None:
        return []
    limit = chip.core.cores.value if budget is None else budget
    if placement.fits and placement.cores is not None and placement.cores <= limit:
        return []
    rows = [_row(network, *variant, chip, limit) for variant in _variants(network, placement, chip)]
    if placement.chips is not None and placement.chips > 1 and budget is None:
        rows.append(_split(network, placement))
    now = math.inf if placement.cores is None else placement.cores
    useful = [r for r in rows if r["fits"] or (r["cores"] is not None and r["cores"] < now)]
    return sorted(useful, key=lambda r: (not r["fits"], -r["synops"], -r["parameters"]))


def _variants(network: Network, placement: Placement, chip: Chip) -> Iterator[tuple[str, Network, int, str]]:
    if network.input_mode != "unary" and not chip.graded_input:
        cost = "the ages of events within a step are lost"
        yield "unary input", unary(network), placement.bits, cost
        for change, variant, bits, more in _shapes(unary(network), placement):
            yield f"unary input, {change}", variant, bits, f"{cost}; {more}"
        return
    yield from _shapes(network, placement)


def _shapes(network: Network, placement: Placement) -> Iterator[tuple[str, Network, int, str]]:
    untrained = "trained again; accuracy is to be measured"
    for share in (0.75, 0.5, 0.25):
        yield f"{share:g} × the channels and features", narrowed(network, share), placement.bits, untrained
    for factor in (2, 4):
        if min(network.input_shape[1:]) // factor >= 8:
            cost = f"{untrained}; a pixel sees {factor}×{factor} of the old ones"
            yield f"1/{factor} of the resolution", resized(network, factor), placement.bits, cost
    last = max((i for i, layer in enumerate(network.layers) if layer.kind == "conv"), default=None)
    if last is not None and min(network.layers[last].shape_out[1:]) > 1:
        cost = f"{untrained}; its pictures are half as wide and tall"
        yield f"twice the stride in {network.layers[last].name}", strided(network, last), placement.bits, cost
    if placement.bits > 4:
        yield "weights of 4 bits", network, 4, "quantisation-aware training; accuracy is to be measured"


def narrowed(network: Network, share: float) -> Network:
    """Every layer but the readout with ``share`` of its channels or features, weights zero."""

    def change(i: int, layer: SynapticLayer) -> tuple[int, tuple[int, int]]:
        outputs = layer.weight.shape[0]
        if i < len(network.layers) - 1:
            unit = math.lcm(layer.groups, network.layers[i + 1].groups)
            outputs = min(outputs, max(1, round(outputs * share / unit)) * unit)
        return outputs, layer.stride

    return _rebuilt(network, network.input_shape, change)


def resized(network: Network, factor: int) -> Network:
    """The same layers on pictures of 1/``factor`` of the sides, weights zero."""
    channels, height, width = network.input_shape
    shape = (channels, math.ceil(height / factor), math.ceil(width / factor))
    return _rebuilt(network, shape, lambda i, layer: (layer.weight.shape[0], layer.stride))


def strided(network: Network, at: int) -> Network:
    """Layer ``at`` with twice its stride, weights zero."""

    def change(i: int, layer: SynapticLayer) -> tuple[int, tuple[int, int]]:
        times = 2 if i == at else 1
        return layer.weight.shape[0], (times * layer.stride[0], times * layer.stride[1])

    return _rebuilt(network, network.input_shape, change)


def _rebuilt(network: Network, input_shape: tuple[int, int, int], change: _Change) -> Network:
    shape: tuple[int, ...] = input_shape
    layers = []
    for i, layer in enumerate(network.layers):
        outputs, stride = change(i, layer)
        if layer.kind == "conv":
            weight = np.zeros((outputs, max(1, shape[0] // layer.groups), *layer.weight.shape[2:]), np.int8)
            out: tuple[int, ...] = conv_shape(shape, weight.shape, stride, layer.padding, layer.dilation)
        else:
            weight, out = np.zeros((outputs, math.prod(shape)), np.int8), (outputs,)
        scalars: dict[str, Any] = {
            name: float(np.mean(getattr(layer, name))) for name in ("alpha", "beta", "threshold")
        }
        layers.append(replace(layer, weight=weight, shape_in=shape, shape_out=out, stride=stride, **scalars))
        shape = out
    return replace(network, input_shape=input_shape, layers=tuple(layers))


def _work(network: Network) -> float:
    """Synapses driven if every neuron and every input cell spiked once: operations at unchanged rates."""
    return float(sum(fan_out(layer).sum() for layer in network.layers))


def _parameters(network: Network) -> int:
    return sum(layer.weight.size for layer in network.layers)


def _row(old: Network, change: str, new: Network, bits: int, cost: str, chip: Chip, limit: float) -> dict[str, Any]:
    placed = place(new, chip, bits)
    return {
        "change": change,
        "cores": placed.cores,
        "chips": placed.chips,
        "fits": placed.fits is not False and placed.cores is not None and placed.cores <= limit,
        "parameters": _parameters(new) / _parameters(old),
        "neurons": new.neurons / old.neurons,
        "synops": _work(new) / _work(old),
        "cost": cost,
    }


def _split(network: Network, placement: Placement) -> dict[str, Any]:
    """The network as it is, over several chips."""
    others = [p for p in placement.problems if "cores needed" not in p]
    return {
        "change": f"split over {placement.chips} chips",
        "cores": placement.cores,
        "chips": placement.chips,
        "fits": not others,
        "parameters": 1.0,
        "neurons": 1.0,
        "synops": 1.0,
        "cost": f"static power of {placement.chips} chips; spikes between them, at a price that is not published",
    }

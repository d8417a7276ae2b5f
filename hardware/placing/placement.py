"""A network laid on a chip: cores of each layer, the limit that binds, and what stands in the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from snnface.hardware.placing.chip import NOT_PUBLISHED, Chip, CoreTable
from snnface.hardware.placing.cores import (
    WEIGHT_BITS,
    CoreLoad,
    Cut,
    Unplaceable,
    cut_layer,
    least_dense_cores,
    next_is_dense,
)
from snnface.network import Network, SynapticLayer

#: What a count of cores is, by the chip's method.
COUNTED = {
    "tiles": "the rule of Intel's compiler, read off the mappings that it printed",
    "count": "a lower bound: each limit by itself",
    "layers": "one core a layer",
}


@dataclass(frozen=True)
class PlacedLayer:
    """One layer; ``cut`` is None where no core can hold any part of it, and ``problem`` says why."""

    name: str
    layer: SynapticLayer
    cut: Cut | None
    problem: str = ""
    least_cores: int | None = None

    @property
    def cores(self) -> int | None:
        """Cores of the layer; None where it has no place."""
        return self.cut.cores if self.cut else None


@dataclass(frozen=True)
class Placement:
    """A network on a chip.

    ``cores`` of all layers and the ``chips`` that hold them; None where a layer has no place or the chip's limits
    are not published (``counted`` says which). ``problems``: what stands in the way, one sentence each. ``fits``:
    on one chip without any problem; None where that cannot be told.
    """

    chip: Chip
    layers: tuple[PlacedLayer, ...]
    counted: str
    problems: tuple[str, ...]
    bits: int

    @property
    def cores(self) -> int | None:
        """All cores."""
        counts = [layer.cores for layer in self.layers]
        return None if self.chip.core is None or None in counts else sum(n for n in counts if n is not None)

    @property
    def chips(self) -> int | None:
        """Chips of the same kind that hold all cores."""
        if self.cores is None or self.chip.core is None:
            return None
        return math.ceil(self.cores / self.chip.core.cores.value)

    @property
    def fits(self) -> bool | None:
        """Whether one chip holds it and can run it."""
        if self.problems:
            return False
        return self.chips == 1 if self.chips is not None else None


def place(network: Network, chip: Chip, bits: int = WEIGHT_BITS) -> Placement:
    """Lay a network on a chip; ``bits``: width of its weights."""
    problems = _limits(network, chip)
    if chip.core is None:
        layers = tuple(PlacedLayer(layer.name, layer, None) for layer in network.layers)
        counted = f"{NOT_PUBLISHED}: what a core holds"
        return Placement(chip, layers, counted, tuple(problems), bits)
    layers = _in_layers(network, chip.core) if chip.core.method == "layers" else _cut(network, chip.core, bits)
    problems += [f"{placed.name}: {placed.problem}" for placed in layers if placed.problem]
    cores = [placed.cores for placed in layers if placed.cores is not None]
    if len(cores) == len(layers) and sum(cores) > chip.core.cores.value:
        problems.append(f"{sum(cores):,} cores needed, a chip has {chip.core.cores.value:,.0f}")
    return Placement(chip, layers, COUNTED[chip.core.method], tuple(problems), bits)


def _cut(network: Network, core: CoreTable, bits: int) -> tuple[PlacedLayer, ...]:
    placed = []
    for i, layer in enumerate(network.layers):
        try:
            cut = cut_layer(layer, core, bits, next_is_dense(network, i))
        except Unplaceable as e:
            placed.append(PlacedLayer(layer.name, layer, None, str(e)))
            continue
        least = cut.cores
        if core.method == "tiles" and layer.kind == "dense":
            least = least_dense_cores(layer.weight.shape[1], layer.weight.shape[0], core, bits)
        placed.append(PlacedLayer(layer.name, layer, cut, least_cores=least))
    return tuple(placed)


def _in_layers(network: Network, core: CoreTable) -> tuple[PlacedLayer, ...]:
    """Every layer on a core of its own that holds it, as many layers as can be (an assignment problem)."""
    memories = [memory for memory in core.memories for _ in range(memory.count)]
    needs = [(layer.neurons, _weight_entries(layer)) for layer in network.layers]
    costs = np.array([[float(n > m.neurons or w > m.weights) for m in memories] for n, w in needs], dtype=float)
    rows, columns = linear_sum_assignment(costs)
    chosen = {int(r): memories[c] for r, c in zip(rows, columns, strict=True) if costs[r, c] == 0}
    placed = []
    for i, (layer, (neurons, weights)) in enumerate(zip(network.layers, needs, strict=True)):
        if i in chosen:
            share = {"neurons": neurons / chosen[i].neurons, "synapse memory": weights / chosen[i].weights}
            load = CoreLoad(neurons, weights * WEIGHT_BITS / 64, 0, 0, share)
            tile = (layer.shape_out[2], layer.shape_out[1], layer.shape_out[0]) if layer.kind == "conv" else None
            placed.append(PlacedLayer(layer.name, layer, Cut((1, 1, 1), tile or (1, 1, neurons), load)))
        else:
            what = f"{neurons:,} neurons and {weights:,} weights find no core that is free and holds them"
            placed.append(PlacedLayer(layer.name, layer, None, what))
    return tuple(placed)


def _weight_entries(layer: SynapticLayer) -> int:
    """Entries of kernel memory: input channels times the powers of two that hold the kernel and the outputs.

    A dense layer is a convolution whose kernel is its input. Formula: sinabs documentation, Speck overview.
    """
    outputs = layer.weight.shape[0]
    channels, *sides = layer.shape_in if len(layer.shape_in) == 3 else (math.prod(layer.shape_in), 1, 1)
    if layer.kind == "conv":
        sides = list(layer.weight.shape[2:])
    return channels * (1 << (math.ceil(math.log2(math.prod(sides))) + math.ceil(math.log2(outputs))))


def _limits(network: Network, chip: Chip) -> list[str]:
    """What the chip as a whole refuses."""
    found = []
    if network.input_mode != "unary" and not chip.graded_input:
        found.append("its spikes carry no payloads: it would need the unary input")
    if chip.neuron is not None and not chip.neuron.ours:
        found.append(f"its neuron is another ({chip.neuron.title}): the network would have to be trained for it")
    convs = [layer for layer in network.layers if layer.kind == "conv"]
    channels, *sides = network.input_shape
    seen: dict[str, tuple[str, Sequence[float]]] = {
        "inputs": ("inputs", [math.prod(network.input_shape)]),
        "neurons": ("spiking neurons", [sum(layer.neurons for layer in network.layers if layer.spiking)]),
        "outputs": ("outputs", [network.layers[-1].neurons]),
        "input_side": ("pixels along a side of the input", sides),
        "input_channels": ("input channels", [channels]),
        "output_side": ("pixels along a side of a layer", [side for c in convs for side in c.shape_out[1:]]),
        "channels": ("channels", [layer.shape_out[0] for layer in network.layers]),
        "kernel": ("pixels along a side of a kernel", [side for c in convs for side in c.weight.shape[2:]]),
        "stride": ("pixels of stride", [stride for c in convs for stride in c.stride]),
    }
    for field, (what, values) in seen.items():
        limit = getattr(chip.limits, field)
        if limit is not None and values and max(values) > limit.value:
            found.append(f"{max(values):,} {what}, at most {limit.value:,.0f}")
    return found


def unary(network: Network) -> Network:
    """The same network with an input of spikes without payloads."""
    return replace(network, input_mode="unary")

"""How many cores a network takes.

Where the chip's synapse memory is known, a convolution is cut into tiles of a power of two along each axis, as
Intel's compiler does it: the estimate equals the mapping printed in lava-dl's tutorials for all twelve
convolutions of PilotNet and YOLO-KP. A dense layer's estimate is a lower bound (7 of 9 equal, 2 below).
Elsewhere neurons alone are counted: a lower bound too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from snnface.errors import InputError
from snnface.hardware.chip import CoreTable
from snnface.network import Network, SynapticLayer

WORD_BITS = 64
WEIGHT_BITS = 8
#: Bits of a synapse of a dense layer, weight and index: up to 128 outputs on a core, and above.
DENSE_BITS = (16, 20)
DENSE_BITS_LIMIT = 128


def network_cores(network: Network, core: CoreTable) -> list[int]:
    """Cores of each layer."""
    return [layer_cores(layer, core) for layer in network.layers]


def layer_cores(layer: SynapticLayer, core: CoreTable) -> int:
    """Cores of one layer; raises :class:`InputError` where one neuron's weights exceed a core."""
    if core.synapse_words is None:
        return math.ceil(layer.neurons / core.neurons.value)
    if layer.kind == "conv":
        channels, height, width = layer.shape_out
        return conv_cores(width, height, channels, layer.weight.size, core)
    return dense_cores(layer.weight.shape[1], layer.weight.shape[0], core)


def _halvings(n: int) -> Iterator[tuple[int, int]]:
    """(parts, largest part) for 1, 2, 4 … parts, until parts have size 1."""
    parts = 1
    while True:
        yield parts, math.ceil(n / parts)
        if parts >= n:
            return
        parts *= 2


def conv_cores(width: int, height: int, channels: int, weights: int, core: CoreTable) -> int:
    """Least number of cores over all cuts into tiles that fit; weights are stored once a core."""
    assert core.synapse_words is not None
    counts = []
    for channel_parts, c in _halvings(channels):
        if weights * WEIGHT_BITS / WORD_BITS / channel_parts > core.synapse_words.value:
            continue
        for _, h in _halvings(height):
            widest = int(core.neurons.value) // (h * c)
            if widest:
                w = min(1 << (widest.bit_length() - 1), 1 << (width - 1).bit_length())
                counts.append(math.ceil(width / w) * math.ceil(height / h) * channel_parts)
    if not counts:
        raise InputError(
            "core estimate", f"a filter of a layer with {weights} weights exceeds a core", "Use fewer channels"
        )
    return min(counts)


def dense_cores(inputs: int, outputs: int, core: CoreTable) -> int:
    """A lower bound: every synapse stored with its index, outputs spread evenly."""
    assert core.synapse_words is not None
    for cores in range(1, outputs + 1):
        share = math.ceil(outputs / cores)
        bits = DENSE_BITS[share > DENSE_BITS_LIMIT]
        words = inputs * math.ceil(bits * share / WORD_BITS + 0.25)
        if words <= core.synapse_words.value and share <= core.neurons.value:
            axon_bound = math.ceil(inputs / core.axons.value) if core.axons else 1
            return max(cores, axon_bound)
    raise InputError("core estimate", f"one neuron's {inputs} inputs exceed a core", "Use a smaller layer before it")

"""How layers are laid on cores: what each core holds, and which limit binds.

Where the chip's method is "tiles", a convolution is cut into tiles of a power of two along each axis and a dense
layer into equal shares, as Intel's compiler for Loihi 2 does it: the rules are read off the mappings that it printed
in lava-dl's tutorials (``published_mappings.py`` compares). Elsewhere each limit is divided by: a lower bound.

Synapse memory is in 64-bit words, allotted by quarters. A convolution stores its weights once a core, one entry an
input channel and kernel position; a dense layer one entry an input, its synapses with an index beside the weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from snnface.errors import InputError
from snnface.hardware.placing.chip import CoreTable
from snnface.network import Network, SynapticLayer

WORD_BITS, QUARTER_BITS = 64, 16
WEIGHT_BITS = 8
#: Bits of a dense synapse's index, up to so many outputs of the layer, and above; bits of an entry's head.
INDEX_BITS, INDEX_BITS_LIMIT, WIDE_INDEX_BITS = 8, 128, 12
HEAD_BITS = 48
#: Axon entries that a pixel of a convolution takes, at most, where the next layer is one: the tables print 1 to 2.
AXONS_A_PIXEL = 2

LIMITS = ("neurons", "synapse memory", "axons in", "axons out")


class Unplaceable(Exception):
    """No cut of a layer fits into cores: which limit, what the smallest cut needs of it, what there is."""

    def __init__(self, limit: str, needed: float, available: float) -> None:
        self.limit, self.needed, self.available = limit, needed, available
        super().__init__(f"{limit} of a core: {needed:,.0f} needed at the least, {available:,.0f} there")


@dataclass(frozen=True)
class CoreLoad:
    """What the fullest core of a layer holds; ``share``: limit → part of the core that it takes."""

    neurons: int
    words: float
    axons_in: int
    axons_out: int
    share: dict[str, float] = field(default_factory=dict)

    @property
    def binds(self) -> str:
        """The limit that is nearest to full."""
        return max(self.share, key=lambda limit: self.share[limit]) if self.share else ""


@dataclass(frozen=True)
class Cut:
    """A layer in ``parts`` along (x, y, channel), each of at most ``tile`` neurons along them; dense: (1, 1, n)."""

    parts: tuple[int, int, int]
    tile: tuple[int, int, int]
    load: CoreLoad

    @property
    def cores(self) -> int:
        """Number of cores."""
        return math.prod(self.parts)


def cut_layer(layer: SynapticLayer, core: CoreTable, bits: int = WEIGHT_BITS, next_dense: bool = False) -> Cut:
    """Lay one layer on cores; ``bits`` of a weight, ``next_dense``: the layer after it is dense (or the host).

    Raises
    ------
    Unplaceable: no cut fits.
    """
    if layer.kind == "conv":
        channels, height, width = layer.shape_out
        entries = layer.weight.size // channels
        if core.method == "tiles":
            return conv_cut(width, height, channels, entries, core, bits, next_dense)
        return _counted(layer.neurons, layer.weight.size * bits / WORD_BITS, 1, layer.shape_out, core)
    outputs, inputs = layer.weight.shape
    if core.method == "tiles":
        return dense_cut(inputs, outputs, core, bits)
    return _counted(outputs, inputs * outputs * bits / WORD_BITS, inputs, (outputs, 1, 1), core)


def network_cores(network: Network, core: CoreTable, bits: int = WEIGHT_BITS) -> list[int]:
    """Cores of each layer; raises :class:`InputError` where a layer has no place."""
    cores = []
    for i, layer in enumerate(network.layers):
        try:
            cores.append(cut_layer(layer, core, bits, next_is_dense(network, i)).cores)
        except Unplaceable as e:
            raise InputError(f"layer {layer.name}", str(e), "See the proposals of snnface chips place") from e
    return cores


def next_is_dense(network: Network, i: int) -> bool:
    """Whether what layer ``i`` sends goes to a dense layer or to the host, an axon a neuron."""
    return i + 1 == len(network.layers) or network.layers[i + 1].kind == "dense"


def conv_cut(
    width: int,
    height: int,
    channels: int,
    entries: int,
    core: CoreTable,
    bits: float = WEIGHT_BITS,
    next_dense: bool = False,
) -> Cut:
    """The cut with the fewest cores; among equals the fewest cuts of channels, then the squarest with x cut finer."""
    assert core.neurons is not None
    assert core.synapse_words is not None
    most = int(core.neurons.value)
    found: list[tuple[tuple[float, ...], Cut]] = []
    least_words = math.inf
    for channel_parts, c in _halvings(channels):
        words = entries * quarters(c * bits)
        least_words = min(least_words, words)
        if words > core.synapse_words.value:
            continue
        for _, h in _halvings(height):
            widest = most // (h * c)
            if not widest:
                continue
            w = min(1 << (widest.bit_length() - 1), 1 << (width - 1).bit_length())
            x, y = math.ceil(width / w), math.ceil(height / h)
            axons_out = w * h * c if next_dense else w * h * AXONS_A_PIXEL
            load = _load(w * h * c, words, AXONS_A_PIXEL, axons_out, core)
            cut = Cut((x, y, channel_parts), (min(w, width), h, c), load)
            found.append(((cut.cores, channel_parts, x < y, abs(x - y)), cut))
    if not found:
        raise Unplaceable("synapse memory", least_words, core.synapse_words.value)
    return min(found, key=lambda ranked: ranked[0])[1]


def dense_cut(inputs: int, outputs: int, core: CoreTable, bits: float = WEIGHT_BITS) -> Cut:
    """Equal shares of the outputs; while a share is too large, as many times more as it is."""
    assert core.neurons is not None
    assert core.synapse_words is not None
    if core.axons_in is not None and inputs > core.axons_in.value:
        raise Unplaceable("axons in", inputs, core.axons_in.value)
    parts = 1
    while True:
        share = math.ceil(outputs / parts)
        words = inputs * dense_entry(share, outputs, bits)
        over = max(words / core.synapse_words.value, share / core.neurons.value)
        if over <= 1:
            return Cut((1, 1, parts), (1, 1, share), _load(share, words, inputs, share, core))
        if parts >= outputs:
            raise Unplaceable("synapse memory", words, core.synapse_words.value)
        parts = min(outputs, parts * math.ceil(over))


def least_dense_cores(inputs: int, outputs: int, core: CoreTable, bits: float = WEIGHT_BITS) -> int:
    """The fewest shares that fit, whatever a compiler does."""
    most = dense_cut(inputs, outputs, core, bits).cores
    assert core.synapse_words is not None
    assert core.neurons is not None
    for parts in range(1, most):
        share = math.ceil(outputs / parts)
        if inputs * dense_entry(share, outputs, bits) <= core.synapse_words.value and share <= core.neurons.value:
            return parts
    return most


def dense_entry(share: int, outputs: int, bits: float) -> float:
    """Words of one input's entry on a core with ``share`` of the layer's ``outputs``."""
    synapse = bits + (INDEX_BITS if outputs <= INDEX_BITS_LIMIT else WIDE_INDEX_BITS)
    return quarters(share * synapse + HEAD_BITS)


def quarters(bits: float) -> float:
    """Words that hold so many bits, by quarters."""
    return math.ceil(bits / QUARTER_BITS) / (WORD_BITS // QUARTER_BITS)


def _counted(neurons: int, words: float, axons_in: int, shape: tuple[int, ...], core: CoreTable) -> Cut:
    """A lower bound by each limit alone; a convolution's weights are stored once a core (``axons_in`` 1)."""
    dense = axons_in > 1
    if core.axons_in is not None and axons_in > core.axons_in.value:
        raise Unplaceable("axons in", axons_in, core.axons_in.value)
    need = [neurons / core.neurons.value] if core.neurons else []
    if core.synapse_words:
        need.append(words / core.synapse_words.value)
    if not need:
        raise Unplaceable("neurons", neurons, 0)
    parts = max(1, math.ceil(max(need)))
    share = math.ceil(neurons / parts)
    load = _load(share, words / parts if dense else min(words, words / parts), axons_in, share, core)
    return Cut((1, 1, parts), (1, 1, share) if dense else (shape[-1], shape[-2], math.ceil(shape[0] / parts)), load)


def _load(neurons: int, words: float, axons_in: int, axons_out: int, core: CoreTable) -> CoreLoad:
    held = zip(LIMITS, (neurons, words, axons_in, axons_out), strict=True)
    limits = (core.neurons, core.synapse_words, core.axons_in, core.axons_out)
    share = {name: n / limit.value for (name, n), limit in zip(held, limits, strict=True) if limit is not None}
    return CoreLoad(neurons, words, axons_in, axons_out, share)


def _halvings(n: int) -> Iterator[tuple[int, int]]:
    """(parts, largest part) for 1, 2, 4 … parts, until parts have size 1."""
    parts = 1
    while True:
        yield parts, math.ceil(n / parts)
        if parts >= n:
            return
        parts *= 2

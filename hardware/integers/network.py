"""An integer network as the chip's fixed-point simulation sees it, and how the host feeds and reads it.

Layout is torch's: conv weights OIHW, dense weights OI, shapes CHW, every pair (y, x). All numbers are
mantissas: Lava shifts synaptic sums, biases and thresholds left by :data:`STATE_SHIFT` bits before use.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from snnface.network import Head, conv_shape

#: Synaptic sums, biases and thresholds enter the 24-bit states u and v shifted left by this many bits.
STATE_SHIFT = 6
#: Largest magnitude of the 24-bit states: u wraps beyond it, v saturates one below it.
STATE_LIMIT = 1 << 23
#: Largest current, in units of synaptic sums, that does not wrap.
CURRENT_LIMIT = STATE_LIMIT >> STATE_SHIFT
#: Decays are fractions of this: state · (4096 − decay) / 4096 a step.
DECAY_UNIT = 4096
#: Largest threshold mantissa (17 bits). A readout carries it and must stay below it.
THRESHOLD_MAX = 131_071
#: Largest weight that every chip reads as it stands (mixed sign, 8 bits, even steps).
WEIGHT_MAX = 254
#: Payloads of graded input have 8 bits.
PAYLOAD_LIMIT = 255
DELAY_MAX = 62
BIAS_MAX = 4095
GROUPS_MAX = 127


@dataclass(frozen=True)
class IntegerLayer:
    """One conv or dense layer with its integer neurons.

    ``weight``: int64 ``[O, I/groups, kH, kW]`` (conv) or ``[O, I]`` (dense, input flattened in C order).
    ``i_decay``, ``v_decay`` (0..4096), ``threshold``, ``bias``: int64, each of a shape that broadcasts to
    ``shape_out``: (), ``[C, 1, 1]`` or ``[C, H, W]`` for conv, () or ``[O]`` for dense.
    ``delay``: int64 ``[O, I]`` extra steps of each dense synapse, or None. ``recurrent``: int64 ``[O, O]`` dense
    weights of what the layer's own neurons sent a step before, or None.
    """

    name: str
    kind: str
    weight: np.ndarray
    shape_in: tuple[int, ...]
    shape_out: tuple[int, ...]
    i_decay: np.ndarray
    v_decay: np.ndarray
    threshold: np.ndarray
    bias: np.ndarray = field(default_factory=lambda: np.zeros((), np.int64))
    delay: np.ndarray | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    recurrent: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.kind == "conv":
            expected: tuple[int, ...] = conv_shape(
                self.shape_in, self.weight.shape, self.stride, self.padding, self.dilation
            )
            inputs = self.shape_in[0] / self.groups
        else:
            expected, inputs = (self.weight.shape[0],), math.prod(self.shape_in)
        if self.shape_out != expected or self.weight.shape[1] != inputs or self.weight.shape[0] % self.groups:
            raise ValueError(
                f"layer {self.name}: weight {self.weight.shape} in {self.groups} groups on input {self.shape_in} "
                f"gives {expected}, not {self.shape_out}"
            )
        if self.recurrent is not None and (self.kind != "dense" or self.recurrent.shape != self.shape_out * 2):
            raise ValueError(
                f"layer {self.name}: recurrent weights {self.recurrent.shape} on neurons {self.shape_out}"
            )

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape_out)

    @property
    def spiking(self) -> bool:
        """False where every threshold is at its maximum: a readout, whose membrane is the answer."""
        return bool((self.threshold < THRESHOLD_MAX).any())


@dataclass(frozen=True)
class Host:
    """What the host does around the chip: how it feeds events and reads membranes.

    ``step_us``, ``tau_syn_us``, ``input_mode`` ("graded" or "unary"), ``payload_one`` and ``payload_max`` as in
    :class:`snnface.network.Network`. ``scales``: per layer, integer current per float current, float64 ``[1]`` or
    (readout) ``[O]``; a float membrane is v / 2⁶ / scale.
    """

    step_us: int
    tau_syn_us: float
    input_mode: str
    payload_one: int
    payload_max: int
    scales: tuple[np.ndarray, ...]
    heads: dict[str, Head] = field(default_factory=dict)


@dataclass(frozen=True)
class IntegerNetwork:
    """A chain of integer layers; ``host`` is None for a netx file without our manifest.

    ``warnings``: what a reader should know, one sentence a layer and matter: where Lava changes or ignores something
    that stands in the file, and where no chip can hold what Lava's simulation runs.
    """

    input_shape: tuple[int, ...]
    layers: tuple[IntegerLayer, ...]
    host: Host | None = None
    warnings: tuple[str, ...] = ()

    @property
    def neurons(self) -> int:
        """Neurons of all layers, input excluded."""
        return sum(layer.neurons for layer in self.layers)

    @property
    def synapses(self) -> int:
        """Stored weights (a conv kernel is stored once)."""
        own = sum(layer.recurrent.size for layer in self.layers if layer.recurrent is not None)
        return own + sum(layer.weight.size for layer in self.layers)

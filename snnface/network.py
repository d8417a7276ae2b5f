"""A trained network as plain numbers: folded weights, decays, thresholds, and how to read its output.

This is what backends run, what the hardware room quantises and what the profiler counts. It knows numpy only.
Layout is torch's: conv weights OIHW, dense weights OI, shapes CHW, every pair (y, x).

Neuron (every layer): u ← α·u + x, v ← β·v + u, spike where v > θ, then v ← 0 or v ← v − θ (u is kept). A layer
with ``spiking=False`` (the readout, last layer only) has no threshold: its membrane v is the output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True)
class SynapticLayer:
    """One conv or dense layer with its neurons.

    ``weight``: float ``[O, I/groups, kH, kW]`` (conv) or ``[O, I]`` (dense; its input is flattened in C order).
    ``shape_in``, ``shape_out``: (C, H, W) for conv; shape_in of a dense layer may be (C, H, W) or (N,), its
    shape_out is (O,). ``alpha``, ``beta``: decay of current and membrane per step, in [0, 1]; these and
    ``threshold`` are one number each, or float ``[O]``, one for each output channel. ``reset``: "zero" or "subtract".
    """

    name: str
    kind: str
    weight: np.ndarray
    shape_in: tuple[int, ...]
    shape_out: tuple[int, ...]
    alpha: float | np.ndarray
    beta: float | np.ndarray
    threshold: float | np.ndarray = 1.0
    spiking: bool = True
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    reset: Literal["zero", "subtract"] = "zero"

    def __post_init__(self) -> None:
        if self.kind not in ("conv", "dense"):
            raise ValueError(f"layer {self.name}: kind {self.kind!r} is neither 'conv' nor 'dense'")
        if self.reset not in ("zero", "subtract"):
            raise ValueError(f"layer {self.name}: reset {self.reset!r} is neither 'zero' nor 'subtract'")
        expected = (
            conv_shape(self.shape_in, self.weight.shape, self.stride, self.padding, self.dilation)
            if self.kind == "conv"
            else (self.weight.shape[0],)
        )
        inputs = self.shape_in[0] // self.groups if self.kind == "conv" else math.prod(self.shape_in)
        if self.shape_out != expected or self.weight.shape[1] != inputs:
            raise ValueError(
                f"layer {self.name}: weight {self.weight.shape} on input {self.shape_in} gives {expected} from "
                f"{inputs} inputs a neuron, not {self.shape_out}"
            )
        for name in ("alpha", "beta", "threshold"):
            if np.shape(getattr(self, name)) not in ((), self.shape_out[:1]):
                raise ValueError(f"layer {self.name}: {name} is neither one number nor one for each channel")

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape_out)


@dataclass(frozen=True)
class Settling:
    """How a head's answers begin: membranes are divided by prior + (1 − prior)·r, r the part of a constant input
    that has reached the membrane since the start (:func:`snnface.heads.settled`).

    ``alpha``, ``beta``: the readout's decays, ``[size]`` (tensors while they are learned); ``prior`` (0..1): the
    weight of the mean label at first.
    """

    alpha: Any
    beta: Any
    prior: float


@dataclass(frozen=True)
class Head:
    """Rows ``[start, stop)`` of the readout: answer = membrane · scale + offset, both ``[stop - start]``.

    ``settling``: what the membrane is divided by in the first steps; None: nothing.
    """

    start: int
    stop: int
    scale: np.ndarray
    offset: np.ndarray
    settling: Settling | None = None


@dataclass(frozen=True)
class Network:
    """A feed-forward network of synaptic layers.

    ``input_shape`` (C=2 polarities off/on, H, W) in pixels; ``step_us`` the length of a step; ``tau_syn_us``
    ages events (their weight at step time t_k is exp(−(t_k − t)/τ)). ``input_mode``: "exact" (age weights as
    they are), "graded" (payload min(P, round(p₁·Σ age weights)) of a pixel and step, divided by p₁ in float) or
    "unary" (1 where a pixel has an event).
    ``heads``: name → :class:`Head` ("au", "expression", "landmarks", "coefficients").
    """

    input_shape: tuple[int, int, int]
    step_us: int
    tau_syn_us: float
    input_mode: str
    layers: tuple[SynapticLayer, ...]
    payload_one: int = 8
    payload_max: int = 31
    heads: dict[str, Head] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.input_mode not in ("exact", "graded", "unary"):
            raise ValueError(f"input mode {self.input_mode!r}: use exact, graded or unary")
        shape: tuple[int, ...] = self.input_shape
        for i, layer in enumerate(self.layers):
            if math.prod(layer.shape_in) != math.prod(shape) or (layer.kind == "conv" and layer.shape_in != shape):
                raise ValueError(f"layer {layer.name} takes {layer.shape_in}, the layer before gives {shape}")
            if not layer.spiking and i != len(self.layers) - 1:
                raise ValueError(f"layer {layer.name}: only the last layer may be a readout without spikes")
            shape = layer.shape_out

    @property
    def neurons(self) -> int:
        """Neurons of all layers, input excluded."""
        return sum(layer.neurons for layer in self.layers)


def conv_shape(
    shape_in: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int]:
    """Output shape (C, H, W) of a convolution, as torch computes it."""
    h, w = (
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(shape_in[1:], weight_shape[2:], stride, padding, dilation, strict=True)
    )
    return weight_shape[0], h, w

"""Random integer networks and inputs for Hypothesis: whatever a netx file can say, in small."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from snnface.hardware.integers.fixed_point import Simulator
from snnface.hardware.integers.network import (
    DECAY_UNIT,
    DELAY_MAX,
    STATE_SHIFT,
    THRESHOLD_MAX,
    IntegerLayer,
    IntegerNetwork,
)
from snnface.hardware.netx_files.dense_weights import dense_exact
from snnface.network import conv_shape

#: Decays that are extreme beside those in between.
EXTREME = (0, 1, 2, DECAY_UNIT - 1, DECAY_UNIT)


@dataclass(frozen=True)
class Case:
    """A network with its input, int64 ``[T, *input_shape]``, and netx's reset options."""

    network: IntegerNetwork
    x: np.ndarray
    reset_interval: int
    reset_offset: int

    @property
    def graded(self) -> bool:
        """Whether the input holds payloads."""
        return bool(self.x.max(initial=0) > 1)

    @property
    def features(self) -> set[str]:
        """What of a netx file the case uses, by name."""
        found = {"graded" if self.graded else "unary"}
        for x in self.network.layers:
            found |= {x.kind}
            tests: dict[str, Any] = {
                "stride": x.stride != (1, 1),
                "dilation": x.dilation != (1, 1),
                "groups": x.groups > 1,
                "asymmetric kernel": x.kind == "conv" and x.weight.shape[2] != x.weight.shape[3],
                "not square": len(x.shape_in) == 3 and x.shape_in[1] != x.shape_in[2],
                "bias": x.bias.any(),
                "delay": x.delay is not None,
                "recurrent": x.recurrent is not None,
                "own thresholds": x.threshold.ndim > 0,
                "extreme decay": np.isin([x.i_decay.min(), x.i_decay.max(), x.v_decay.min()], EXTREME).any(),
            }
            found |= {name for name, holds in tests.items() if holds}
        return found


@st.composite
def cases(draw: st.DrawFn, steps: int = 32) -> Case:
    """Up to three convolutions and up to three dense layers, on sparse to saturating input."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    largest, density = draw(st.sampled_from([1, 1, 31, 255])), draw(st.sampled_from([0.05, 0.2, 0.5, 0.95]))
    convolutions = draw(st.integers(0, 3))
    if convolutions:
        shape: tuple[int, ...] = (draw(st.integers(1, 4)), draw(st.integers(3, 9)), draw(st.integers(3, 9)))
    else:
        shape = (draw(st.integers(1, 30)),)
    first, layers, rate = shape, [], density * (1 + largest) / 2
    for _ in range(convolutions):
        layers.append(draw(_convolution(rng, shape, rate, len(layers))))
        shape, rate = layers[-1].shape_out, 0.2
    for _ in range(draw(st.integers(0 if layers else 1, 2 if layers else 3))):
        layers.append(draw(_dense(rng, shape, rate, len(layers))))
        shape, rate = layers[-1].shape_out, 0.2
    size = (steps, *first)
    x = (rng.random(size) < density) * rng.integers(1, largest + 1, size)
    network = _audible(IntegerNetwork(first, tuple(layers)), x)
    return Case(network, x, draw(st.integers(1, 24)), draw(st.integers(0, 2)))


def _audible(network: IntegerNetwork, x: np.ndarray) -> IntegerNetwork:
    """The same network, with lower thresholds where a layer would be silent, as far as that helps."""
    layers = list(network.layers)
    for i in range(len(layers)):
        part = IntegerNetwork(network.input_shape, tuple(layers[: i + 1]))
        trace = Simulator(part, lag=True, largest_input=int(x.max(initial=1))).advance(x[:, None], states=[i])[i]
        nearest = (trace.v.max((0, 1)) / (layers[i].threshold << STATE_SHIFT)).max()
        if not trace.s.any() and nearest > 0:
            lower = (layers[i].threshold * nearest / 2).astype(np.int64).clip(1)
            layers[i] = replace(layers[i], threshold=lower)
    return replace(network, layers=tuple(layers))


@st.composite
def _convolution(draw: st.DrawFn, rng: np.random.Generator, before: tuple[int, ...], rate: float, index: int) -> Any:
    channels = before[0]
    groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
    outputs = groups * draw(st.integers(1, max(1, 6 // groups)))
    axes = []
    for size in before[1:]:
        padding, dilation = draw(st.integers(0, 2)), draw(st.integers(1, 3))
        kernel = draw(st.integers(1, min(4, (size + 2 * padding - 1) // dilation + 1)))
        axes.append((kernel, draw(st.integers(1, 3)), padding, dilation))
    kernel, stride, padding, dilation = zip(*axes, strict=True)
    weight = draw(_weight(rng, (outputs, channels // groups, *kernel)))
    shape = conv_shape(before, weight.shape, stride, padding, dilation)
    neurons = draw(_neurons(rng, shape, rate, weight))
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return IntegerLayer(f"conv{index}", "conv", weight, before, shape, **neurons, **geometry)


@st.composite
def _dense(draw: st.DrawFn, rng: np.random.Generator, before: tuple[int, ...], rate: float, index: int) -> Any:
    outputs, inputs = draw(st.integers(1, 16)), math.prod(before)
    weight = draw(_weight(rng, (outputs, inputs)))
    further: dict[str, Any] = {}
    match draw(st.sampled_from(["recurrent", "delay", "plain"])):
        case "delay":
            longest = draw(st.sampled_from([0, 1, 3, DELAY_MAX]))
            shape = draw(st.sampled_from([(), (outputs, 1), (1, inputs), (outputs, inputs)]))
            further["delay"] = np.broadcast_to(rng.integers(0, longest + 1, shape), weight.shape)
        case "recurrent":
            further["recurrent"] = draw(_weight(rng, (outputs, outputs)))
    if not dense_exact(weight, further.get("recurrent")):
        weight.flat[0] = 254
    neurons = draw(_neurons(rng, (outputs,), rate, weight))
    return IntegerLayer(f"dense{index}", "dense", weight, before, (outputs,), **neurons, **further)


@st.composite
def _weight(draw: st.DrawFn, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Even weights of a chip: mixed or of one sign, few bits or many, with zeros or without."""
    least, most = draw(st.sampled_from([(-127, 127), (-127, 127), (-3, 3), (0, 127), (-20, 127)]))
    weight = 2 * rng.integers(least, most + 1, shape) * (rng.random(shape) < draw(st.sampled_from([0.3, 1])))
    if not weight.any():
        weight.flat[0] = 2
    return weight


@st.composite
def _neurons(
    draw: st.DrawFn, rng: np.random.Generator, shape: tuple[int, ...], rate: float, weight: np.ndarray
) -> dict[str, np.ndarray]:
    """Parameters as one number, one a channel or one a neuron; thresholds near the sums that are to be expected."""
    sizes = st.sampled_from([(), (shape[0], 1, 1) if len(shape) == 3 else shape, shape])

    def decay() -> np.ndarray:
        size, extreme = draw(sizes), draw(st.booleans())
        return rng.choice(EXTREME, size) if extreme else rng.integers(0, DECAY_UNIT + 1, size)

    usual = rate * math.sqrt((weight.reshape(len(weight), -1) ** 2).sum(1).mean() / max(rate, 1)) + 1
    threshold = usual * 2.0 ** rng.uniform(-2, 2.5, draw(sizes))
    bias = rng.integers(-1, 2, draw(sizes)) * rng.uniform(0, min(4000, usual / 4)) * draw(st.booleans())
    return {
        "i_decay": np.asarray(decay()),
        "v_decay": np.asarray(decay()),
        "threshold": np.rint(threshold).astype(np.int64).clip(1, THRESHOLD_MAX),
        "bias": np.rint(bias).astype(np.int64),
    }

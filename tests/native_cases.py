"""Stacks of layers, random and fixed, run by the native kernels and by the reference in float64, and compared."""

from __future__ import annotations

import contextlib
import ctypes
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from unittest import mock

import pytest
import small_networks as small
import torch
from hypothesis import strategies as st
from torch import Tensor

from snnface.backends import native
from snnface.batch import EventBatch
from snnface.engine import library
from snnface.forward import Layer, Trace, propagate
from snnface.input import Coding, InputSpikes
from snnface.network import conv_shape
from snnface.neuron import Lif
from snnface.surrogate import SURROGATES, Surrogate
from snnface.synapse import Conv, from_events, from_spikes

LEVELS = library.available()
built = pytest.mark.skipif(not LEVELS, reason="the engine is not built")

#: A spike may differ where the membrane is this close to the threshold.
NEAR = 1e-5
#: Gradients: of a tensor's norm, and of its largest element; and of the largest of all.
CLOSE, ROUNDING = 1e-4, 5e-6
#: How events are coded; of no meaning to spikes that are ready.
CODING = small.network()
#: Bytes a run for what the engine could compute again.
KEEP = 128 << 20
#: Products of a layer in a random case, so that the reference stays quick.
PRODUCTS = 6_000_000


@contextlib.contextmanager
def engine(level: str | None = None, threads: int = 1, keep: int = KEEP) -> Iterator[None]:
    """The engine at one level (the highest by default) on so many threads; ``keep``: bytes for what it could compute
    again."""
    with (
        mock.patch.dict("os.environ", {library.VARIABLE: level or LEVELS[-1]}),
        mock.patch.object(library, "threads", return_value=threads),
    ):
        loaded = library.library()
        assert loaded is not None
        loaded.snn_keep(ctypes.c_int64(keep))
        try:
            yield
        finally:
            loaded.snn_keep(ctypes.c_int64(KEEP))


# What a case is: plain numbers, that hypothesis can print and shrink; the tensors follow from them and the seed.


PLAIN, FAST_SIGMOID = Conv(), Surrogate()


@dataclass(frozen=True)
class Parameter:
    """A decay or threshold: uniform in ``low`` … ``high``, one for each channel or one for all."""

    low: float
    high: float
    each: bool = True
    learned: bool = False


@dataclass(frozen=True)
class Plan:
    """A layer; ``kernel`` None for a dense one."""

    channels: int
    kernel: tuple[int, int] | None = None
    conv: Conv = PLAIN
    alpha: Parameter = Parameter(0.1, 0.9)
    beta: Parameter = Parameter(0.3, 0.95)
    threshold: Parameter = Parameter(0.6, 1.3)
    surrogate: Surrogate = FAST_SIGMOID
    detach_reset: bool = True
    reset: str = "zero"
    spiking: bool = True
    learned: bool = True


EACH = Parameter(0.2, 0.9, learned=True)
THRESHOLD = Parameter(0.6, 1.2, learned=True)
#: Chunks and rows of every kind: 33 channels, groups, 70 dense neurons of several chunks, a readout. All is learned.
STACK = (
    Plan(33, (3, 2), Conv((2, 1), (1, 0)), EACH, EACH, THRESHOLD, Surrogate("triangle", 1.0), False),
    Plan(
        22, (2, 3), Conv((1, 2), (1, 1), (2, 1), 11), EACH, EACH, THRESHOLD, Surrogate("atan", 2.0), False, "subtract"
    ),
    Plan(70, None, Conv(), EACH, EACH, THRESHOLD, Surrogate("fast_sigmoid", 2.0)),
    Plan(5, None, Conv(), EACH, EACH, spiking=False),
)


@dataclass(frozen=True)
class Case:
    """A stack of layers and its input ``[T, B, C, H, W]``; ``late``: a clip's pixels are silent up to some step."""

    shape: tuple[int, int, int, int, int]
    plans: tuple[Plan, ...]
    density: float = 0.2
    truncate: int | None = None
    seed: int = 0
    late: bool = False

    def inputs(self) -> InputSpikes:
        generator, (steps, clips, _, *size) = torch.Generator().manual_seed(self.seed), self.shape
        active = torch.rand(self.shape, generator=generator) < self.density
        if self.late:
            begins = torch.randint(steps, (clips, 1, *size), generator=generator)
            active &= torch.arange(steps).view(-1, 1, 1, 1, 1) >= begins
        index = active.flatten().nonzero()[:, 0]
        return InputSpikes(index, torch.rand(len(index), generator=generator) + 0.5, self.shape)

    def layers(self) -> list[Layer]:
        """Float32, with leaves where something is learned. About every fifth neuron-step spikes."""
        generator = torch.Generator().manual_seed(self.seed + 1)

        def value(parameter: Parameter, channels: int) -> float | Tensor:
            length = (channels,) if parameter.each else ()
            value = torch.rand(length, generator=generator) * (parameter.high - parameter.low) + parameter.low
            if parameter.learned:
                return value.requires_grad_()
            return value if parameter.each else float(value)

        layers, shape = [], tuple(self.shape[2:])
        for plan in self.plans:
            fan_in = (shape[0] // plan.conv.groups, *plan.kernel) if plan.kernel else (math.prod(shape),)
            weight = torch.randn((plan.channels, *fan_in), generator=generator) * 1.5 / math.sqrt(math.prod(fan_in))
            own = Lif(
                *(value(p, plan.channels) for p in (plan.alpha, plan.beta, plan.threshold)),
                plan.surrogate,
                plan.detach_reset,
                plan.reset,
                self.truncate,
            )
            conv = plan.conv if plan.kernel else None
            layers.append(Layer(weight.requires_grad_(plan.learned), own, conv, plan.spiking))
            shape = native.layer_shapes(shape, layers[-1:])[-1]
        return layers


def in_float64(layers: Sequence[Layer]) -> list[Layer]:
    """The same numbers in float64, with leaves of their own."""

    def leaf(value: float | Tensor) -> float | Tensor:
        if not isinstance(value, Tensor):
            return value
        return value.detach().double().requires_grad_(value.requires_grad)

    return [
        Layer(
            leaf(layer.weight),
            replace(
                layer.neuron, **{name: leaf(getattr(layer.neuron, name)) for name in ("alpha", "beta", "threshold")}
            ),
            layer.conv,
            layer.spiking,
        )
        for layer in layers
    ]


def leaves(layers: Sequence[Layer]) -> list[Tensor]:
    """What is learned."""
    each = [(layer.weight, layer.neuron.alpha, layer.neuron.beta, layer.neuron.threshold) for layer in layers]
    return [p for four in each for p in four if isinstance(p, Tensor) and p.requires_grad]


def gradients(trace: Trace, layers: Sequence[Layer]) -> list[Tensor]:
    """Gradients of a random projection of rates and readout, in float64; 0 for what takes no part."""
    generator, loss, learned = torch.Generator().manual_seed(2), torch.zeros((), dtype=torch.float64), leaves(layers)
    if not learned:
        return []
    outputs = trace.rates if layers[-1].spiking else [*trace.rates, trace.readout.flatten(2) / len(trace.readout)]
    for output in outputs:
        loss = loss + (output * (torch.rand(output.shape, generator=generator) + 0.5)).sum()
    if not loss.requires_grad:
        return [torch.zeros_like(p).double() for p in learned]
    found = torch.autograd.grad(loss, learned, allow_unused=True)
    return [(torch.zeros_like(p) if g is None else g).double() for p, g in zip(learned, found, strict=True)]


@dataclass(frozen=True)
class Outcome:
    """What a run gave: spikes, rates and readout in float64, gradients."""

    spikes: list[Tensor]
    rates: list[Tensor]
    readout: Tensor | None
    gradients: list[Tensor]


def outcome(trace: Trace, layers: Sequence[Layer]) -> Outcome:
    """Of a run of either side."""
    readout = None if layers[-1].spiking else trace.readout.detach().double().flatten(2)
    spikes = [s.detach().double() for s in trace.dense().spikes]
    return Outcome(spikes, [r.detach().double() for r in trace.rates], readout, gradients(trace, layers))


def by_reference(inputs: InputSpikes, layers: Sequence[Layer]) -> Outcome:
    double = in_float64(layers)
    return outcome(propagate(inputs, double), double)


def by_engine(inputs: InputSpikes | EventBatch, layers: Sequence[Layer], coding: Coding = CODING) -> Outcome:
    return outcome(native.run(inputs, coding, layers), layers)


def membranes(x: Tensor, neuron: Lif) -> Tensor:
    """The membrane before reset of every step, from the equations."""
    alpha, beta, threshold = (
        torch.as_tensor(p, dtype=x.dtype).detach().view(-1, *[1] * (x.dim() - 3))
        for p in (neuron.alpha, neuron.beta, neuron.threshold)
    )
    u = v = torch.zeros_like(x[0])
    found = []
    for step in x:
        u = alpha * u + step
        v = beta * v + u
        found.append(v - threshold)
        v = torch.where(v > threshold, v - threshold if neuron.reset == "subtract" else 0.0, v)
    return torch.stack(found)


def layer_input(inputs: InputSpikes, spikes: Sequence[Tensor], layers: Sequence[Layer], i: int) -> Tensor:
    """Synaptic input of layer i in float64, from the spikes before it."""
    weight = layers[i].weight.detach().double()
    return from_spikes(spikes[i - 1], weight, layers[i].conv) if i else from_events(inputs, weight, layers[0].conv)


def same_spikes(found: Outcome, wanted: Outcome, inputs: InputSpikes, layers: Sequence[Layer]) -> bool:
    """Whether all spikes are the reference's. Fails where a neuron's first other spike is not one of rounding.

    After it a neuron has another history, and so has all that follows: nothing more can be compared.
    """
    for i, (ours, theirs) in enumerate(zip(found.spikes, wanted.spikes, strict=True)):
        differs = ours != theirs
        if differs.any():
            gap = membranes(layer_input(inputs, wanted.spikes, layers, i), layers[i].neuron)
            assert torch.equal(gap > 0, theirs.bool())
            first = differs & (differs.cumsum(0) == 1)
            assert gap[first].abs().max() < NEAR, f"layer {i}"
            return False
    return True


def assert_close(found: Sequence[Tensor], wanted: Sequence[Tensor], within: float = CLOSE) -> None:
    """Each tensor by its norm, and each element by the largest of its tensor.

    Where terms cancel, or a membrane lies at a surrogate's edge, little is left of numbers that were rounded when
    they were large: hence a part of the largest gradient of all.
    """
    rounding = ROUNDING * max((float(g.abs().max()) for g in wanted), default=0.0)
    for i, (ours, theirs) in enumerate(zip(found, wanted, strict=True)):
        assert ours.shape == theirs.shape
        assert (ours - theirs).norm() <= within * theirs.norm() + rounding, f"gradient {i}"
        assert (ours - theirs).abs().max() <= within * theirs.abs().max() + rounding, f"gradient {i}"


def assert_same_outputs(found: Outcome, wanted: Outcome) -> None:
    """Rates, readout and gradients, of runs with the same spikes."""
    for ours, theirs in zip(found.rates, wanted.rates, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)
    if wanted.readout is not None:
        assert found.readout is not None
        torch.testing.assert_close(found.readout, wanted.readout, rtol=1e-4, atol=NEAR)
    assert_close(found.gradients, wanted.gradients)


def assert_as_reference(case: Case) -> tuple[Case, Outcome]:
    """With the case's seed, or another where a membrane is at a threshold; returns it and the reference's outcome."""
    for seed in range(case.seed, case.seed + 5):
        tried = replace(case, seed=seed)
        inputs, layers = tried.inputs(), tried.layers()
        found, wanted = by_engine(inputs, layers), by_reference(inputs, layers)
        if same_spikes(found, wanted, inputs, layers):
            assert_same_outputs(found, wanted)
            return tried, wanted
    pytest.fail("every one of five cases has a membrane at a threshold")


# Random stacks


@st.composite
def parameters(draw: st.DrawFn, low: float, high: float, zero: bool = False) -> Parameter:
    if zero and draw(st.integers(0, 3)) == 0:
        low = high = 0.0
    return Parameter(low, high, draw(st.booleans()), draw(st.integers(0, 2)) == 0)


@st.composite
def channel_counts(draw: st.DrawFn, products: int) -> int:
    """Few as often as many, but no more than may be; ``products``: of all steps, for each channel."""
    some = draw(st.one_of(st.integers(1, 9), st.sampled_from((15, 16, 17, 31, 32, 33, 48, 64, 65, 70))))
    return min(some, max(1, PRODUCTS // products))


@st.composite
def plans(draw: st.DrawFn, channels: int, spiking: bool = True, **geometry: object) -> Plan:
    return Plan(
        channels,
        alpha=draw(parameters(0.05, 0.9, zero=True)),
        beta=draw(parameters(0.3, 0.95)),
        threshold=draw(parameters(*draw(st.sampled_from(((0.6, 1.3), (0.6, 1.3), (-0.3, 0.3)))))),
        surrogate=Surrogate(draw(st.sampled_from(sorted(SURROGATES))), draw(st.sampled_from((0.5, 1.0, 2.3, 10.0)))),
        detach_reset=draw(st.booleans()),
        reset=draw(st.sampled_from(("zero", "subtract"))),
        spiking=spiking,
        learned=draw(st.integers(0, 9)) > 0,
        **geometry,  # type: ignore[arg-type]
    )


@st.composite
def convolutions(draw: st.DrawFn, before: tuple[int, ...], runs: int) -> Plan:
    """A convolution that fits its input of ``before`` (C, H, W); ``runs``: steps of all clips."""
    axes, halved = [], draw(st.integers(0, 2)) == 0
    for size in before[1:]:
        if halved and size > 1:  # these have kernels of their own on the way back
            axes.append((3, 2, draw(st.integers(1, 3)), 1))
            continue
        padding, dilation = draw(st.integers(0, 2)), draw(st.integers(1, 2))
        kernel = draw(st.integers(1, min(5, (size + 2 * padding - 1) // dilation + 1)))
        axes.append((kernel, draw(st.integers(1, 3)), padding, dilation))
    kernel, stride, padding, dilation = zip(*axes, strict=True)
    groups = draw(st.sampled_from([g for g in range(1, before[0] + 1) if before[0] % g == 0]))
    positions = math.prod(conv_shape(before, (1, 1, *kernel), stride, padding, dilation))
    channels = draw(channel_counts(runs * positions * before[0] // groups * math.prod(kernel)))
    channels = groups * max(1, channels // groups)
    return draw(plans(channels, kernel=kernel, conv=Conv(stride, padding, dilation, groups)))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    steps = draw(st.one_of(st.integers(1, 100), st.sampled_from((1, 31, 32, 33, 64, 65))))
    clips = draw(st.integers(1, 5))
    shape: tuple[int, ...] = (
        draw(st.sampled_from((1, 2, 2, 3, 17))),
        draw(st.integers(1, 10)),
        draw(st.integers(1, 10)),
    )
    whole, stack, runs = (steps, clips, *shape), [], steps * clips
    for _ in range(draw(st.integers(0, 3))):
        stack.append(draw(convolutions(shape, runs)))
        conv = stack[-1].conv
        weight = (stack[-1].channels, 1, *stack[-1].kernel)
        shape = conv_shape(shape, weight, conv.stride, conv.padding, conv.dilation)
    for _ in range(draw(st.integers(0, 2))):
        stack.append(draw(plans(draw(channel_counts(runs * math.prod(shape))))))
        shape = (stack[-1].channels,)
    if not stack or draw(st.booleans()):
        stack.append(draw(plans(draw(channel_counts(runs * math.prod(shape))), spiking=False)))
    density = draw(st.sampled_from((0.0, 0.02, 0.1, 0.25, 0.4)))
    truncate = draw(st.sampled_from((None, None, 1, 5, 32, 48)))
    return Case(whole, tuple(stack), density, truncate, draw(st.integers(0, 1_000_000)), draw(st.booleans()))

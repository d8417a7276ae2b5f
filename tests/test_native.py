"""The native kernels against the reference in float64: spikes, readout, rates and every gradient."""

from __future__ import annotations

import contextlib
import ctypes
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from unittest import mock

import numpy as np
import pytest
import small_networks as small
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from snnface import backends
from snnface.backends import native
from snnface.batch import EventBatch, collate_events
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig, HeadConfig
from snnface.engine import library
from snnface.errors import InputError
from snnface.events import pack
from snnface.forward import Layer, Run, Trace, network_layers, propagate, run_reference
from snnface.input import Coding, InputSpikes, coded
from snnface.network import conv_shape
from snnface.neuron import Lif
from snnface.surrogate import SURROGATES, Shape, Surrogate
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


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """For torch: these networks are too small for several. Those of the engine are chosen where they matter."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


@built
def test_random_stacks_are_the_references_at_every_level() -> None:
    """Cases with a membrane at a threshold are put aside, once it is shown that this is the reason."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=210, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(cases(), st.sampled_from((1, 1, 1, 1, 1, 1, 1, 2)), st.sampled_from((KEEP, 0, 30_000)))
    def check(case: Case, threads: int, keep: int) -> None:
        inputs, layers = case.inputs(), case.layers()
        wanted = by_reference(inputs, layers)
        for level in LEVELS:
            with engine(level, threads, keep):
                found = by_engine(inputs, layers)
            same = same_spikes(found, wanted, inputs, layers)
            seen["at the threshold"] += not same
            assume(same)
            assert_same_outputs(found, wanted)
        seen["compared"] += 1
        seen["busy"] += all(0.005 < s.mean() < 0.7 for s in wanted.spikes)
        seen["gradients"] += sum(bool(g.any()) for g in wanted.gradients)

    check()
    assert seen["compared"] >= 200
    assert seen["at the threshold"] <= 20
    assert seen["busy"] >= 70
    assert seen["gradients"] >= 600


# Fixed stacks, each for one thing


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


@built
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("clips", [1, 4, 13])
def test_threads_share_the_work_without_a_trace(clips: int, level: str) -> None:
    """Whole clips each, also where they do not go up; or rows, and chunks of channels where there are fewer rows."""
    case = Case((40, clips, 2, 9, 7), STACK, seed=3)
    inputs, layers = case.inputs(), case.layers()
    runs = {}
    for threads in (1, 2, 3):
        with engine(level, threads):
            runs[threads], again = by_engine(inputs, layers), by_engine(inputs, layers)
        for ours, theirs in zip(runs[threads].gradients, again.gradients, strict=True):
            assert torch.equal(ours, theirs)
    for s in runs[1].spikes:
        assert 0.01 < s.mean() < 0.5
    for threads in (2, 3):
        for name in ("spikes", "rates"):
            for ours, theirs in zip(getattr(runs[threads], name), getattr(runs[1], name), strict=True):
                assert torch.equal(ours, theirs)
        assert torch.equal(runs[threads].readout, runs[1].readout)
        assert_close(runs[threads].gradients, runs[1].gradients, 1e-5)


@built
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("slope", "near"), [(0.05, (0.9, 1.0)), (8.0, (0.0, 0.15))])
def test_compact_surrogates_are_exact_where_few_and_where_many_neurons_are_near(
    slope: float, near: tuple[float, float], level: str
) -> None:
    """Below a third scalar products of these neurons alone are taken, else the product of all."""
    own = Plan(32, (3, 3), Conv((1, 2), (1, 1)), surrogate=Surrogate("triangle", slope), detach_reset=False)
    case = Case((50, 2, 2, 6, 8), (own, replace(own, channels=64), Plan(48, surrogate=own.surrogate), STACK[-1]))
    with engine(level):
        case, wanted = assert_as_reference(case)
    inputs, layers = case.inputs(), case.layers()
    for i, layer in enumerate(layers[:-1]):
        gap = membranes(layer_input(inputs, wanted.spikes, layers, i), layer.neuron)
        assert near[0] <= (gap.abs() < 1 / slope).double().mean() <= near[1]
        assert 0.02 < wanted.spikes[i].mean() < 0.5


@built
@pytest.mark.parametrize("level", LEVELS)
def test_positions_that_wake_late_know_nothing_of_the_clip_before(level: str) -> None:
    """Nothing is computed, kept or cleared of a position before it can have input."""
    first = Plan(17, (2, 2), Conv((2, 2)), surrogate=Surrogate("triangle", 0.5), detach_reset=False)
    second = Plan(32, (1, 2), Conv((1, 2)), detach_reset=False, reset="subtract")
    case = Case((100, 4, 2, 6, 12), (first, second, STACK[-1]), 0.3, late=True)
    with engine(level):
        case, wanted = assert_as_reference(case)
    for spikes in wanted.spikes[:2]:
        wakes = spikes.amax(2).cumsum(0).eq(0).sum(0)  # [B, H, W]: the first step with a spike
        assert ((wakes[1:] > 32) & (wakes[1:] < 100) & (wakes[:-1] < 80)).any()


@built
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("size", [(9, 14), (16, 7)])
@pytest.mark.parametrize("padding", [(1, 1), (0, 2), (3, 0)])
def test_kernels_that_halve_the_picture(
    padding: tuple[int, int], size: tuple[int, int], learned: bool, level: str
) -> None:
    """What a 3x3 kernel of stride 2 sends back is filtered, wherever its tiles begin; late positions need less."""
    alpha = Parameter(0.2, 0.5, learned=learned)
    first = Plan(20, (1, 1), Conv(), alpha, surrogate=Surrogate("atan", 2.0))
    second = Plan(33, (3, 3), Conv((2, 2), padding), alpha, surrogate=Surrogate("triangle", 1.0))
    third = Plan(24, (3, 3), Conv((2, 2), padding[::-1]), alpha)
    case = Case((70, 2, 2, *size), (first, second, third, STACK[-1]), 0.2, late=True)
    with engine(level):
        _, wanted = assert_as_reference(case)
    assert all(s.mean() > 0.01 for s in wanted.spikes)


@built
@pytest.mark.parametrize("level", LEVELS)
def test_what_is_kept_is_what_is_computed_again(level: str) -> None:
    """Bit for bit: lists of rows, and the neurons near threshold of compact surrogates."""
    own = Plan(33, (3, 3), Conv((2, 2), (1, 1)), surrogate=Surrogate("triangle", 3.0), detach_reset=False)
    case = Case((70, 3, 2, 9, 12), (own, replace(own, channels=40), STACK[-1]), late=True)
    inputs, layers = case.inputs(), case.layers()
    runs = []
    for keep in (KEEP, 30_000, 0):
        with engine(level, keep=keep):
            runs.append(by_engine(inputs, layers))
    assert all(g.any() for g in runs[0].gradients)
    for other in runs[1:]:
        for ours, theirs in zip(runs[0].gradients, other.gradients, strict=True):
            assert torch.equal(ours, theirs)


@built
@pytest.mark.parametrize("level", LEVELS)
def test_more_rows_of_weights_than_16_bits_count(level: str) -> None:
    first = Plan(16, (1, 1), threshold=Parameter(0.6, 0.8))
    case = Case((5, 1, 2, 64, 65), (first, Plan(20, threshold=Parameter(0.01, 0.1)), STACK[-1]), 0.05)
    with engine(level):
        _, wanted = assert_as_reference(case)
    assert wanted.spikes[1].any()


@built
def test_a_dense_layer_on_a_large_picture() -> None:
    """A kernel of a thousand positions."""
    case = Case((5, 2, 2, 34, 31), (Plan(3, (1, 1), threshold=Parameter(0.6, 0.8)), Plan(20), STACK[-1]))
    with engine():
        _, wanted = assert_as_reference(case)
    assert wanted.spikes[1].any()


@built
def test_a_last_layer_that_spikes_is_the_readout() -> None:
    case = Case((7, 2, 2, 6, 5), STACK[:2])
    with engine():
        trace = native.run(case.inputs(), CODING, case.layers())
    dense = trace.dense()
    assert trace.readout is trace.spikes[-1]
    assert [s.shape for s in trace.spikes] == [s.shape for s in dense.spikes] == [(7, 2, 33, 3, 4), (7, 2, 22, 3, 2)]
    assert torch.equal(dense.readout, dense.spikes[-1].flatten(2))
    for rates, spikes in zip(dense.rates, dense.spikes, strict=True):
        assert spikes.any()
        assert set(spikes.unique().tolist()) == {0.0, 1.0}
        torch.testing.assert_close(rates, spikes.mean((0, 3, 4)), rtol=1e-6, atol=1e-7)


# Events


def clips_of_events() -> EventBatch:
    """Two lively clips, and between them an empty one; at times and pixels where a step or a cell could go wrong."""
    step = small.STEP_US
    edges = [(0, 3, 2, 1), (0, 3, 2, 1), (1, 3, 2, 1), (step, 3, 2, 1), (step, 3, 2, 0), (step + 1, 3, 2, 0)]
    edges += [(2 * step, 0, 0, 1)] * 40  # more than the largest payload
    edges += [(2 * step, 10, 8, 0), (3 * step - 1, 10, 8, 0), (9 * step, 5, 5, 1), (9 * step + 1, 5, 5, 1)]
    edges += [(13 * step, 1, 1, 1), (50 * step, 2, 2, 0)]  # after the clip's end, after the batch's last step
    edge = pack(*(np.array(column) for column in zip(*edges, strict=True)))
    clips = [edge, small.clip(1, 0), small.clip(40 * step - 7, 3_000), small.clip(21 * step, 900, seed=1)]
    return collate_events(clips, [10 * step, 3 * step, 40 * step - 7, 21 * step], small.WIDTH, small.HEIGHT)


@built
@pytest.mark.parametrize("steps", [None, 9, 45])
@pytest.mark.parametrize("mode", ["exact", "graded", "unary"])
@pytest.mark.parametrize("level", LEVELS)
def test_events_enter_as_in_the_reference(level: str, mode: str, steps: int | None) -> None:
    network, batch = replace(small.network(), input_mode=mode, payload_one=3, payload_max=20), clips_of_events()
    layers, exact = (network_layers(network, dtype) for dtype in (torch.float32, torch.float64))
    layers[0].weight.requires_grad_(), exact[0].weight.requires_grad_()
    with engine(level):
        found = outcome(native.run(batch, network, layers, steps), layers)
    wanted = outcome(run_reference(batch, network, exact, steps=steps), exact)
    assert found.spikes[0].shape[:2] == (steps or 40, 4)
    assert same_spikes(found, wanted, coded(batch, network, steps, torch.float64), layers)
    assert_same_outputs(found, wanted)
    assert wanted.gradients[0].any()
    assert not wanted.spikes[0][:, 1].any()
    assert all(s[:, clip].any() for s in wanted.spikes[:2] for clip in (0, 2, 3))


@built
def test_a_trained_network_runs_without_gradients() -> None:
    batch = clips_of_events()
    with engine():
        found = native.run_network(small.network(), batch)
    wanted = backends.get("torch")(small.network(), batch)
    for ours, theirs in zip(found.spikes, wanted.spikes, strict=True):
        assert torch.equal(ours, theirs)
    torch.testing.assert_close(found.readout, wanted.readout, rtol=1e-4, atol=NEAR)
    assert not found.readout.requires_grad


# Training


def encoder(batch: EventBatch, **more: object) -> Encoder:
    """Two convolutions, a dense layer and two heads, made the same each time."""
    torch.manual_seed(0)
    made = Encoder(
        EncoderConfig(
            width=batch.width,
            height=batch.height,
            step_us=small.STEP_US,
            tau_syn_us=4_000,
            conv=[ConvConfig(channels=9), ConvConfig(channels=18, stride=1)],
            dense=[DenseConfig(features=20)],
            heads={"one": HeadConfig(size=3, scale=[1.0] * 3, offset=[0.0] * 3),
                   "other": HeadConfig(size=2, scale=[2.0] * 2, offset=[0.5] * 2)},
            **more,
        )
    )  # fmt: skip
    made.calibrate(batch, 0.08)
    return made


@built
@pytest.mark.parametrize("more", [
    {},
    {"learn_decays": True, "learn_threshold": True, "reset": "subtract", "detach_reset": False, "truncate_steps": 7,
     "surrogate": "triangle", "input_mode": "exact"},
])  # fmt: skip
def test_an_encoder_learns_the_same(more: dict[str, object]) -> None:
    batch, runs = small.batch(60_000, 52_000, 60_000, events=900), {}
    wanted = torch.tensor([0, 2, 1])

    def train(run: Run) -> tuple[list[float], list[Tensor]]:
        student, losses = encoder(batch, **more), []
        optimiser = torch.optim.Adam(student.parameters(), lr=1e-3)
        for _ in range(6):
            answers, trace = student(batch, run)
            loss = torch.nn.functional.cross_entropy(answers["one"].mean(0), wanted)
            loss = loss + answers["other"][-1].square().mean()
            loss = loss + sum((rates - 0.1).square().mean() for rates in trace.rates)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        return losses, [rates.detach() for rates in trace.rates]

    with engine():
        runs["native"] = train(native.run)
    runs["torch"] = train(run_reference)
    losses, rates = runs["torch"]
    assert max(losses) - min(losses) > 1e-2
    assert runs["native"][0] == pytest.approx(losses, rel=1e-4)
    for ours, theirs in zip(runs["native"][1], rates, strict=True):
        assert theirs.any()
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@built
@pytest.mark.parametrize("truncate", [None, 50])
def test_long_recordings_keep_their_gradients(truncate: int | None) -> None:
    """79 blocks of steps; what is kept of each is its spikes and the states where it begins."""
    plans = [replace(plan, channels=channels) for plan, channels in zip(STACK, (6, 12, 10, 3), strict=True)]
    plans[1] = replace(plans[1], conv=replace(plans[1].conv, groups=3))
    case = Case((2_500, 1, 2, 4, 4), tuple(plans), 0.1, truncate, seed=5)
    with engine():
        _, wanted = assert_as_reference(case)
    assert all(0.01 < s.mean() < 0.5 for s in wanted.spikes)


def kept_bytes(trace: Trace) -> int:
    kept = trace.spikes[0]._kept
    kept.engine.snn_bytes.restype = ctypes.c_int64
    return kept.engine.snn_bytes(kept.handle)


@built
@pytest.mark.parametrize("level", LEVELS)
def test_memory_grows_by_spikes_and_states_alone(level: str) -> None:
    """A bit a neuron-step, and a state of one or two floats for every 32 of them but the first; what could be
    computed again is kept beside them up to a limit."""
    plans = (
        Plan(16, (3, 3), Conv((2, 2), (1, 1))),
        Plan(48, (3, 3), Conv(padding=(1, 1)), alpha=Parameter(0.0, 0.0)),
    )
    clips, positions, channels, states = 2, 5 * 4, 16 + 48, 2 * 16 + 48

    def kept(steps: int, learned: bool, keep: int = KEEP) -> int:
        case = Case((steps, clips, 2, 9, 7), tuple(replace(plan, learned=learned) for plan in plans), 0.05)
        with engine(level, keep=keep):
            return kept_bytes(native.run(case.inputs(), CODING, case.layers()))

    for steps, blocks in ((1, 1), (32, 1), (33, 2), (2_500, 79)):
        spikes = clips * positions * channels * blocks * 32 // 8
        starts = len(plans) * clips * positions * 4  # from which step on a position matters
        assert kept(steps, learned=False) == spikes + starts
        needed = spikes + starts + clips * positions * states * (blocks - 1) * 4
        assert needed < kept(steps, learned=True) <= needed + KEEP
        assert kept(steps, learned=True, keep=0) == needed


# Refusals


def refused(layers: Sequence[Layer]) -> str:
    case = Case((3, 1, 2, 5, 5), ())
    with pytest.raises(InputError) as caught:
        native.run(case.inputs(), CODING, layers)
    return str(caught.value)


@built
def test_what_the_engine_cannot_do_is_refused(monkeypatch) -> None:
    case = Case((3, 1, 2, 5, 5), (Plan(4, (3, 3)),))
    (layer,) = case.layers()
    assert "not in torch.float64 on cpu" in refused(in_float64([layer]))
    assert "not in torch.float32 on meta" in refused([replace(layer, weight=layer.weight.to("meta"))])
    assert "smooth primitive" in refused([replace(layer, neuron=replace(layer.neuron, smooth=True))])
    monkeypatch.setitem(SURROGATES, "box", Shape(lambda d, k: (d.abs() < 1 / k).to(d), lambda d, k: d, 1.0))
    refusal = refused([layer, replace(layer, neuron=replace(layer.neuron, surrogate=Surrogate("box")))])
    assert refusal == "backend native: it does not know the surrogate box. Use the backend torch for it."


@built
def test_layers_that_cut_gradients_at_different_steps_are_refused() -> None:
    layers = Case((3, 1, 2, 5, 5), (Plan(4, (3, 3)), Plan(3, (2, 2)))).layers()
    layers[1] = replace(layers[1], neuron=replace(layers[1].neuron, truncate=2))
    assert "at the same steps" in refused(layers)


@built
@pytest.mark.parametrize(
    ("shape", "conv"), [((4, 3, 3, 3), Conv()), ((4, 2, 3, 3), Conv(groups=2)), ((3, 1, 3, 3), Conv(groups=2)),
                        ((5, 49), None), ((5, 2, 5, 5), None)]
)  # fmt: skip
def test_weights_that_do_not_fit_are_refused_before_anything_is_read(
    shape: tuple[int, ...], conv: Conv | None
) -> None:
    assert "layer 0: has weights" in refused([Layer(torch.zeros(shape), Lif(0.5, 0.5), conv)])


@built
@pytest.mark.parametrize("length", [1, 3, 5])
def test_parameters_of_another_length_than_the_channels_are_refused(length: int) -> None:
    neuron = Lif(0.5, torch.full((length,), 0.5))
    assert "for 4 channels" in refused([Layer(torch.zeros(4, 2, 3, 3), neuron, Conv())])


@built
@pytest.mark.parametrize(("x", "y", "p"), [(11, 0, 0), (-1, 0, 0), (0, 9, 0), (0, -1, 1), (0, 0, 2), (0, 0, -1)])
def test_events_outside_the_sensor_are_refused(x: int, y: int, p: int) -> None:
    inside = small.batch(20_000)
    columns = {name: getattr(inside, name).clone() for name in "xyp"}
    for name, value in (("x", x), ("y", y), ("p", p)):
        columns[name][5] = value
    with pytest.raises(InputError, match="the sensor ends at"):
        native.run_network(small.network(), replace(inside, **columns))


def test_without_an_engine_the_reason_is_told(monkeypatch) -> None:
    layers = Case((3, 1, 2, 5, 5), (Plan(4, (3, 3)),)).layers()
    monkeypatch.setenv(library.VARIABLE, "none")
    assert "The native engine is switched off" in refused(layers)
    monkeypatch.delenv(library.VARIABLE)
    monkeypatch.setattr(library, "available", lambda: ())
    monkeypatch.setattr(library, "_path", lambda level: mock.Mock(is_file=lambda: False))
    assert "The native engine is not built" in refused(layers)

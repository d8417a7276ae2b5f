"""The native kernels against the reference in float64: spikes, readout, rates and every gradient."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from native_cases import (
    CODING,
    KEEP,
    LEVELS,
    STACK,
    Case,
    Parameter,
    Plan,
    assert_as_reference,
    assert_close,
    assert_same_outputs,
    built,
    by_engine,
    by_reference,
    cases,
    engine,
    layer_input,
    membranes,
    same_spikes,
)

from snnface.backends import native
from snnface.surrogate import Surrogate
from snnface.synapse import Conv

pytestmark = pytest.mark.usefixtures("one_torch_thread")


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
    """Below half of them scalar products of these neurons alone are taken, else the product of all."""
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
def test_narrow_chunks_find_nothing_of_wide_ones(level: str) -> None:
    """48 channels go by 16 and 64 by 32: what one layer's way back leaves in the buffers is not the next one's."""
    wide = Plan(64, (3, 3), Conv((1, 1), (1, 1)), surrogate=Surrogate("atan", 2.0))
    case = Case((33, 2, 2, 6, 18), (replace(wide, channels=32), replace(wide, channels=48), wide, STACK[-1]), 0.2)
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
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["fast_sigmoid", "triangle"])
@pytest.mark.parametrize("size", [(5, 7), (4, 4)])
def test_dense_layers_of_many_channels_and_positions(level: str, name: str, size: tuple[int, int]) -> None:
    """Weights are put in order 16 × 16 × 16 at a time, in all the orders that there are, and what is left one by one;
    with and without zeros between them."""
    first = Plan(48, (3, 3), Conv(padding=(1, 1)), surrogate=Surrogate(name, 2.0))
    for channels in (32, 40):
        with engine(level):
            _, wanted = assert_as_reference(Case((33, 2, 2, *size), (first, Plan(channels), STACK[-1]), 0.2))
        assert all(s.mean() > 0.01 for s in wanted.spikes)
        assert all(g.any() for g in wanted.gradients[:3])


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

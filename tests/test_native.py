"""The native kernels against the reference in float64: spikes, readout, rates and every gradient."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import small_networks as small
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from native_cases import (
    CODING,
    KEEP,
    LEVELS,
    NEAR,
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
    in_float64,
    layer_input,
    membranes,
    outcome,
    same_spikes,
)
from torch import Tensor

from snnface import backends
from snnface.backends import native
from snnface.batch import EventBatch, collate_events
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig, HeadConfig
from snnface.engine import library
from snnface.errors import InputError
from snnface.events import pack
from snnface.forward import Layer, Run, Trace, network_layers, run_reference
from snnface.input import InputSpikes, coded
from snnface.neuron import Lif
from snnface.surrogate import SURROGATES, Shape, Surrogate
from snnface.synapse import Conv


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """For torch: these networks are too small for several. Those of the engine are chosen where they matter."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
        starts = len(plans) * clips * (2 * positions + 1) * 4  # from which step on positions matter; how many before
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


@built
@pytest.mark.parametrize("shape", [(1, 1, 2, 1, 1 << 16), (1, 1, 1 << 16, 1, 1)])
def test_inputs_of_more_columns_or_channels_than_16_bits_count_are_refused(shape: tuple[int, ...]) -> None:
    inputs = InputSpikes(torch.zeros(0, dtype=torch.int64), torch.zeros(0), shape)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the engine counts to 65535"):
        native.run(inputs, CODING, [Layer(torch.zeros(3, shape[2], 1, 1), Lif(0.5, 0.5), Conv())])


def test_without_an_engine_the_reason_is_told(monkeypatch) -> None:
    layers = Case((3, 1, 2, 5, 5), (Plan(4, (3, 3)),)).layers()
    monkeypatch.setenv(library.VARIABLE, "none")
    assert "The native engine is switched off" in refused(layers)
    monkeypatch.delenv(library.VARIABLE)
    monkeypatch.setattr(library, "available", lambda: ())
    monkeypatch.setattr(library, "_path", lambda level: mock.Mock(is_file=lambda: False))
    assert "The native engine is not built" in refused(layers)

"""The native kernels behind the encoder: events enter, gradients reach what it learns, memory of long recordings."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest
import small_networks as small
import torch
from native_cases import (
    CODING,
    KEEP,
    LEVELS,
    NEAR,
    STACK,
    Case,
    Parameter,
    Plan,
    assert_as_reference,
    assert_same_outputs,
    built,
    engine,
    outcome,
    same_spikes,
)
from torch import Tensor

from snnface import backends
from snnface.backends import native
from snnface.batch import EventBatch, collate_events
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig, HeadConfig
from snnface.events import pack
from snnface.forward import Run, Trace, network_layers, run_reference
from snnface.input import coded
from snnface.synapse import Conv

pytestmark = pytest.mark.usefixtures("one_torch_thread")


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

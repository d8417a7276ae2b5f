"""Event-exact input: independent of the step, equal to the dense convolution, and its two forms for chips."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import batch, clip
from torch import Tensor

from snnface.batch import EventBatch, collate_events
from snnface.converters.clip import make_clip
from snnface.converters.plan import Plan
from snnface.facs import AUS
from snnface.input import InputSpikes, input_spikes
from snnface.synapse import Conv, from_events

TAU_US = 5_000.0


def current(events: EventBatch, weight: Tensor, conv: Conv | None, step_us: int) -> Tensor:
    """Synaptic current of the first layer after every step: u ← αu + x."""
    x = from_events(input_spikes(events, step_us, TAU_US), weight, conv)
    alpha, u, currents = math.exp(-step_us / TAU_US), torch.zeros_like(x[0]), []
    for x_k in x:
        u = alpha * u + x_k
        currents.append(u)
    return torch.stack(currents)


def difference_between_steps(events: EventBatch, weight: Tensor, conv: Conv | None = None) -> float:
    """How far the currents at 1, 2 and 5 ms are from that at 10 ms, every 10 ms, over its largest value."""
    coarse = current(events, weight, conv, 10_000)
    assert coarse.any()
    found = 0.0
    for step_us in (1_000, 2_000, 5_000):
        often = 10_000 // step_us
        fine = current(events, weight, conv, step_us)[often - 1 :: often]
        found = max(found, float((fine - coarse[: len(fine)]).abs().max() / coarse.abs().max()))
    return found


def random_batch(seed: int) -> EventBatch:
    return batch(100_000, 70_000, events=3_000, seed=seed)


@pytest.mark.parametrize("seed", range(3))
def test_the_current_does_not_depend_on_the_step(seed: int) -> None:
    weight = torch.randn(6, 2, 3, 5, generator=torch.Generator().manual_seed(seed))
    found = difference_between_steps(random_batch(seed), weight, Conv((2, 3), (1, 2)))
    assert found < 1e-5, f"the current differs between steps by {found:.1e} of its largest value"


def test_the_current_of_a_face_does_not_depend_on_the_step() -> None:
    face = make_clip(Plan(24, 1, 0.6, 48, 40, "davis346", ("au",), False, seed=3), AUS.index(51))
    events = collate_events([face.events], [face.duration_us], 48, 40)
    weight = torch.randn(8, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    found = difference_between_steps(events, weight, Conv((2, 2), (2, 2)))
    print(f"{len(face.events)} events: the current differs between steps by {found:.1e} of its largest value")
    assert found < 1e-5


def test_the_current_is_the_sum_over_events_with_their_ages() -> None:
    weight = torch.randn(4, 2 * 9 * 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    events = batch(40_000, events=200)
    found = current(events, weight.float(), None, 8_000)[:, 0]
    for k, u in enumerate(found):
        now = (k + 1) * 8_000
        past = events.t <= now
        pixel = (events.p * 9 + events.y) * 11 + events.x
        exact = weight[:, pixel[past]] @ torch.exp(-(now - events.t[past]).double() / TAU_US)
        assert torch.allclose(u.double(), exact, rtol=1e-5, atol=1e-5)


def test_an_event_counts_from_its_own_microsecond() -> None:
    t = np.array([0, 1, 1_000, 1_001, 2_000])
    events = clip(2_000, 5)
    events["t"], events["x"], events["y"], events["p"] = t, np.arange(5), 0, 1
    spikes = input_spikes(collate_events([events], [2_000], 11, 9), 1_000, TAU_US)
    step = spikes.index // (2 * 9 * 11)
    assert step.tolist() == [0, 0, 0, 1, 1]
    ages = [1_000, 999, 0, 999, 0]
    assert spikes.value.tolist() == pytest.approx([math.exp(-age / TAU_US) for age in ages], rel=1e-6)


def test_steps_cut_what_comes_after_and_pad_what_is_short() -> None:
    events = batch(10_000, 4_000, events=300)
    whole, short, long = (input_spikes(events, 1_000, TAU_US, steps=n).dense() for n in (None, 3, 12))
    assert whole.shape == (10, 2, 2, 9, 11)
    assert torch.equal(short, whole[:3])
    assert torch.equal(long[:10], whole)
    assert long[10:].sum() == 0
    assert whole[4:, 1].sum() == 0


@st.composite
def geometries(draw: st.DrawFn) -> tuple[int, int, tuple[int, int], Conv]:
    """Height, width, kernel and geometry for which the convolution has an output."""
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for d, k, p in zip(dilation, kernel, padding, strict=True)]
    height, width = (draw(st.integers(n, n + 12)) for n in least)
    return height, width, kernel, Conv(stride, padding, dilation)


def scattered(spikes: InputSpikes, weight: Tensor, conv: Conv, size: tuple[int, int]) -> Tensor:
    """Every cell adds its weights to the outputs that read it, one by one: the definition."""
    steps, clips, channels, height, width = spikes.shape
    out = torch.zeros(steps, clips, len(weight), *size, dtype=weight.dtype)
    per_group = channels // conv.groups, len(weight) // conv.groups
    for index, value in zip(spikes.index.tolist(), spikes.value, strict=True):
        k, b, c, y, x = np.unravel_index(index, (steps, clips, channels, height, width))
        group, c = divmod(int(c), per_group[0])
        outputs = slice(group * per_group[1], (group + 1) * per_group[1])
        for i, j in np.ndindex(*weight.shape[2:]):
            row, off_y = divmod(int(y) + conv.padding[0] - i * conv.dilation[0], conv.stride[0])
            column, off_x = divmod(int(x) + conv.padding[1] - j * conv.dilation[1], conv.stride[1])
            if off_y == off_x == 0 and 0 <= row < size[0] and 0 <= column < size[1]:
                out[k, b, outputs, row, column] += value * weight[outputs, c, i, j]
    return out


@settings(max_examples=40, deadline=None)
@given(geometries(), st.sampled_from([1, 2]), st.integers(0, 40), st.integers(0, 2**31))
def test_every_event_adds_its_weights_where_it_is_read(
    geometry: tuple[int, int, tuple[int, int], Conv], groups: int, count: int, seed: int
) -> None:
    height, width, kernel, conv = geometry
    conv = dataclasses.replace(conv, groups=groups)
    clips = [clip(d, n, seed + i, width, height) for i, (d, n) in enumerate([(3_000, count), (2_000, count // 2)])]
    spikes = input_spikes(collate_events(clips, [3_000, 2_000], width, height), 1_000, TAU_US, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(4, 2 // groups, *kernel, generator=generator, dtype=torch.float64)
    found = from_events(spikes, weight, conv)
    torch.testing.assert_close(found, scattered(spikes, weight, conv, found.shape[3:]), rtol=1e-12, atol=1e-12)
    flat = torch.randn(5, 2 * height * width, generator=generator, dtype=torch.float64)
    whole = scattered(spikes, flat.unflatten(1, (2, height, width)), Conv(), (1, 1))
    torch.testing.assert_close(from_events(spikes, flat, None), whole.flatten(2), rtol=1e-12, atol=1e-12)


def burst(count: int) -> EventBatch:
    """``count`` events of one pixel at the end of the first step, and one at its begin from another."""
    events = clip(1_000, count + 1)
    events["t"], events["x"], events["y"], events["p"] = 1_000, 3, 2, 0
    events[0] = (1, 5, 2, 0)
    return collate_events([events], [1_000], 11, 9)


@pytest.mark.parametrize(("count", "value"), [(1, 1.0), (3, 3.0), (4, 31 / 8), (50, 31 / 8)])
def test_graded_input_is_a_clamped_whole_payload(count: int, value: float) -> None:
    spikes = input_spikes(burst(count), 1_000, TAU_US, "graded", payload_one=8, payload_max=31)
    old = round(8 * math.exp(-999 / TAU_US)) / 8
    assert sorted(spikes.value.tolist()) == sorted([value, old])
    assert torch.equal(spikes.value * 8, (spikes.value * 8).round())


@pytest.mark.parametrize("count", [1, 7])
def test_unary_input_says_only_that_there_were_events(count: int) -> None:
    spikes = input_spikes(burst(count), 1_000, TAU_US, "unary")
    assert spikes.value.tolist() == [1.0, 1.0]
    assert torch.equal(spikes.index, input_spikes(burst(count), 1_000, TAU_US).index)

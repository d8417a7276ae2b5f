"""Ragged batches: what goes in comes out, clip by clip."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import clip

from snnface.batch import collate_events

WIDTH, HEIGHT = 11, 9
counts = st.lists(st.integers(0, 40), max_size=5)


def make(counts: list[int]):
    clips = [clip(10_000 + i, n, i) for i, n in enumerate(counts)]
    return clips, collate_events(clips, [10_000 + i for i in range(len(clips))], WIDTH, HEIGHT)


@settings(max_examples=30, deadline=None)
@given(counts)
def test_collate_keeps_every_event_of_every_clip_in_order(counts: list[int]) -> None:
    clips, batch = make(counts)
    assert batch.size == len(clips)
    assert (batch.width, batch.height) == (WIDTH, HEIGHT)
    assert batch.sample.tolist() == [b for b, n in enumerate(counts) for _ in range(n)]
    assert batch.duration_us.tolist() == [10_000 + b for b in range(len(clips))]
    for b, events in enumerate(clips):
        own = slice(int(batch.offsets[b]), int(batch.offsets[b + 1]))
        for name in "txyp":
            column = getattr(batch, name)
            assert column.dtype == torch.int64
            assert np.array_equal(column[own].numpy(), events[name])


@settings(max_examples=30, deadline=None)
@given(counts, st.integers(0, 2**31))
def test_dropping_events_keeps_them_with_their_clips(counts: list[int], seed: int) -> None:
    clips, batch = make(counts)
    keep = np.random.default_rng(seed).random(sum(counts)) < 0.4
    thinned = batch.with_events(torch.from_numpy(keep), x=batch.x + 1)
    assert thinned.size == batch.size
    for b, all_events in enumerate(clips):
        events = all_events[keep[sum(counts[:b]) : sum(counts[: b + 1])]]
        own = slice(int(thinned.offsets[b]), int(thinned.offsets[b + 1]))
        assert np.array_equal(thinned.t[own].numpy(), events["t"])
        assert np.array_equal(thinned.x[own].numpy(), events["x"].astype(int) + 1)


def test_begun_steps_count() -> None:
    batch = collate_events([clip(10, 3)] * 4, [1, 1_999, 2_000, 2_001], WIDTH, HEIGHT)
    assert batch.steps(2_000).tolist() == [1, 1, 1, 2]


def test_tonic_arrays_of_any_field_order_and_width_are_taken() -> None:
    events = clip(5_000, 30)
    other = np.empty(30, [("x", "<i2"), ("y", "<i2"), ("p", "?"), ("t", "<i4")])
    for name in "txyp":
        other[name] = events[name]
    one, two = (collate_events([e], [5_000], WIDTH, HEIGHT) for e in (events, other))
    for name in "txyp":
        assert torch.equal(getattr(one, name), getattr(two, name))

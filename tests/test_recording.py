"""The recording type: validated, and the same memory as Tonic's arrays."""

from __future__ import annotations

import numpy as np
import pytest
import tonic
from event_files import HEIGHT, WIDTH, recording

from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, Recording

TONIC_DTYPES = [
    np.dtype([("x", "i2"), ("y", "i2"), ("p", "?"), ("t", "i8")]),  # DVSGesture
    np.dtype([("x", "i8"), ("y", "i8"), ("t", "i8"), ("p", "i8")]),  # NMNIST
    np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "<i2")]),
    EVENT_DTYPE,
]


@pytest.mark.parametrize("dtype", TONIC_DTYPES, ids=str)
def test_tonic_arrays_are_taken_and_given_without_a_copy(dtype: np.dtype) -> None:
    source = recording().events
    events = np.zeros(len(source), dtype)
    for name in "txyp":
        events[name] = source[name]
    rec = Recording.from_tonic(events, (WIDTH, HEIGHT, 2))
    assert (rec.width, rec.height, len(rec)) == (WIDTH, HEIGHT, len(source))
    assert np.shares_memory(rec.to_tonic(), events)
    assert all(np.shares_memory(column, events) for column in (rec.t, rec.x, rec.y, rec.p))
    events["x"][0] = 7
    assert rec.x[0] == 7


def test_tonic_transforms_take_a_recording() -> None:
    rec = recording(2000)
    frames = tonic.transforms.ToFrame(sensor_size=(WIDTH, HEIGHT, 2), n_time_bins=10)(rec.to_tonic())
    assert frames.shape == (10, 2, HEIGHT, WIDTH)
    counts = np.zeros((2, HEIGHT, WIDTH), int)
    np.add.at(counts, (rec.p.astype(int), rec.y, rec.x), 1)
    inside = frames.sum(0)
    assert 0 <= (counts - inside).sum() <= 10  # Tonic's bins leave out the events of the last µs
    assert (inside <= counts).all()


def test_tonic_time_jitter_gives_a_valid_recording_once_sorted() -> None:
    rec = recording(500)
    before = rec.events.copy()
    jittered = tonic.transforms.TimeJitter(std=20, clip_negative=False, sort_timestamps=True)(rec.to_tonic().copy())
    again = Recording.from_tonic(jittered, (WIDTH, HEIGHT, 2))
    assert len(again) == len(rec)
    assert not np.array_equal(again.t, rec.t)
    assert np.abs(np.sort(again.t) - rec.t).max() < 200
    assert np.array_equal(rec.events, before)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda e: e["t"].__setitem__(300, 0), "time runs backwards at event 300"),
        (lambda e: e["x"].__setitem__(7, WIDTH), r"event 7 at pixel \(64, "),
        (lambda e: e["y"].__setitem__(9, HEIGHT), "event 9 at pixel"),
    ],
)
def test_impossible_events_are_refused(change, fault: str) -> None:  # type: ignore[no-untyped-def]
    events = recording().events.copy()
    change(events)
    with pytest.raises(InputError, match=fault):
        Recording(events, WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("events", "size", "fault"),
    [
        (np.zeros(3, [("t", "i8"), ("x", "i2"), ("y", "i2")]), SIZE := (4, 4), "fields t, x, y, p"),
        (np.zeros((3, 1), EVENT_DTYPE), SIZE, "shape"),
        (np.zeros((3, 4)), SIZE, "fields"),
        (np.zeros(3, [("t", "f8"), ("x", "i2"), ("y", "i2"), ("p", "?")]), SIZE, "field t is float64"),
        (np.zeros(3, EVENT_DTYPE), (0, 4), "sensor size 0x4"),
    ],
)
def test_other_arrays_are_refused(events: np.ndarray, size: tuple[int, int], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        Recording(events, *size)

"""Recordings larger than memory: read, checked and written part by part, and short windows of them."""

from __future__ import annotations

import multiprocessing
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest
from event_files import HEIGHT, WIDTH, dat_bytes, es_bytes, evt2_bytes, evt3_bytes, evt3_words, recording
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnface import io
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, Recording, pack
from snnface.io import aedat4, chunks, csv_file, dat, es, evt, hdf5_file
from snnface.io.order import Order, in_order

SIZE = (WIDTH, HEIGHT)
HOUR_US = 3_600_000_000
quick = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reader takes a few events at a time."""
    blocks: dict[ModuleType, int] = {evt: 11, dat: 5, es: 64, csv_file: 7, aedat4: 1}
    for module, block in blocks.items():
        monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(hdf5_file, "_TOGETHER", 1)


@st.composite
def recordings(draw: st.DrawFn, longest_gap: int = 20_000_000) -> Recording:
    gap = st.one_of(st.integers(0, 3), st.integers(0, 5_000), st.integers(0, longest_gap))
    gaps = np.array(draw(st.lists(gap, min_size=1, max_size=60)))
    start = draw(st.sampled_from([0, (1 << 24) - 30, (1 << 32) - 40, 1_605_537_493_718_345]))
    rng = np.random.default_rng(len(gaps))
    x, y, p = (rng.integers(0, n, len(gaps)) for n in (WIDTH, HEIGHT, 2))
    return Recording(pack(start + np.cumsum(gaps), x, y, p), WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("suffix", "encoding"),
    [("raw", "evt3"), ("raw", "evt2"), ("dat", None), ("es", None), ("csv", None), ("h5", None), ("aedat4", None)],
)
@quick
@given(data=st.data(), cut=st.integers(1, 59))
def test_parts_say_what_the_whole_says(
    suffix: str, encoding: str | None, small_blocks: None, tmp_path: Path, data: st.DataObject, cut: int
) -> None:
    rec = data.draw(recordings(longest_gap=30_000 if suffix == "es" else 20_000_000))
    path = tmp_path / f"a.{suffix}"
    pieces = (rec.events[start : start + cut] for start in range(0, len(rec), cut))
    shift = io.write_parts(pieces, path, SIZE, encoding)
    parts = io.Parts(path, size=SIZE)
    events = np.concatenate(list(parts))
    assert parts.format == encoding or parts.format.rstrip("2") in (suffix, "hdf5")
    assert parts.done == 1
    assert parts.report.dropped == {}
    assert np.array_equal(events["t"] + shift, rec.t)
    assert all(np.array_equal(events[n], rec.events[n]) for n in "xyp")


def test_small_parts_are_what_was_asked_for(small_blocks: None, tmp_path: Path) -> None:
    rec = recording(200)
    for name, content in {
        "a.raw": evt3_bytes(evt3_words(rec)),
        "b.raw": evt2_bytes(rec),
        "a.dat": dat_bytes(rec),
        "a.es": es_bytes(rec),
    }.items():
        (tmp_path / name).write_bytes(content)
        assert len(list(io.Parts(tmp_path / name))) > 10, name


def test_a_step_back_inside_and_between_parts_is_found(small_blocks: None, tmp_path: Path) -> None:
    rec = recording(100)
    path = tmp_path / "a.csv"
    lines = [f"{t},{x},{y},{int(p)}" for t, x, y, p in rec.events.tolist()]
    for at in (3, 7, 50, 99):  # seven lines a block
        early = [*lines[:at], "5,1,1,1", *lines[at:]]
        path.write_text("\n".join(["t,x,y,p", *early]))
        with pytest.raises(InputError, match=f"backwards at event {at} "):
            io.read(path, size=SIZE)
        kept, report = io.read(path, repair=True, size=SIZE)
        assert report.dropped == {"backwards": 1}
        assert kept.events.tolist() == rec.events.tolist()


@quick
@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 12), st.integers(0, 5))
def test_times_kept_in_parts_are_in_order(values: list[int], block: int, jitter: int) -> None:
    t = np.array(values, np.int64)
    order, kept = Order(jitter), []
    for start in range(0, len(t), block):
        keep = order.keep(t[start : start + block], t[start + block : start + 2 * block])
        kept += t[start : start + block][keep].tolist()
    assert (np.maximum.accumulate(kept) - kept <= 2 * jitter).all() if kept else not values
    whole = Order(jitter).keep(t)
    assert np.array_equal(whole, in_order(t, jitter))
    if (np.diff(t) >= 0).all():
        assert kept == values


def test_of_stretches_an_hour_apart_the_longest_is_kept(small_blocks: None, tmp_path: Path) -> None:
    rec = recording(90)
    t = rec.t.copy()
    t[30:] += HOUR_US + 10**6
    t[80:] += HOUR_US + 10**6
    path = tmp_path / "a.csv"
    rows = zip(t.tolist(), rec.x.tolist(), rec.y.tolist(), rec.p.astype(int).tolist(), strict=True)
    path.write_text("t,x,y,p\n" + "\n".join(",".join(map(str, row)) for row in rows))
    with pytest.raises(InputError, match="jumps by more than an hour at event 30"):
        io.read(path, size=SIZE)
    kept, report = io.read(path, repair=True, size=SIZE)
    assert kept.t.tolist() == t[30:80].tolist()
    assert report.dropped == {"time_jump": 40}
    for suffix, minutes in (("h5", 60), ("raw", 60), ("dat", 35)):
        with pytest.raises(InputError, match=f"pauses of more than {minutes} minutes"):
            io.write(Recording(pack(t, rec.x, rec.y, rec.p), WIDTH, HEIGHT), tmp_path / f"b.{suffix}")
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(("suffix", "pause"), [("dat", (1 << 31) - 1), ("raw", HOUR_US), ("aedat4", HOUR_US)])
@pytest.mark.parametrize("start", [5, (1 << 32) - 9])
def test_the_longest_pause_of_a_format_is_kept(suffix: str, pause: int, start: int, tmp_path: Path) -> None:
    t = np.array([start, start + 1, start + 1 + pause, start + 2 + pause])
    shift = io.write(Recording(pack(t, *np.zeros((3, 4), int)), 4, 4), tmp_path / f"a.{suffix}")
    assert (io.read(tmp_path / f"a.{suffix}")[0].t + shift).tolist() == t.tolist()


def test_lost_framing_of_es_is_found_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rec = recording(400)
    content = bytearray(es_bytes(rec))
    at, starts = 20, []
    while at < len(content):
        while content[at] >= 0xFE:
            at += 1
        starts.append(at)
        at += 5
    for number in (100, 140, 300):
        content[starts[number] + 2] = 0x77  # x far outside
    (tmp_path / "a.es").write_bytes(content)
    lost = [*range(100, 141), 300]
    for block in (100, 333, 1 << 22):
        monkeypatch.setattr(es, "BLOCK", block)
        kept, report = io.read(tmp_path / "a.es", repair=True)
        assert report.dropped == {"outside_sensor": len(lost)}
        assert kept.events.tolist() == np.delete(rec.events, lost).tolist()


def many(count: int, parts: int) -> Iterator[np.ndarray]:
    """``count`` events in equal parts, made when they are asked for."""
    for number in range(parts):
        events = np.empty(count // parts, EVENT_DTYPE)
        events["t"] = (number * len(events) + np.arange(len(events))) * 5
        events["x"], events["y"] = np.arange(len(events)) % WIDTH, np.arange(len(events)) % HEIGHT
        events["p"] = np.arange(len(events)) % 3 == 0
        yield events


@pytest.mark.parametrize("source", ["raw", "dat", "es", "aedat4", "h5"])
def test_memory_does_not_grow_with_the_recording(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, block in ((evt, 1 << 12), (dat, 1 << 12), (es, 1 << 14), (aedat4, 1 << 12)):
        monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(hdf5_file, "_TOGETHER", 1)
    for module in (chunks, hdf5_file):
        monkeypatch.setattr(module, "CHUNK", 4096)
    peaks = []
    for events in (40_000, 160_000):
        path = tmp_path / f"{events}.{source}"
        io.write_parts(many(events, events // 5_000), path, SIZE)
        peak = []
        for _ in range(2):  # whatever else happens in the process once does not happen twice
            tracemalloc.start()
            io.write_parts(io.Parts(path), tmp_path / f"{events}-out.h5", SIZE)
            peak.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        peaks.append(min(peak))
        assert len(io.read(tmp_path / f"{events}-out.h5")[0]) == events
    assert peaks[1] < 1.25 * peaks[0] < 160_000 * 13


def test_windows_are_those_of_the_whole(tmp_path: Path) -> None:
    rec = recording(40_000, start=1_605_537_493_718_345)
    path, plain = tmp_path / "a.h5", tmp_path / "plain.h5"
    io.write(rec, path)
    io.write(rec, plain)
    with h5py.File(plain, "r+") as f:
        del f["index_ms"]
    first, last = int(rec.t[0]), int(rec.t[-1])
    rng = np.random.default_rng(0)
    starts = [first - 10**7, first, first // 1000 * 1000, last, last + 1, *rng.integers(first, last, 30).tolist()]
    with io.Windows(path) as indexed, io.Windows(plain) as searched:
        assert (indexed.width, indexed.height, indexed.events) == (WIDTH, HEIGHT, len(rec))
        for start in starts:
            for length in (0, 1, 1000, 50_000, 10**8):
                wanted = rec.events[slice(*np.searchsorted(rec.t, [start, start + length]))]
                assert indexed.window(start, start + length).tolist() == wanted.tolist()
                if length == 50_000:
                    assert searched.window(start, start + length).tolist() == wanted.tolist()
    assert (
        io.window(path, first + 5, first + 900).tolist()
        == rec.events[(rec.t >= first + 5) & (rec.t < first + 900)].tolist()
    )


def test_long_windows_are_unpacked_by_several_threads(tmp_path: Path) -> None:
    """Of two shares; also where the second is broken, where time runs backwards between them, and in a fork."""
    rec = recording(10 * chunks.CHUNK)
    path, edge, start, stop = tmp_path / "a.h5", 5 * chunks.CHUNK, int(rec.t[0]), int(rec.t[-1]) + 1
    io.write(rec, path)
    with io.Windows(path) as opened:
        assert opened.window(start, stop).tobytes() == rec.events.tobytes()
        with multiprocessing.get_context("fork").Pool(1) as fork:
            assert len(fork.apply(io.window, (path, start, stop))) == len(rec)
    with h5py.File(path, "r+") as f:
        f["events/t"][edge:] -= int(rec.t[edge]) - int(rec.t[edge - 1]) + 1
        f["index_ms"][-1] = len(rec)
    with pytest.raises(InputError, match=f"time runs backwards at event {edge}"):
        io.window(path, start, stop)
    with h5py.File(path, "r+") as f:
        f["events/x"].id.write_direct_chunk((edge,), b"no deflate")
    with pytest.raises(InputError, match="events cannot be read"):
        io.window(path, start, stop)


def test_the_index_counts_events_before_each_millisecond(tmp_path: Path) -> None:
    rec = Recording(pack(np.array([1_500, 1_999, 2_000, 5_000, 7_000_001]), *np.zeros((3, 5), int)), 4, 4)
    io.write_parts((rec.events[i : i + 1] for i in range(5)), tmp_path / "a.h5", (4, 4))
    with h5py.File(tmp_path / "a.h5") as f:
        index, start = f["index_ms"][:], f["index_ms"].attrs["start_us"]
    assert start == 1_000
    assert index[:6].tolist() == [0, 2, 3, 3, 3, 4]
    edges = start + 1000 * np.arange(len(index))
    assert np.array_equal(index, np.searchsorted(rec.t, edges))
    assert edges[-2] <= rec.t[-1] < edges[-1]


def test_windows_of_what_is_no_recording_are_refused(tmp_path: Path) -> None:
    rec = recording()
    io.write(rec, tmp_path / "a.raw")
    with pytest.raises(InputError, match=r"snnface convert .*a\.raw a\.h5"):
        io.window(tmp_path / "a.raw", 0, 1)
    io.write(rec, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as f:
        f["index_ms"][:] = 10**9
    with pytest.raises(InputError, match="index_ms is broken"):
        io.window(tmp_path / "a.h5", int(rec.t[0]) + 2000, int(rec.t[-1]))
    with pytest.raises(InputError, match="does not exist"):
        io.Windows(tmp_path / "b.h5")


def test_what_cannot_be_read_again_is_not_written(tmp_path: Path) -> None:
    events = recording(10).events
    path = tmp_path / "a.raw"
    with pytest.raises(InputError, match="time runs backwards"):
        io.write_parts([events[5:], events[:5]], path, SIZE)
    with pytest.raises(InputError, match="no events"):
        io.write_parts([events[:0]], path, SIZE)
    with pytest.raises(InputError, match=r"--encoding evt7: is no encoding of \.raw files\. Use evt3 or evt2"):
        io.write_parts([events], path, SIZE, "evt7")
    assert list(tmp_path.iterdir()) == []

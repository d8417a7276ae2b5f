"""Event files: every format there and back, against plain decoders and real recordings."""

from __future__ import annotations

import json
import os
import re
from itertools import permutations
from pathlib import Path

import faery
import h5py
import numpy as np
import pytest
from event_files import (
    HEIGHT,
    WIDTH,
    dat_bytes,
    decode_evt2,
    decode_evt3,
    es_bytes,
    evt2_bytes,
    evt3_bytes,
    evt3_words,
    prophesee_header,
    recording,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnface import io
from snnface.cli import main
from snnface.datasets.store import ClipData, write_store
from snnface.errors import InputError
from snnface.events import Recording, pack
from snnface.io import evt
from snnface.io.commands import info

SUFFIXES = ("raw", "dat", "aedat4", "es", "csv", "h5")
SIZE = (WIDTH, HEIGHT)
quick = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def same(a: Recording, b: Recording) -> bool:
    return all(np.array_equal(a.events[n], b.events[n]) for n in "txyp")


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments] + ["--json"])
    assert end.value.code == 0
    return json.loads(capsys.readouterr().out)


@st.composite
def recordings(draw: st.DrawFn, longest_gap: int = 30_000_000, latest: int = 1 << 45) -> Recording:
    width, height = draw(st.integers(1, 256)), draw(st.integers(1, 128))
    gap = st.one_of(st.integers(0, 300), st.integers(0, longest_gap))
    rows = draw(
        st.lists(st.tuples(gap, st.integers(0, width - 1), st.integers(0, height - 1), st.booleans()), min_size=1)
    )
    start = draw(st.one_of(st.integers(0, 1 << 25), st.integers(0, latest)))
    dt, x, y, p = (np.array(c) for c in zip(*rows, strict=True))
    return Recording(pack(start + np.cumsum(dt), x, y, p), width, height)


@pytest.mark.parametrize("suffix", SUFFIXES)
@quick
@given(data=st.data())
def test_what_is_written_is_read(suffix: str, data: st.DataObject, tmp_path: Path) -> None:
    rec = data.draw(recordings(longest_gap=200_000 if suffix == "es" else 30_000_000))
    path = tmp_path / f"a.{suffix}"
    shift = io.write(rec, path)
    back, report = io.read(path, size=(rec.width, rec.height))
    assert report.dropped == {}
    assert (back.width, back.height) == (rec.width, rec.height)
    assert np.array_equal(back.t + shift, rec.t)
    assert shift == 0 or (suffix == "es" and rec.t[0] > 60_000_000)
    assert all(np.array_equal(back.events[n], rec.events[n]) for n in "xyp")


@quick
@given(recordings(latest=1 << 33))
def test_evt2_written_by_another_encoder_is_read(tmp_path: Path, rec: Recording) -> None:
    events = np.empty(len(rec), faery.EVENTS_DTYPE)
    events["t"], events["x"], events["y"], events["on"] = rec.t, rec.x, rec.y, rec.p
    path = tmp_path / "a.raw"
    with faery.evt.Encoder(path, "evt2", False, (rec.width, rec.height), True) as encoder:
        encoder.write({"events": events})
    back, report = io.read(path)
    assert report.format == "evt2"
    assert same(back, rec)


@pytest.mark.parametrize("start", [0, 16_770_000, 16_777_100, 4_294_900_000])
def test_files_made_byte_by_byte_are_read(tmp_path: Path, start: int) -> None:
    rec = recording(start=start)
    made = {
        "evt2": evt2_bytes(rec),
        "evt3": evt3_bytes(evt3_words(rec)),
        "dat1": dat_bytes(rec, 1),
        "dat2": dat_bytes(rec, 2),
    }
    # Counters of 24 (EVT3) and 32 bits (DAT) cannot tell how often they had wrapped before the recording.
    period = {"evt3": 1 << 24, "dat1": 1 << 32, "dat2": 1 << 32}
    if start < 60_000_000:
        made["es"] = es_bytes(rec)
    for name, content in made.items():
        path = tmp_path / f"a.{'raw' if name[0] == 'e' and name != 'es' else name[:3].rstrip('12')}"
        path.write_bytes(content)
        back, report = io.read(path)
        assert report.format == name
        lost = start // period[name] * period[name] if name in period else 0
        assert np.array_equal(back.t + lost, rec.t), name
        assert all(np.array_equal(back.events[n], rec.events[n]) for n in "xyp"), name


def test_atis_streams_give_their_change_events(tmp_path: Path) -> None:
    # ATIS: type 2; the first byte of an event is time << 2 | exposure-or-polarity bits.
    events = np.zeros(6, [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("exposure", "?"), ("polarity", "?")])
    events["t"], events["x"], events["y"] = np.arange(6) * 10, 5, [0, 1, 2, 3, 4, 5]
    events["exposure"], events["polarity"] = [0, 1, 0, 1, 0, 0], [1, 0, 0, 1, 1, 0]
    with faery.es.Encoder(tmp_path / "a.es", "atis", False, SIZE) as encoder:
        encoder.write(events)
    back, _ = io.read(tmp_path / "a.es")
    assert back.t.tolist() == [0, 20, 40, 50]
    assert back.y.tolist() == [HEIGHT - 1 - y for y in (0, 2, 4, 5)]
    assert back.p.tolist() == [True, False, True, False]


@st.composite
def evt3_streams(draw: st.DrawFn) -> list[int]:
    """Words as sensors send them: repeated TIME_HIGH, read-out jitter, vectors, wraps, a start in mid-stream."""
    words = draw(st.lists(st.sampled_from([0x2005, 0x0003, 0x3008, 0x4005, 0x6123]), max_size=4))
    now = draw(st.integers(4080, 4100)) * 4096 + draw(st.integers(0, 4095))
    words.append(0x8000 | now >> 12 & 0xFFF)
    column = 44  # at most, after those
    for step in draw(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4095)), max_size=60)):
        match step:
            case (0, n):
                now += n if n < 4000 else n << 10
                words += [0x8000 | now >> 12 & 0xFFF, 0x6000 | now & 0xFFF]
            case (1, n):
                back = now - n % 900
                words += [0x8000 | back >> 12 & 0xFFF, 0x6000 | back & 0xFFF]
                words += [0x2000 | n % WIDTH, 0x8000 | now >> 12 & 0xFFF]
            case (2, n):
                words.append(n % HEIGHT)
            case (3, n):
                words.append(0x2000 | (n & 1) << 11 | n % WIDTH)
            case (4, n):
                column = n % (WIDTH - 12)
                words.append(0x3000 | (n & 1) << 11 | column)
            case (5, n) if column + 12 <= WIDTH:
                words.append(0x4000 | n)
                column += 12
            case (6, n) if column + 8 <= WIDTH:
                words.append(0x5000 | n & 0xFF)
                column += 8
            case (7, n):
                words += [0xE000 | n, 0xA101, 0x8000 | now >> 12 & 0xFFF]
    return words


@pytest.mark.parametrize("block", [1 << 20, 9])
@quick
@given(words=evt3_streams())
def test_evt3_agrees_with_a_plain_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, words: list[int]
) -> None:
    monkeypatch.setattr(evt, "BLOCK", block)
    wanted = decode_evt3(words)
    path = tmp_path / "a.raw"
    path.write_bytes(evt3_bytes(words))
    if not wanted:
        with pytest.raises(InputError):
            io.read(path)
        return
    back, report = io.read(path)
    assert set(report.dropped) <= {"undated"}
    assert [tuple(map(int, e)) for e in back.events.tolist()] == wanted


@pytest.mark.parametrize("block", [1 << 20, 9])
@quick
@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, (1 << 20) - 1)), min_size=1, max_size=60),
    near_wrap=st.booleans(),
)
def test_evt2_agrees_with_a_plain_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, steps: list[tuple[int, int]], near_wrap: bool
) -> None:
    monkeypatch.setattr(evt, "BLOCK", block)
    high = (1 << 28) - 300 if near_wrap else 77
    words = [1 << 28 | 5 << 11 | 5, 0x80000000 | high]
    for kind, n in steps:
        if kind == 0:
            high += n % 5000
            words.append(0x80000000 | high & 0xFFFFFFF)
        elif kind == 1:
            words += [0x80000000 | high - n % 10 & 0xFFFFFFF, (n & 63) << 22 | 3, 0x80000000 | high & 0xFFFFFFF]
        else:
            words.append((n & 1) << 28 | (n & 63) << 22 | n % WIDTH << 11 | n % HEIGHT)
    words.append((n & 63) << 22)
    path = tmp_path / "a.raw"
    path.write_bytes(prophesee_header("2.0") + np.array(words, "<u4").tobytes())
    back, report = io.read(path)
    assert report.dropped == {"undated": 1}
    assert [tuple(map(int, e)) for e in back.events.tolist()] == decode_evt2(words)


@quick
@given(
    words=evt3_streams(), flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 15)), min_size=1, max_size=6)
)
def test_evt3_repair_accounts_for_every_event_whatever_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[int], flips: list[tuple[int, int]]
) -> None:
    words = [*words, *evt3_words(recording(50, start=16_700_000))]
    for at, bit in flips:
        words[at % len(words)] ^= 1 << bit
    counted = sum({2: 1, 4: (w & 0xFFF).bit_count(), 5: (w & 0xFF).bit_count()}.get(w >> 12, 0) for w in words)
    path = tmp_path / "a.raw"
    path.write_bytes(evt3_bytes(words))
    for block in (1 << 20, 9):
        monkeypatch.setattr(evt, "BLOCK", block)
        refused, found = None, 0
        try:
            kept, report = io.read(path, repair=True)
            found = len(kept) + report.events_dropped
        except InputError as e:
            refused = e.what
        # A clock that is wrong for as long as can be seen ahead is taken for right.
        assert found == counted or (block, refused) == (9, "holds no valid events")


def test_events_that_begin_like_a_header_line_are_read(tmp_path: Path) -> None:
    rec = Recording(pack(np.array([0x25]), np.array([5]), np.array([0x25]), np.array([1])), WIDTH, HEIGHT)
    path = tmp_path / "a.raw"
    words = [0x8000, 0x6025, 0x0025, 0x2805]
    for order in permutations(words[1:3]):
        path.write_bytes(evt3_bytes([0x6025, 0x8000, *order, 0x2805]))
        assert same(io.read(path)[0], rec)


@pytest.mark.parametrize(
    ("lines", "size"),
    [
        ("% format EVT3;height=720;width=1280\n", (1280, 720)),
        ("% plugin_name hal_plugin_gen41_evk3\n", (1280, 720)),
        ("% plugin_name hal_plugin_imx636_evk4\n", (1280, 720)),
        ("% plugin_name hal_plugin_gen31_fx3\n", (640, 480)),
        ("% sensor_name GenX320\n", (320, 320)),
        ("% sensor_generation 4.2\n", (1280, 720)),
        ("% geometry 640x480\r\n", (640, 480)),
    ],
)
def test_sensor_size_is_read_from_the_header(tmp_path: Path, lines: str, size: tuple[int, int]) -> None:
    path = tmp_path / "a.RAW"
    words = np.array([0x8000, 0x0001, 0x2001], "<u2")
    path.write_bytes(b"% evt 3.0\n" + lines.encode() + words.tobytes())
    rec, _ = io.read(path)
    assert (rec.width, rec.height) == size


def test_declared_size_fills_in_but_does_not_contradict(tmp_path: Path) -> None:
    rec = recording()
    bare = tmp_path / "bare.raw"
    bare.write_bytes(prophesee_header("3.0", None) + np.array(evt3_words(rec), "<u2").tobytes())
    with pytest.raises(InputError, match="--size"):
        io.read(bare)
    assert io.read(bare, size=SIZE)[0].width == WIDTH
    for suffix in ("raw", "dat", "aedat4", "es", "h5"):
        io.write(rec, tmp_path / f"a.{suffix}")
        with pytest.raises(InputError, match="64x48, not 65x48"):
            io.read(tmp_path / f"a.{suffix}", size=(WIDTH + 1, HEIGHT))


@pytest.mark.parametrize("target", SUFFIXES)
@pytest.mark.parametrize("source", SUFFIXES)
def test_convert_every_format_into_every_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, target: str
) -> None:
    rec = recording()
    first, second = tmp_path / f"a.{source}", tmp_path / f"b.{target}"
    io.write(rec, first)
    told = answer(capsys, "convert", first, second, "--size", f"{WIDTH}x{HEIGHT}")
    assert told == {"events_in": len(rec), "events_out": len(rec), "dropped": {}, "t0_us": 0}
    assert same(io.read(second, size=SIZE)[0], rec)


def test_info_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rec = recording()
    io.write(rec, tmp_path / "a.dat")
    told = answer(capsys, "info", tmp_path / "a.dat")
    assert told == {
        "events": len(rec),
        "width": WIDTH,
        "height": HEIGHT,
        "t_first_us": int(rec.t[0]),
        "t_last_us": int(rec.t[-1]),
        "duration_us": int(rec.t[-1] - rec.t[0]),
        "on_fraction": float(rec.p.mean()),
        "format": "dat2",
        "dropped": {},
    }


def labelled(rec: Recording, identity: int, au: int, expression: int) -> ClipData:
    frames = 3
    blank = {"pose": 3, "gaze": 2, "box": 4, "au_intensity": 24, "coefficients": 5}
    return ClipData(
        events=rec.events,
        duration_us=70_000,
        identity=identity,
        au=au,
        expression=expression,
        split=0,
        frame_t_us=np.arange(frames) * 33_000,
        landmarks=np.full((frames, 68, 2), np.nan, "f4"),
        visible=np.zeros((frames, 68), bool),
        **{name: np.full((frames, n), np.nan, "f4") for name, n in blank.items()},
    )


def test_info_on_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = [recording(600, seed, start=0) for seed in range(3)]
    path = tmp_path / "set.h5"
    labels = [(4, 12, -1), (4, -1, -1), (9, 1, -1)]
    write_store(path, (labelled(c, *n) for c, n in zip(clips, labels, strict=True)), WIDTH, HEIGHT, {"seed": 1})
    told = answer(capsys, "info", path)
    assert (told["clips"], told["identities"], told["tasks"]) == (3, 2, ["au"])
    assert (told["events"], told["width"], told["height"]) == (1800, WIDTH, HEIGHT)
    assert (told["t_last_us"], told["duration_us"]) == (max(int(c.t[-1]) for c in clips), 210_000)
    assert told["on_fraction"] == pytest.approx(np.mean([c.p.mean() for c in clips]))
    with pytest.raises(InputError, match="data set of many clips"):
        io.read(path)
    with h5py.File(path, "r+") as f:
        f["events/x"][700] = WIDTH
    with pytest.raises(InputError, match="clip 1 is broken: event 100 at pixel"):
        info(path)
    with h5py.File(path, "r+") as f:
        f["offsets"][1] = 10**9
    with pytest.raises(InputError, match=re.escape(str(path))):
        info(path)


def test_csv_columns_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\ufeffp, X ,y,note,t\r\n1,2,3,0,10\r\n-1,4,5,0,11\r\n", encoding="utf-8")
    rec, _ = io.read(path, size=SIZE)
    assert rec.events.tolist() == [(10, 2, 3, True), (11, 4, 5, False)]


@pytest.mark.parametrize(
    ("suffix", "rec", "fault"),
    [
        ("raw", Recording(recording().events, 2049, 48), "2048x2048"),
        ("dat", Recording(recording().events, 64, 20_000), "16384x16384"),
        ("aedat4", Recording(recording().events, 40_000, 48), "32767x32767"),
        ("h5", Recording(recording().events[:0], 64, 48), "no events"),
        ("es", recording(start=-1000), "negative"),
        ("txt", recording(), "'.txt'"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(tmp_path: Path, suffix: str, rec: Recording, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        io.write(rec, tmp_path / f"a.{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder.raw").mkdir()
    (tmp_path / "file").write_text("")
    for target in ("folder.raw", "file/a.raw", "file/a.h5"):
        with pytest.raises(InputError):
            io.write(recording(), tmp_path / target)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder.raw"]


def data(name: str) -> Path:
    folder = os.environ.get("SNNFACE_DATA")
    path = Path(folder or ".") / "recordings" / name
    if not folder or not path.exists():
        pytest.skip("no real recordings: SNNFACE_DATA is not set")
    return path


def test_real_evt3_recording(capsys: pytest.CaptureFixture[str]) -> None:
    told = answer(capsys, "info", data("evt3_sample.raw"))
    assert (told["events"], told["width"], told["height"]) == (219_596, 1280, 720)
    assert (told["t_first_us"], told["t_last_us"]) == (11_718_656, 11_727_467)
    assert (told["format"], told["dropped"]) == ("evt3", {})
    rec, _ = io.read(data("evt3_sample.raw"))
    reference = np.load(data("evt3_sample.npy"))
    assert all(np.array_equal(rec.events[n], reference[n]) for n in "xyp")
    assert np.abs(rec.t - reference["t"]).max() <= 11


def test_real_evt2_recording(capsys: pytest.CaptureFixture[str]) -> None:
    told = answer(capsys, "info", data("evt2_sample.raw"))
    assert (told["events"], told["format"]) == (539_481, "evt2")
    assert (told["t_first_us"], told["t_last_us"]) == (1_317_888, 1_367_888)
    content = data("evt2_sample.raw").read_bytes()
    words = np.frombuffer(content[content.index(b"% evt 2.0\n") + 10 :], "<u4")
    rec, _ = io.read(data("evt2_sample.raw"))
    assert rec.events[:20_000].tolist() == [tuple(e) for e in decode_evt2(words[:40_000].tolist())[:20_000]]


def test_real_aedat4_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = answer(capsys, "info", data("aedat4_sample.aedat4"))
    assert (told["events"], told["width"], told["height"]) == (111_954, 320, 240)
    assert told["duration_us"] == 589_917
    told = answer(capsys, "convert", data("aedat4_sample.aedat4"), tmp_path / "a.h5")
    assert told["events_out"] == 111_954
    with h5py.File(tmp_path / "a.h5") as f:
        assert f["events/t"][0] == 1_605_537_493_718_345

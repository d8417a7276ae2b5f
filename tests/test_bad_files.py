"""Broken files: each ends in one clear line and exit code 2, or, with --repair, in its good part."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
from event_files import (
    HEIGHT,
    WIDTH,
    dat_bytes,
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
from snnface.errors import InputError

SIZE = f"{WIDTH}x{HEIGHT}"
EVENTS = 600
#: Repair drops something.
SOME = {"some": 1}
Outcome = tuple[int, str, str]
pytestmark = pytest.mark.filterwarnings("error")


@cache
def good(name: str, events: int = EVENTS) -> bytes:
    rec = recording(events)
    made: dict[str, Callable[..., bytes]] = {"evt2": evt2_bytes, "dat": dat_bytes, "es": es_bytes}
    if name == "evt3":
        return evt3_bytes(evt3_words(rec))
    if name in made:
        return made[name](rec)
    folder = Path(os.environ["PYTEST_CURRENT_TEST_FOLDER"])
    io.write(rec, folder / f"good.{name}")
    return (folder / f"good.{name}").read_bytes()


@pytest.fixture(autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_CURRENT_TEST_FOLDER", str(tmp_path_factory.mktemp("good")))


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> Outcome:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    out, err = capfd.readouterr()
    return int(end.value.code or 0), out, err


def is_one_clear_error(outcome: Outcome, where: object) -> bool:
    code, out, err = outcome
    return code == 2 and out == "" and re.fullmatch(rf"error: {re.escape(str(where))}: .+\. .+\.\n", err) is not None


def set_bits(content: bytes, at: int, value: bytes) -> bytes:
    return content[:at] + value + content[at + len(value) :]


def words3(*extra: int, at: int = 300) -> bytes:
    """A good EVT3 file with words put in between; then the clock is set again."""
    words = evt3_words(recording())
    clock = [next(w for w in reversed(words[:at]) if w >> 12 == kind) for kind in (8, 6)]
    return evt3_bytes([*words[:at], *extra, *clock, *words[at:]])


def es_event(number: int) -> int:
    """Where the five bytes of an event of the good ES file begin."""
    content, at = good("es"), 20
    for _ in range(number + 1):
        while content[at] >= 0xFE:
            at += 1
        at += 5
    return at - 5


def dat_with(number: int, t: int | None = None, x: int | None = None) -> bytes:
    at = len(good("dat")) - 8 * (EVENTS - number)
    (word,) = struct.unpack_from("<Q", good("dat"), at)
    if t is not None:
        word = word & ~0xFFFFFFFF | t
    if x is not None:
        word = word & ~(0x3FFF << 32) | x << 32
    return set_bits(good("dat"), at, struct.pack("<Q", word))


def csv_with(line: int, text: str) -> bytes:
    lines = good("csv").split(b"\n")
    lines[line] = text.encode()
    return b"\n".join(lines)


def aedat4(events: int = 20_000) -> bytes:
    return good("aedat4", events)


def aedat4_packets() -> list[int]:
    content = aedat4()
    at = 18 + int.from_bytes(content[14:18], "little")
    starts: list[int] = []
    while len(starts) < 3:
        starts.append(at)
        at += 8 + int.from_bytes(content[at + 4 : at + 8], "little")
    return starts


class Bad(NamedTuple):
    """A broken file: its suffix and content, what the error says, and what repair drops (None: beyond repair)."""

    suffix: str
    make: Callable[[], bytes]
    says: str
    dropped: dict[str, int] | None = None


FILES: dict[str, Bad] = {
    "evt3 empty": Bad("raw", lambda: b"", "is empty"),
    "evt3 cut in its header": Bad("raw", lambda: good("evt3")[:14], "does not state the sensor's size"),
    "evt3 cut after its header": Bad("raw", lambda: prophesee_header("3.0"), "no events"),
    "evt3 cut before the first event": Bad("raw", lambda: evt3_bytes(evt3_words(recording())[:2]), "no valid events"),
    "evt3 cut in a word": Bad("raw", lambda: good("evt3")[:-1], "middle of a word", {"truncated_bytes": 1}),
    "evt3 unknown words": Bad("raw", lambda: words3(0x1000, 0xB123), "2 words are of no", {"unknown_words": 2}),
    "evt3 row outside": Bad("raw", lambda: words3(HEIGHT, 0x2001, 0x2002, 0), "2 events lie", {"outside_sensor": 2}),
    "evt3 column outside": Bad("raw", lambda: words3(0x2000 | WIDTH), "1 events lie", {"outside_sensor": 1}),
    "evt3 vector over the edge": Bad("raw", lambda: words3(0x303C, 0x403F), "2 events lie", {"outside_sensor": 2}),
    "evt3 vector outside": Bad("raw", lambda: words3(0x37FF, 0x5003), "2 events lie", {"outside_sensor": 2}),
    "evt3 clock leaps ahead": Bad("raw", lambda: words3(0x87FF, 0x6000, 0x2001), "backwards", {"backwards": 1}),
    "evt3 clock falls back": Bad("raw", lambda: words3(0x8100, 0x6000, 0x2001), "backwards", {"backwards": 1}),
    "evt3 zeros": Bad("raw", lambda: prophesee_header("3.0") + bytes(4000), "no valid events"),
    "evt3 all ones": Bad("raw", lambda: prophesee_header("3.0") + b"\xff" * 4000, "no valid events"),
    "evt2 cut in a word": Bad("raw", lambda: good("evt2")[:-3], "middle of a word", {"truncated_bytes": 1}),
    "evt2 unknown words": Bad(
        "raw", lambda: good("evt2") + struct.pack("<I", 0x70000000), "1 words are of no", {"unknown_words": 1}
    ),
    "evt2 pixel outside": Bad(
        "raw", lambda: good("evt2") + struct.pack("<I", HEIGHT), "1 events lie", {"outside_sensor": 1}
    ),
    "evt2 clock falls back": Bad(
        "raw", lambda: good("evt2") + struct.pack("<II", 0x80000100, 0), "backwards", {"backwards": 1}
    ),
    "evt2 under an evt3 header": Bad(
        "raw", lambda: good("evt2").replace(b"evt 2.0", b"evt 3.0"), "no known type", SOME
    ),
    "raw of text": Bad("raw", lambda: b"These are not events.\n" * 50, "has no EVT header"),
    "raw of a picture": Bad("raw", lambda: b"\x89PNG\r\n\x1a\n" + bytes(500), "has no EVT header"),
    "raw without its header": Bad("raw", lambda: good("evt3")[40:], "has no EVT header"),
    "raw with a huge header": Bad("raw", lambda: b"% evt 3.0\n" + b"% note x\n" * 9000, "header is longer"),
    "raw with an endless line": Bad("raw", lambda: b"% evt 3.0\n% " + b"a" * 300_000, "does not state the sensor's"),
    "raw in evt 2.1": Bad("raw", lambda: prophesee_header("2.1") + bytes(80), "its format is evt2.1"),
    "raw in two formats": Bad("raw", lambda: b"% format EVT2\n" + good("evt3"), "its format is evt2 and evt3"),
    "raw of two sizes": Bad("raw", lambda: b"% geometry 1x1\n" + good("evt3"), "states several sensor sizes"),
    "raw of no size": Bad("raw", lambda: prophesee_header("3.0", (0, 48)) + bytes(80), "0x48 is impossible"),
    "raw of a huge size": Bad("raw", lambda: prophesee_header("3.0", (9999, 48)) + bytes(80), "9999x48 is imposs"),
    "dat cut in its header": Bad("dat", lambda: good("dat")[:5], "has no DAT header"),
    "dat cut after its header": Bad("dat", lambda: good("dat")[: -8 * EVENTS - 1], "before the first event"),
    "dat without events": Bad("dat", lambda: good("dat")[: -8 * EVENTS], "no events"),
    "dat cut in an event": Bad("dat", lambda: good("dat")[:-3], "middle of an event", {"truncated_bytes": 5}),
    "dat of triggers": Bad("dat", lambda: good("dat").replace(b"\x0c\x08", b"\x0e\x08", 1), "records of type 0x0e"),
    "dat time leaps ahead": Bad("dat", lambda: dat_with(300, t=900_000_000), "backwards", {"backwards": 1}),
    "dat time falls back": Bad("dat", lambda: dat_with(300, t=17), "backwards", {"backwards": 1}),
    "dat pixel outside": Bad("dat", lambda: dat_with(300, x=WIDTH), "1 events lie outside", {"outside_sensor": 1}),
    "es of another kind": Bad("es", lambda: good("dat"), "is not an Event Stream file"),
    "es of a pause alone": Bad("es", lambda: good("es")[:20] + b"\xff" * 2_000_000, "no valid events"),
    "es cut in its header": Bad("es", lambda: good("es")[:17], "header is cut off"),
    "es version 3": Bad("es", lambda: set_bits(good("es"), 12, b"\x03"), "has version 3.0.0"),
    "es of generic events": Bad("es", lambda: set_bits(good("es"), 15, b"\x00"), "holds generic events"),
    "es without pixels": Bad("es", lambda: set_bits(good("es"), 16, bytes(2)), "a sensor of 0x48"),
    "es cut in an event": Bad("es", lambda: good("es")[:-2], "middle of an event", {"truncated_bytes": 3}),
    "es pixel outside": Bad(
        "es", lambda: set_bits(good("es"), es_event(300) + 2, b"\x77"), "1 events lie", {"outside_sensor": 1}
    ),
    "es out of step": Bad(
        "es", lambda: good("es")[: es_event(300)] + good("es")[es_event(300) + 2 :], "middle of an event", SOME
    ),
    "aedat4 of version 3": Bad("aedat4", lambda: b"#!AER-DAT3.1\r\n" + bytes(900), "is not an AEDAT 4 file"),
    "aedat4 cut in its header": Bad("aedat4", lambda: aedat4()[:300], "header is cut off"),
    "aedat4 with a huge header": Bad("aedat4", lambda: set_bits(aedat4(), 14, b"\xff" * 4), "header is cut off"),
    "aedat4 with a garbled header": Bad("aedat4", lambda: set_bits(aedat4(), 18, b"\xff" * 4), "header is garbled"),
    "aedat4 without its table": Bad(
        "aedat4", lambda: aedat4()[: aedat4_packets()[2]], "table at its end is missing", {"truncated_bytes": 1}
    ),
    "aedat4 cut in a packet": Bad("aedat4", lambda: aedat4()[: aedat4_packets()[2] + 99], "is cut off", SOME),
    "aedat4 garbled packet": Bad(
        "aedat4",
        lambda: set_bits(aedat4(), aedat4_packets()[1] + 2000, bytes(200)),
        "packet 1 of 5 cannot be decoded",
        {"garbled_packets": 1},
    ),
    "aedat4 huge packet": Bad(
        "aedat4", lambda: set_bits(aedat4(), aedat4_packets()[1] + 4, b"\xff" * 4), "packet 1 is cut off", SOME
    ),
    "aedat4 garbled table": Bad("aedat4", lambda: aedat4()[:-40] + bytes(40), "the codec fails", {}),
    "csv without a header": Bad("csv", lambda: good("csv").split(b"\n", 1)[1], "does not name the column t"),
    "csv without a column": Bad("csv", lambda: b"t,x,y\n1,2,3\n", "does not name the column p"),
    "csv of bytes": Bad("csv", lambda: good("evt3"), "does not name the column t"),
    "csv with a huge header": Bad("csv", lambda: b"x" * 500_000, "does not name the column t"),
    "csv without events": Bad("csv", lambda: b"t,x,y,p\n", "no events"),
    "csv cut in a line": Bad("csv", lambda: good("csv")[:-6], "cannot be read", {"unreadable_rows": 1}),
    "csv fractions": Bad("csv", lambda: csv_with(9, "5000100.5,1,2,1"), "line 10 cannot", {"unreadable_rows": 1}),
    "csv not a number": Bad("csv", lambda: csv_with(9, "NaN,1,2,1"), "line 10 cannot", {"unreadable_rows": 1}),
    "csv huge number": Bad("csv", lambda: csv_with(9, f"{10**30},1,2,1"), "line 10 cannot", {"unreadable_rows": 1}),
    "csv missing value": Bad("csv", lambda: csv_with(9, "5000100,1,2"), "line 10 cannot", {"unreadable_rows": 1}),
    "csv polarity 2": Bad("csv", lambda: csv_with(1, "5000000,1,2,2"), "neither 0 nor 1", {"bad_polarity": 1}),
    "csv pixel −1": Bad("csv", lambda: csv_with(1, "5000000,-1,2,1"), "outside the 64x48", {"outside_sensor": 1}),
    "csv pixel 65601": Bad("csv", lambda: csv_with(1, "5000000,65601,2,1"), "outside", {"outside_sensor": 1}),
    "csv negative time": Bad("csv", lambda: csv_with(1, "-5,1,2,1"), "time is negative", {"negative_time": 1}),
    "csv time falls back": Bad("csv", lambda: csv_with(9, "5,1,2,1"), "backwards at event 8", {"backwards": 1}),
    "csv time leaps ahead": Bad("csv", lambda: csv_with(9, f"{10**15},1,2,1"), "backwards", {"backwards": 1}),
    "csv long pause": Bad("csv", lambda: csv_with(EVENTS, f"{10**15},1,2,1"), "more than an hour", {"time_jump": 1}),
}


@pytest.mark.parametrize("name", FILES)
def test_broken_file_ends_in_one_clear_error(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad = FILES[name]
    path = tmp_path / f"bad.{bad.suffix}"
    path.write_bytes(bad.make())
    declared = ("--size", SIZE) if bad.suffix == "csv" else ()
    outcome = run(capfd, "info", path, *declared, "--json")
    assert is_one_clear_error(outcome, path), outcome
    assert bad.says in outcome[2]
    converted = run(capfd, "convert", path, tmp_path / "out.h5", *declared)
    assert converted == outcome

    repaired = run(capfd, "info", path, *declared, "--repair", "--json")
    kept = run(capfd, "convert", path, tmp_path / "out.h5", *declared, "--repair", "--json")
    left = {p.name for p in tmp_path.iterdir()}
    if bad.dropped is None:
        assert is_one_clear_error(repaired, path), repaired
        assert kept == repaired
        assert left == {path.name}
        return
    assert repaired[0] == 0, repaired
    told: dict[str, Any] = json.loads(repaired[1])
    assert told["events"] > 0
    assert told["dropped"] == bad.dropped or (told["dropped"] and bad.dropped is SOME)
    again, report = io.read(tmp_path / "out.h5")
    assert len(again) == told["events"] == json.loads(kept[1])["events_out"]
    assert report.dropped == {}
    assert left == {path.name, "out.h5"}


def test_repair_keeps_all_that_is_good(tmp_path: Path) -> None:
    rec = recording()
    (tmp_path / "a.dat").write_bytes(dat_with(300, t=900_000_000))
    kept, report = io.read(tmp_path / "a.dat", repair=True)
    assert report.events_dropped == 1
    assert kept.events.tolist() == np.delete(rec.events, 300).tolist()
    (tmp_path / "a.es").write_bytes(set_bits(good("es"), es_event(300) + 2, b"\x77"))
    kept, _ = io.read(tmp_path / "a.es", repair=True)
    assert kept.events.tolist() == np.delete(rec.events, 300).tolist()
    (tmp_path / "a.aedat4").write_bytes(set_bits(aedat4(), aedat4_packets()[1] + 2000, bytes(200)))
    kept, _ = io.read(tmp_path / "a.aedat4", repair=True)
    assert kept.events.tolist() == np.delete(recording(20_000).events, slice(4096, 2 * 4096)).tolist()


def hdf5(path: Path, **changes: Any) -> Path:
    rec = recording()
    columns = {n: rec.events[n].astype("u1" if n == "p" else rec.events[n].dtype) for n in "txyp"} | changes
    with h5py.File(path, "w") as f:
        for name, value in columns.items():
            if name in ("width", "height") or value is None:
                continue
            f[f"events/{name}"] = value
        f.attrs["width"], f.attrs["height"] = changes.get("width", WIDTH), changes.get("height", HEIGHT)
    return path


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"t": np.zeros(EVENTS)}, "events/t is float64"),
        ({"x": np.zeros((EVENTS, 2), "u2")}, "events/x is uint16 with shape (600, 2)"),
        ({"y": np.zeros(5, "u2")}, "different lengths"),
        ({"p": None}, "has no events/p"),
        ({"p": h5py.Empty("u1")}, "events/p is"),
        ({"width": "wide"}, "its sensor size is widex48"),
        ({"height": 0}, "its sensor size is 64x0"),
        ({"width": [64, 64]}, "its sensor size is"),
        ({"t": np.full(EVENTS, 2**64 - 1, "u8")}, "time is negative"),
    ],
)
def test_hdf5_of_another_layout(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], changes: dict[str, Any], says: str
) -> None:
    path = hdf5(tmp_path / "bad.h5", **changes)
    outcome = run(capfd, "info", path)
    assert is_one_clear_error(outcome, path), outcome
    assert says in outcome[2]


def test_hdf5_cut_off_or_garbled(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = good("h5", 60_000)
    path = tmp_path / "bad.h5"
    for part, kept in ((0.01, None), (0.2, None), (0.5, 16_384), (0.8, 2 * 16_384), (0.99, 60_000)):
        path.write_bytes(content[: int(len(content) * part)])
        outcome = run(capfd, "info", path)
        assert is_one_clear_error(outcome, path), outcome
        code, out, err = run(capfd, "info", path, "--repair", "--json")
        if kept is None:
            assert is_one_clear_error((code, out, err), path)
        else:
            assert json.loads(out)["events"] == kept
    path.write_bytes(set_bits(content, len(content) // 2, bytes(100)))
    assert is_one_clear_error(run(capfd, "info", path), path)
    assert json.loads(run(capfd, "info", path, "--repair", "--json")[1])["dropped"] == {"garbled_rows": 16_384}
    path.write_bytes(b"not HDF5 at all")
    assert "is not an HDF5 file" in run(capfd, "info", path)[2]


def test_prophesee_hdf5_is_explained(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "prophesee.hdf5"
    kind = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    with h5py.File(path, "w") as f:
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((100,))
        settings.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL, ())
        f.create_group("CD")
        space = h5py.h5s.create_simple((1000,))
        h5py.h5d.create(f["CD"].id, b"events", h5py.h5t.py_create(kind), space, dcpl=settings)
    outcome = run(capfd, "info", path)
    assert is_one_clear_error(outcome, path)
    assert "compressed with ECF" in outcome[2]


def test_paths_that_are_no_recording(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder.raw").mkdir()
    os.mkfifo(tmp_path / "pipe.raw")
    (tmp_path / "a.xyz").write_bytes(b"events")
    (tmp_path / "none").write_bytes(b"events")
    (tmp_path / "film.mp4").write_bytes(b"film")
    said = {}
    for name in ("absent.raw", "folder.raw", "pipe.raw", "a.xyz", "none", "film.mp4", "absent.h5"):
        outcome = run(capfd, "info", tmp_path / name)
        assert is_one_clear_error(outcome, tmp_path / name), outcome
        said[name] = outcome[2]
    assert "does not exist" in said["absent.raw"]
    assert "is not a file" in said["folder.raw"]
    assert "is not a file" in said["pipe.raw"]
    assert ".raw .dat .aedat4 .es .csv .h5 .hdf5" in said["a.xyz"]
    for name, says in (("folder.raw", "folder without pictures"), ("film.mp4", "cannot be opened as a video")):
        outcome = run(capfd, "convert", tmp_path / name, tmp_path / "out.h5")
        assert is_one_clear_error(outcome, tmp_path / name), outcome
        assert says in outcome[2]


def test_bad_use(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(good("csv"))
    for size in ("64", "64x", "0x48", "-64x48", "64x480000", "big"):
        assert is_one_clear_error(run(capfd, "info", path, f"--size={size}"), "--size")
    assert "--size WIDTHxHEIGHT" in run(capfd, "info", path)[2]
    assert is_one_clear_error(run(capfd, "convert", path, tmp_path / "b.txt", "--size", SIZE), tmp_path / "b.txt")
    assert is_one_clear_error(run(capfd, "convert", path, tmp_path / "b.h5", "--sensor", "dvs"), "--sensor")
    assert is_one_clear_error(run(capfd, "info"), "snnface info")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv"]


def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(good("evt3"))
    io.read(path)  # loads all code, which someone else may not read
    path.chmod(0)
    if os.geteuid() == 0:  # root reads everything: be someone else
        os.seteuid(65_534)
    try:
        with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: .*Permission denied.*\. .+"):
            io.read(path)
    finally:
        if os.getuid() == 0:
            os.seteuid(0)


@pytest.mark.parametrize("name", ["raw of text", "aedat4 garbled packet", "evt3 clock leaps ahead"])
def test_the_installed_command_says_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"bad.{FILES[name].suffix}"
    path.write_bytes(FILES[name].make())
    done = subprocess.run(
        [sys.executable, "-m", "snnface", "info", str(path)], capture_output=True, text=True, timeout=180, check=False
    )
    assert is_one_clear_error((done.returncode, done.stdout, done.stderr), path), done


KINDS = {"evt2": "raw", "evt3": "raw", "dat": "dat", "es": "es", "aedat4": "aedat4", "csv": "csv", "h5": "h5"}


@pytest.mark.parametrize("name", KINDS)
@settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_random_damage_gives_valid_events_or_one_error(
    name: str, data: st.DataObject, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Bits flipped, bytes lost, overwritten or doubled: what is read is in order and inside, or it is refused."""
    content = bytearray(good(name))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "overwrite", "lose", "double"])):
            case "flip":
                content[at] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del content[max(at, 1) :]
            case "overwrite":
                content[at : at + 16] = data.draw(st.binary(min_size=1, max_size=16))
            case "lose":
                del content[max(at, 1) : at + 3]
            case "double":
                content[at:at] = content[at : at + 50]
    path = tmp_path / f"bad.{KINDS[name]}"
    path.write_bytes(content)
    for repair in ((), ("--repair",)):
        outcome = run(capfd, "info", path, "--json", *repair, *(("--size", SIZE) if name == "csv" else ()))
        if outcome[0]:
            assert is_one_clear_error(outcome, path), outcome
            continue
        told = json.loads(outcome[1])
        assert outcome[2] == ""
        assert told["events"] > 0
        assert 0 <= told["t_first_us"] <= told["t_last_us"]
        assert repair or set(told["dropped"]) <= {"undated"}

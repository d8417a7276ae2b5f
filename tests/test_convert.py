"""``snnface convert`` from end to end: what goes where, what is lost, and what an interruption leaves."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_files import HEIGHT, WIDTH, dat_bytes, es_bytes, evt2_bytes, evt3_bytes, evt3_words, recording
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from snnface import io
from snnface.cli import main
from snnface.converters.recordings import convert_recording
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, Recording, pack

SIZE = (WIDTH, HEIGHT)


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any], str]:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments] + ["--json"])
    out, err = capfd.readouterr()
    return int(end.value.code or 0), json.loads(out or "{}"), err


def fields(rec: Recording) -> list:
    return pack(rec.t, rec.x, rec.y, rec.p).tolist()


@settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    gaps=st.lists(st.one_of(st.integers(0, 9), st.integers(0, 9_000)), min_size=1, max_size=80),
    start=st.integers(0, 1 << 24),
    seed=st.integers(0, 9),
)
@pytest.mark.parametrize("kind", ["evt3", "evt2", "dat", "es", "aedat4"])
def test_through_hdf5_and_back_every_event_is_equal(
    kind: str, gaps: list[int], start: int, seed: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    x, y, p = (rng.integers(0, n, len(gaps)) for n in (WIDTH, HEIGHT, 2))
    rec = Recording(pack(start % 50_000_000 + np.cumsum(gaps), x, y, p), WIDTH, HEIGHT)
    suffix = "raw" if kind.startswith("evt") else kind
    first = tmp_path / f"a.{suffix}"
    made = {"evt3": lambda r: evt3_bytes(evt3_words(r)), "evt2": evt2_bytes, "dat": dat_bytes, "es": es_bytes}
    if kind in made:
        first.write_bytes(made[kind](rec))
    else:
        io.write(rec, first)
    convert_recording(first, tmp_path / "b.h5")
    convert_recording(tmp_path / "b.h5", tmp_path / f"c.{suffix}", encoding=kind if suffix == "raw" else None)
    events = [fields(io.read(path)[0]) for path in (first, tmp_path / "b.h5", tmp_path / f"c.{suffix}")]
    assert events[0] == events[1] == events[2]
    # A counter of 24 bits does not say how often it had wrapped before the first event.
    lost = rec.t[0] // (1 << 24) << 24 if kind == "evt3" else 0
    assert events[0] == fields(Recording(pack(rec.t - lost, rec.x, rec.y, rec.p), WIDTH, HEIGHT))


def data(name: str) -> Path:
    folder = os.environ.get("SNNFACE_DATA")
    path = Path(folder or ".") / "recordings" / name
    if not folder or not path.exists():
        pytest.skip("no real recordings: SNNFACE_DATA is not set")
    return path


@pytest.mark.parametrize(
    ("name", "encoding"), [("evt3_sample.raw", "evt3"), ("evt2_sample.raw", "evt2"), ("aedat4_sample.aedat4", None)]
)
def test_real_recordings_through_hdf5_and_back(name: str, encoding: str | None, tmp_path: Path) -> None:
    source = data(name)
    rec, _ = io.read(source)
    convert_recording(source, tmp_path / "a.h5")
    back = tmp_path / f"b{source.suffix}"
    told = convert_recording(tmp_path / "a.h5", back, encoding=encoding)
    assert (told["events_in"], told["dropped"]) == (len(rec), {})
    for path in (tmp_path / "a.h5", back):
        events, report = io.read(path)
        assert (events.width, events.height) == (rec.width, rec.height)
        assert all(np.array_equal(events.events[n], rec.events[n]) for n in "txyp")
    assert encoding is None or report.format == encoding
    window = rec.events[(rec.t >= rec.t[0] + 3_000) & (rec.t < rec.t[0] + 5_500)]
    assert np.array_equal(io.window(tmp_path / "a.h5", int(rec.t[0]) + 3_000, int(rec.t[0]) + 5_500), window)


def test_a_written_recording_of_a_large_sensor(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    t = np.cumsum(rng.integers(0, 2, 60_000))
    rec = Recording(pack(t, rng.integers(0, 1280, 60_000), rng.integers(0, 720, 60_000), t % 3 == 0), 1280, 720)
    io.write(rec, tmp_path / "a.raw")
    for source, target, extra in (("a.raw", "b.h5", ()), ("b.h5", "c.raw", ("--encoding", "evt2"))):
        code, told, err = run(capfd, "convert", tmp_path / source, tmp_path / target, *extra)
        assert (code, err) == (0, "")
        assert told == {"events_in": 60_000, "events_out": 60_000, "dropped": {}, "t0_us": 0}
    assert fields(io.read(tmp_path / "c.raw")[0]) == fields(rec)
    assert run(capfd, "info", tmp_path / "c.raw")[1]["format"] == "evt2"


def test_films_and_folders_find_their_way(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(4):
        picture = np.full((40, 50, 3), 60, np.uint8)
        picture[10:30, 5 * number : 5 * number + 10] = 200
        (tmp_path / "shots").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "shots" / f"{number:02}.png")
    code, told, err = run(
        capfd, "convert", tmp_path / "shots", tmp_path / "a.dat", "--fps", 50, "--sensor", "clean", "--size", "25x20"
    )
    assert code == 0
    assert (told["pictures"], told["width"], told["height"], told["sensor"]) == (4, 25, 20, "clean")
    assert "change by more than 3 thresholds" in " ".join(err.split())
    assert len(io.read(tmp_path / "a.dat")[0]) == told["events_out"] > 0


def test_published_folders_become_data_sets(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rec = recording(300, start=0)
    for person in ("ann", "bob"):
        folder = tmp_path / "set" / "happiness"
        folder.mkdir(parents=True, exist_ok=True)
        io.write(rec, folder / f"{person}.raw")
    code, told, _ = run(capfd, "convert", tmp_path / "set", tmp_path / "set.h5")
    assert code == 0
    assert (told["layout"], told["clips"], told["events_out"]) == ("folder", 2, 600)
    assert run(capfd, "info", tmp_path / "set.h5")[1]["clips"] == 2
    code, _, err = run(capfd, "convert", tmp_path / "set", tmp_path / "set.raw")
    assert (code, "a data set is HDF5" in err) == (2, True)
    code, _, err = run(capfd, "convert", tmp_path / "set", tmp_path / "b.h5", "--layout", "mine")
    assert (code, "mine" in err) == (2, True)


def test_other_folders_are_refused_with_what_is_known(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("Dear")
    code, _, err = run(capfd, "convert", tmp_path / "letters", tmp_path / "a.h5")
    assert code == 2
    assert all(known in err for known in ("without pictures", "facemorphic", "nefer", "folder"))


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (("--sensor", "evk4"), "--sensor"),
        (("--fps", "30"), "--fps"),
        (("--slow", "4"), "--slow"),
        (("--resume",), "--resume"),
        (("--layout", "folder"), "--layout folder"),
        (("--encoding", "evt9"), "--encoding evt9"),
    ],
)
def test_options_that_do_not_fit(
    options: tuple[str, ...], where: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    io.write(recording(), tmp_path / "a.raw")
    code, _, err = run(capfd, "convert", tmp_path / "a.raw", tmp_path / "b.raw", *options)
    assert code == 2
    assert err.startswith(f"error: {where}: ")
    assert [p.name for p in tmp_path.iterdir()] == ["a.raw"]


@pytest.mark.parametrize("target", ["b.raw", "b.dat", "b.es", "b.aedat4", "b.csv", "b.h5"])
def test_an_interruption_leaves_the_old_file(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    io.write(recording(2000), tmp_path / "a.dat")
    io.write(recording(10), tmp_path / target)
    before = (tmp_path / target).read_bytes()

    def interrupted(self: io.Parts) -> Iterator[np.ndarray]:
        yield recording(100).events
        raise KeyboardInterrupt

    monkeypatch.setattr(io.Parts, "__iter__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert_recording(tmp_path / "a.dat", tmp_path / target)
    assert (tmp_path / target).read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.dat", target]


@pytest.mark.parametrize("target", ["b.raw", "b.dat", "b.es", "b.aedat4", "b.csv", "b.h5"])
def test_a_full_disk_is_one_error_and_leaves_nothing(target: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y, p = (rng.integers(0, n, 60_000) for n in (WIDTH, HEIGHT, 2))
    io.write(Recording(pack(np.cumsum(rng.integers(0, 99, 60_000)), x, y, p), WIDTH, HEIGHT), tmp_path / "a.dat")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(InputError, match=r"cannot be written|too large|the codec fails"):
            convert_recording(tmp_path / "a.dat", tmp_path / target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [p.name for p in tmp_path.iterdir()] == ["a.dat"]


MEASURED = """
import re, sys
from pathlib import Path
from snnface.converters.recordings import convert_recording
convert_recording(sys.argv[1], sys.argv[2])
# Of this program alone: what getrusage tells begins with the process that started it.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read where Linux tells it")
def test_a_file_of_ten_times_the_size_takes_no_more_memory(tmp_path: Path) -> None:
    def made(parts: int) -> Iterator[np.ndarray]:
        events = np.zeros(1 << 18, EVENT_DTYPE)
        events["x"], events["y"] = np.arange(len(events)) % 1280, np.arange(len(events)) * 7 % 720
        for number in range(parts):
            events["t"] = np.arange(number << 18, number + 1 << 18) >> 3
            yield events.copy()

    peaks = {}
    for parts in (8, 40):
        io.write_parts(made(parts), tmp_path / "a.dat", (1280, 720))
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, tmp_path / "a.dat", tmp_path / "b.dat"],
            capture_output=True, text=True, check=True, timeout=300,
        )  # fmt: skip
        peaks[parts] = int(done.stdout) / 1024
        assert (tmp_path / "a.dat").read_bytes() == (tmp_path / "b.dat").read_bytes()
    # Whole, the larger one would take 136 MB for its events alone.
    assert peaks[40] < peaks[8] + 40
    assert peaks[40] < 600

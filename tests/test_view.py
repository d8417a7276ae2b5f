"""``snnface view``: what it draws of recordings, clips and networks, as films and pictures."""

from __future__ import annotations

import base64
import json
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import small_networks as small
import view_files as files
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from small_faces import batch_of

import snnface
from snnface import checkpoint
from snnface.backends import get as get_backend
from snnface.cli import main
from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, pack
from snnface.facs import AU_INDEX
from snnface.heads import clip_logits, decode
from snnface.view import film, page
from snnface.view.answers import ask
from snnface.view.board import Board
from snnface.view.colours import palette, table
from snnface.view.command import view
from snnface.view.look import Look, lanes, value_at
from snnface.view.source import open_source, span
from snnface.view.surface import Surface


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("view")


@pytest.fixture(scope="module")
def faces(folder: Path) -> Path:
    return files.faces(folder / "faces.h5")


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    return files.network(folder / "small.safetensors")


@pytest.fixture(scope="module")
def street(folder: Path) -> Path:
    return files.recording(folder / "street.h5")


def call(capsys, *arguments: object) -> tuple[int, dict | None, str]:
    """Exit code, JSON answer and standard error of ``snnface view``."""
    with pytest.raises(SystemExit) as end:
        main(["view", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), json.loads(out) if out else None, err


def look_at(path: Path, model: Path | None = None, clip: int = 0, start: float = 0.0, seconds: float | None = None):
    source = open_source(path, clip)
    part = span(source, start, seconds)
    answers = None if model is None else ask(source, part, model)
    return Look(source, part, source.labels(part.start_us, part.stop_us), answers)


def test_film_of_a_clip(faces, model, tmp_path, capsys):
    out = tmp_path / "clip.mp4"
    code, answer, err = call(
        capsys, faces, "--clip", 1, "--checkpoint", model, "--out", out, "--fps", 25, "--slow", 2
    )
    assert code == 0, err
    assert answer is not None
    assert answer["frames"] == files.DURATION_US * 25 * 2 // 1_000_000 == 16
    assert (answer["out"], answer["bytes"]) == (str(out), out.stat().st_size)
    with av.open(str(out)) as film_file:
        frames = [f.to_ndarray(format="rgb24") for f in film_file.decode(video=0)]
        assert film_file.streams.video[0].average_rate == 25
    assert len(frames) == answer["frames"]
    assert frames[0].shape == (answer["picture"][1], answer["picture"][0], 3)
    assert answer["picture"][0] <= 1280
    assert answer["picture"][0] % 2 == answer["picture"][1] % 2 == 0
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 0.5


def test_film_where_no_h264_encoder_is(street, tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    answer = view(street, out=tmp_path / "a.mp4", fps=10, slow=1, width=320)
    assert answer["codec"] == "mpeg4"
    with av.open(str(tmp_path / "a.mp4")) as found:
        assert sum(1 for _ in found.decode(video=0)) == answer["frames"] == 3


def test_animation_moves_at_the_rate_that_is_told(street, tmp_path, capsys):
    out = tmp_path / "street.gif"
    code, answer, err = call(capsys, street, "--out", out, "--fps", 24, "--slow", 3)
    assert code == 0, err
    assert answer is not None
    with Image.open(out) as gif:
        assert (getattr(gif, "n_frames", 1), list(gif.size)) == (answer["frames"], answer["picture"])
        assert gif.info["duration"] == 1000 / answer["fps"] == 40
        assert gif.info["loop"] == 0
    assert answer["frames"] == int(np.ceil(0.3 * 25 * 3))


def test_picture_of_a_moment(faces, tmp_path):
    out = tmp_path / "a.png"
    answer = view(faces, out=out, at=0.25, width=500, theme="light")
    with Image.open(out) as picture:
        assert list(picture.size) == answer["picture"]
        assert picture.size[0] <= 500
        assert picture.convert("RGB").getpixel((1, 1)) == palette("light")["paper"]
    assert (answer["frames"], answer["at_us"]) == (1, 250_000)


def test_a_film_shows_what_a_picture_shows(faces, model):
    """Whatever came before: an event picture depends on its moment only."""
    look = look_at(faces, model)
    played, jumped = Board(look, 400, 20_000, "dark"), Board(look, 400, 20_000, "dark")
    for t in range(10_000, 200_001, 10_000):
        last = played.picture(t)
    difference = np.abs(np.asarray(last, int) - np.asarray(jumped.picture(200_000)))
    assert difference.max() <= 2


def test_events_fade_exponentially():
    events = pack(*np.array([[1_000, 2_000, 2_000, 9_000], [1, 1, 3, 0], [0, 0, 1, 1], [1, 1, 0, 1]]))
    surface, tau = Surface(4, 2, 5_000.0), 5_000.0
    for stop in (1_000, 4_000, 10_000):
        before = surface.t_us if surface.t_us else -1
        surface.advance(events[(events["t"] > before) & (events["t"] <= stop)], stop)
    expected = np.zeros((2, 4))
    for t, x, y, p in events.tolist():
        expected[y, x] += (1 if p else -1) * np.exp(-(10_000 - t) / tau)
    assert surface.values == pytest.approx(expected, rel=1e-5)
    picture = surface.picture(table("dark"))
    dark = palette("dark")
    assert tuple(picture[0, 0]) == dark["field"]
    towards = {name: np.abs(picture[..., :].astype(int) - dark[name]).sum(-1) for name in ("on", "off")}
    assert (towards["on"] < towards["off"])[0, 1]
    assert (towards["off"] < towards["on"])[1, 3]


@settings(deadline=None)
@given(
    duration=st.integers(1, 10_000_000),
    fps=st.floats(1, 240),
    slow=st.floats(0.1, 1000).filter(lambda s: s > 0),
)
def test_moments_of_a_film(duration, fps, slow):
    if duration / 1e6 * fps * slow > 1e5:
        return
    moments = film.times(duration, fps, slow)
    assert moments[-1] == duration
    assert len(moments) - 1 < duration * fps * slow / 1e6 <= len(moments) + 1e-6
    assert moments[0] >= 0
    assert np.abs(np.diff(moments[:-1], prepend=0) - 1e6 / (fps * slow)).max(initial=0) <= 1
    assert (np.diff(moments) >= 0).all()


def test_short_spans_are_slowed_down():
    assert film.slow_motion(2_500_000, None) == 1
    assert len(film.times(8_800, 30, film.slow_motion(8_800, None))) == 120
    assert film.slow_motion(8_800, 1.0) == 1


def test_a_clips_answer_is_that_of_eval(faces, model):
    look = look_at(faces, model, clip=1)
    network = checkpoint.load(model)[0].to_network()
    batch = batch_of(Store(faces), [1])
    trace = get_backend("torch")(network, batch)
    readout = decode(trace.readout, network.heads)
    for head, odds in look.answers.odds.items():
        expected = clip_logits(readout[head], batch.steps(network.step_us)).softmax(1)[0]
        assert odds[-1] == pytest.approx(expected.numpy(), abs=1e-4)
    points = readout["landmarks"][:, 0].unflatten(1, (-1, 2)).numpy()
    assert look.answers.landmarks == pytest.approx(points, abs=1e-3)
    assert look.answers.t_us.tolist() == [network.step_us * k for k in range(1, len(points) + 1)]


def test_a_recordings_answers_are_those_of_run(street, model, tmp_path):
    lines = tmp_path / "run.jsonl"
    snnface.run(model, str(street), out=lines)
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    look = look_at(street, model)
    assert len(rows) == len(look.answers.t_us)
    for k in (0, 7, len(rows) - 1):
        for said in rows[k]["au"]:
            assert look.answers.odds["au"][k, AU_INDEX[said["au"]]] == pytest.approx(said["p"], abs=1e-4)
        assert look.answers.landmarks[k] == pytest.approx(np.array(rows[k]["landmarks"]), abs=0.01)


def test_a_network_that_has_not_answered_yet(street, model):
    assert look_at(street, model, seconds=0.0195).answers is None
    assert look_at(street, model, seconds=0.0205).answers.t_us.tolist() == [20_000]
    whole = look_at(street, model)
    assert whole.answers.t_us[-1] == whole.span.duration_us  # its last step is cut short


def test_a_part_shows_what_the_whole_shows_there(faces, model):
    whole, part = (look_at(faces, model, 1, *cut) for cut in ((0.0, None), (0.21, 0.1)))
    assert part.span == (210_000, 310_000)
    shift = 210_000
    for t in (0, 1, 33_333, 100_000):
        assert whole.points(shift + t).keys() == part.points(t).keys() == {"truth", "answer"}
        for kind in ("truth", "answer"):
            assert (whole.points(shift + t)[kind] == part.points(t)[kind]).all()
        assert whole.labels.rgb[whole.frame(shift + t)] == part.labels.rgb[part.frame(t)]
    events = whole.events(shift - 1, shift + 100_000)
    events["t"] -= shift
    assert (events == part.events(-1, 100_000)).all()
    assert len(events)


def test_the_rate_counts_every_event_once(street):
    look = look_at(street)
    counts = look.rate(17)
    assert counts.sum() == 3_000
    assert counts[1].sum() == look.events(-1, look.span.duration_us)["p"].sum()


def test_lanes_show_what_moves_and_what_is_said(faces, model):
    smile = lanes(look_at(faces, model))
    assert {f"AU{files.AU} lip corner puller"} < {lane.name for lane in smile}
    assert all(lane.truth is not None and lane.answer is not None for lane in smile)
    (alone,) = lanes(look_at(faces))
    assert alone.answer is None
    assert alone.truth is not None
    assert alone.truth.values.tolist() == pytest.approx(np.linspace(0, 1, files.FRAMES))
    names = [lane.name for lane in lanes(look_at(faces, model, clip=1))]
    assert "happiness" in names
    assert value_at(alone.truth, 100_000) == pytest.approx(3 / 9)


def test_hidden_landmarks_are_not_drawn(faces):
    assert len(look_at(faces).points(0)["truth"]) == 68 - 7


def test_what_is_not_labelled_is_not_drawn(model, tmp_path):
    blank = look_at(small.write_dataset(tmp_path / "b.h5", [small.clip(60_000, 500)], 60_000, files.SIZE, files.SIZE))
    labels = replace(blank.labels, au_intensity=np.full((1, 24), np.nan), landmarks=np.full((1, 68, 2), np.nan))
    look = replace(blank, labels=labels)
    assert lanes(look) == []
    assert look.points(0) == {}
    assert Board(look, 640, 30_000, "dark").picture(60_000).size[0] <= 640


def test_an_unwritable_place(street, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    code, _, err = call(capsys, street, "--out", tmp_path / "file" / "a.png")
    assert (code, "cannot create its folder" in " ".join(err.split())) == (2, True)


def test_the_package_is_the_command_too(street, tmp_path):
    """``snnface.view`` names both."""
    called = getattr(snnface, "view")(str(street), out=str(tmp_path / "a.png"))  # noqa: B009 - what Python sees of it
    assert called["out"] == str(tmp_path / "a.png")
    assert callable(sys.modules["snnface.view"])


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(*(st.integers(0, n) for n in (2**31, 65_535, 65_535, 1))), min_size=1, max_size=40),
    before=st.integers(0, 2**31),
)
def test_blocks_come_back(rows, before):
    t = before + np.cumsum([r[0] % 2**20 for r in rows], dtype=np.int64)
    events = np.zeros(len(rows), EVENT_DTYPE)
    events["t"] = t
    for i, name in enumerate("xyp", 1):
        events[name] = [r[i] for r in rows]
    raw = np.frombuffer(zlib.decompress(base64.b64decode(page.planes(events, before))), np.uint8)
    b = raw.reshape(9, -1).astype(np.int64)
    assert (before + np.cumsum(b[0] | b[1] << 8 | b[2] << 16 | b[3] << 24)).tolist() == t.tolist()
    assert (b[4] | b[5] << 8).tolist() == events["x"].tolist()
    assert (b[6] | b[7] << 8).tolist() == events["y"].tolist()
    assert b[8].tolist() == events["p"].tolist()


def test_a_page_that_is_too_long_is_refused_with_a_part_that_fits(street, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "MOST_EVENTS", 1_000)
    out = tmp_path / "street.html"
    with pytest.raises(InputError, match=r"--start 0 --seconds ([\d.]+) fits") as error:
        view(street, out=out)
    seconds = float(error.value.fix.split("--seconds ")[1].split()[0])
    assert 0.09 < seconds < 0.11
    assert 900 < view(street, out=out, seconds=seconds)["events"] <= 1_000


def test_a_page_with_too_many_pictures_is_refused(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "MOST_PICTURES", 100)
    with pytest.raises(InputError, match="MB of colour pictures"):
        view(faces, out=tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_film_leaves_nothing(street, tmp_path, monkeypatch):
    drawn = Board.picture

    def interrupted(self, t_us):
        if t_us > 100_000:
            raise KeyboardInterrupt
        return drawn(self, t_us)

    monkeypatch.setattr(Board, "picture", interrupted)
    for name, at in (("a.mp4", None), ("a.gif", None), ("a.png", 0.2)):
        with pytest.raises(KeyboardInterrupt):
            view(street, out=tmp_path / name, at=at)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--out", "a.avi"], "End it in one of .html .mp4 .gif .png"),
        (["--out", "a.html", "--fps", 10], "--fps: says nothing about a .html"),
        (["--out", "a.mp4", "--at", 0.1], "--at: says nothing about a .mp4"),
        (["--out", "a.png", "--at", 9], "--at: 9 s is outside 0 … 0.29991"),
        (["--out", "a.png", "--start", 4], "--start: 4 s is outside"),
        (["--out", "a.png", "--start", -1], "--start: -1 s is outside"),
        (["--out", "a.png", "--start", "nan"], "--start: nan s is outside"),
        (["--out", "a.png", "--seconds", 0], "--seconds: 0 s is no length"),
        (["--out", "a.png", "--decay", 0], "--decay: 0 ms is no time"),
        (["--out", "a.png", "--width", 10], "--width: 10 pixels cannot be drawn"),
        (["--out", "a.mp4", "--fps", 0], "--fps: 0 is no rate"),
        (["--out", "a.mp4", "--slow", "inf"], "--slow: inf is no rate"),
        (["--out", "a.gif", "--slow", 1000], "are more than a gif's 500"),
        (["--out", "a.png", "--checkpoint", "absent.safetensors"], "absent.safetensors: is missing"),
        (["--out", "a.png", "--checkpoint", "a.onnx"], "a.onnx: is not a network that can be streamed"),
    ],
)
def test_bad_use(options, found, street, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, answer, err = call(capsys, street, *options)
    assert (code, answer) == (2, None)
    assert found in " ".join(err.split())
    assert err.count("error:") == 1
    assert list(tmp_path.iterdir()) == []


def test_bad_input(faces, tmp_path, capsys):
    code, _, err = call(capsys, faces, "--clip", 2, "--out", tmp_path / "a.png")
    assert (code, "2 is beyond the data set's 2 clips" in err) == (2, True)
    code, _, err = call(capsys, tmp_path / "absent.raw", "--out", tmp_path / "a.png")
    assert (code, "does not exist" in err) == (2, True)
    (tmp_path / "noise.raw").write_bytes(bytes(range(256)))
    code, _, err = call(capsys, tmp_path / "noise.raw", "--out", tmp_path / "a.png")
    assert code == 2
    assert not (tmp_path / "a.png").exists()

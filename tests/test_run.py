"""The command ``snnface run``, from the command line's side."""

from __future__ import annotations

import io
import json
import os
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import small_networks as small
import torch
from faery import udp_encoder

from snnface import checkpoint
from snnface.batch import collate_events
from snnface.cli import main
from snnface.downscale import Downscale
from snnface.encoder import ConvConfig, Encoder, EncoderConfig, HeadConfig, class_heads
from snnface.live import Live, describe
from snnface.pace import at_once
from snnface.stream import open_stream
from snnface.ticks import ticks


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A random encoder with all heads, 16x12 pixels at 5 ms."""
    torch.manual_seed(0)
    heads = class_heads() | {"landmarks": HeadConfig(size=136, scale=[1.0] * 136, offset=[8.0, 6.0] * 68)}
    config = EncoderConfig(width=16, height=12, step_us=5_000, conv=[ConvConfig(channels=4)], heads=heads)
    encoder = Encoder(config)
    encoder.calibrate(collate_events([small.clip(100_000, 2_000, 0, 16, 12)], [100_000], 16, 12))
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    checkpoint.save(path, encoder, {})
    return path


def write_csv(path: Path, events: np.ndarray) -> Path:
    path.write_text("t,x,y,p\n" + "".join(f"{t},{x},{y},{int(p)}\n" for t, x, y, p in events.tolist()))
    return path


def call(capsys, *arguments: object) -> tuple[int, dict | None, str]:
    """Exit code, JSON answer and standard error of ``snnface run``."""
    with pytest.raises(SystemExit) as end:
        main(["run", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), json.loads(out) if out else None, err


def test_run_a_recording(model, tmp_path, capsys):
    events = small.clip(52_000, 4_000, 1, 160, 90)
    recording, out = write_csv(tmp_path / "r.csv", events), tmp_path / "out.jsonl"
    code, answer, _ = call(capsys, model, recording, "--size", "160x90", "--tick-us", 10_000, "--out", out)
    assert code == 0
    assert answer is not None
    assert {"source", "ticks", "tick_us", "p50_us", "p99_us", "real_time_factor", "events_per_s", "late"} <= set(
        answer
    )
    assert (answer["source"], answer["ticks"], answer["tick_us"]) == (str(recording), 6, 10_000)
    assert answer["events"] == 4_000
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [r["t_us"] - rows[0]["t_us"] for r in rows] == [10_000 * k for k in range(6)]
    assert sum(r["events"] for r in rows) == 4_000
    assert max(r["events"] for r in rows) == answer["largest_tick_events"]
    for row in rows:
        assert len(row["au"]) == 3
        assert row["au"][0]["p"] >= row["au"][1]["p"]
        assert sum(row["expression_p"].values()) == pytest.approx(1, abs=1e-3)
        assert row["expression"] == max(row["expression_p"], key=row["expression_p"].get)
    stream, scaling = open_stream(model), Downscale(160, 90, 16, 12)
    answers = list(Live(stream, scaling, 10_000).run(at_once(ticks([events], 10_000, "x"))))
    assert rows == [json.loads(json.dumps(describe(a, scaling.to_sensor))) for a in answers]
    points = answers[-1].tick.answers["landmarks"].reshape(68, 2)
    np.testing.assert_allclose(rows[-1]["landmarks"], (points + 0.5) * 7.5 - 0.5 + [20, 0], atol=0.01)


def test_run_standard_input_equals_the_file(model, tmp_path, capsys, monkeypatch):
    recording = write_csv(tmp_path / "r.csv", small.clip(52_000, 900, 1, 16, 12))
    outs = [tmp_path / "file.jsonl", tmp_path / "flow.jsonl"]
    call(capsys, model, recording, "--size", "16x12", "--out", outs[0])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(recording.read_bytes())))
    code, answer, _ = call(capsys, model, "-", "--out", outs[1])
    assert code == 0
    assert answer is not None
    assert answer["source"] == "standard input"
    assert outs[0].read_text() == outs[1].read_text()
    assert len(outs[1].read_text().splitlines()) == answer["ticks"] == 11


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_run_events_over_udp(model, tmp_path, capsys):
    """Faery sends as a camera would; two broken packets and one that comes too late are counted, not passed over."""
    events, port, out = small.clip(52_000, 900, 1, 16, 12), free_port(), tmp_path / "out.jsonl"
    recording = write_csv(tmp_path / "r.csv", events)
    call(capsys, model, recording, "--size", "16x12", "--out", tmp_path / "file.jsonl")

    def send() -> None:
        address = ("127.0.0.1", port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            while not list(tmp_path.glob(".out.*")):  # it listens before it writes
                time.sleep(0.01)
            parts = np.array_split(events, 9)
            udp_encoder.encode(parts, address)
            for packet in (b"short", parts[0][:2].tobytes() + b"rest", b""):
                s.sendto(packet, address)

    camera = threading.Thread(target=send, daemon=True)
    camera.start()
    code, answer, error = call(capsys, model, f"udp://127.0.0.1:{port}", "--out", out)
    camera.join()
    assert code == 0, error
    assert answer is not None
    assert (answer["events"], answer["ticks"], answer["dropped"]) == (900, 11, 4)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert sum(row["ticks"] for row in rows) == 11
    last = json.loads((tmp_path / "file.jsonl").read_text().splitlines()[-1])
    assert rows[-1] | {"ticks": 1, "events": 0, "events_in": 0, "spikes": 0} == last | {
        "events": 0, "events_in": 0, "spikes": 0,
    }  # fmt: skip


@pytest.mark.parametrize("address", ["udp://", "udp://127.0.0.1", "udp://127.0.0.1:70000", "udp://nowhere.invalid:1"])
def test_an_address_that_is_none_is_one_line(address, model, capsys):
    code, answer, error = call(capsys, model, address)
    assert (code, answer) == (2, None)
    assert error.startswith(f"error: {address}: cannot be listened on")
    assert error.count("\n") == 1


@pytest.mark.parametrize("rate", ["real", "max"])
def test_standard_input_at_its_own_pace_ends_and_breaks_as_at_once(rate, model, capsys, monkeypatch):
    for last, expected in ((b"21000", 0), (b"8000", 2)):
        text = b"0,1,1,1\n9000,1,1,0\n" + last + b",1,1,1\n"
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
        code, answer, error = call(capsys, model, "-", "--rate", rate)
        assert code == expected
        assert (answer or {}).get("ticks") == (5 if code == 0 else None)
        assert ("backwards" in error) == (code == 2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["{model}", "{csv}", "--tick-us", "7000"],
        ["{model}", "{csv}", "--size", "16by12"],
        ["{model}", "absent.csv"],
        ["absent.safetensors", "{csv}"],
        ["{csv}", "{csv}"],
        ["{model}", "{csv}", "--rate", "soon"],
        ["{model}", "{csv}", "--out", "{model}/x.jsonl"],
    ],
)
def test_bad_use_is_one_line(arguments, model, tmp_path, capsys):
    names = {"model": model, "csv": write_csv(tmp_path / "r.csv", small.clip(20_000, 99, 1, 16, 12))}
    code, answer, error = call(capsys, *(a.format(**names) for a in arguments))
    assert (code, answer) == (2, None)
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_a_clip_of_a_data_set_keeps_its_own_clock(model, tmp_path, capsys):
    clips = [small.clip(50_000, 300, seed, 16, 12) for seed in range(2)]
    clips[1] = clips[1][clips[1]["t"] > 12_000]
    data, out = small.write_dataset(tmp_path / "d.h5", clips, 50_000, 16, 12), tmp_path / "out.jsonl"
    code, answer, _ = call(capsys, model, data, "--clip", 1, "--out", out)
    assert code == 0
    assert answer is not None
    assert answer["events"] == len(clips[1])
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [r["t_us"] for r in rows] == [5_000 * (k + 1) for k in range(10)]
    assert [r["events"] for r in rows[:2]] == [0, 0]
    code, _, error = call(capsys, model, data, "--clip", 2)
    assert code == 2
    assert "2 clips" in error


class _Interrupted(io.BytesIO):
    """A live flow that the user ends with Ctrl-C."""

    def read1(self, size=-1):
        return super().read1(size) or self._stop()

    def _stop(self):
        raise KeyboardInterrupt


def test_ctrl_c_ends_a_live_run_and_keeps_its_answers(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(_Interrupted(b"0,1,1,1\n9000,1,1,0\n21000,1,1,1\n")))
    out = tmp_path / "out.jsonl"
    code, answer, _ = call(capsys, model, "-", "--out", out)
    assert code == 0
    assert answer is not None
    assert answer["ticks"] == len(out.read_text().splitlines()) == 4


def test_a_broken_flow_leaves_no_half_file(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"0,1,1,1\n9000,1,1,0\n8000,1,1,1\n")))
    code, _, error = call(capsys, model, "-", "--out", tmp_path / "out.jsonl")
    assert code == 2
    assert "backwards" in error
    assert list(tmp_path.iterdir()) == []


def test_a_real_recording(model, capsys):
    folder = os.environ.get("SNNFACE_DATA")
    path = Path(folder or ".") / "recordings" / "evt3_sample.raw"
    if not folder or not path.is_file():
        pytest.skip("set SNNFACE_DATA to a folder with recordings/evt3_sample.raw")
    code, answer, _ = call(capsys, model, path, "--rate", "real", "--downscale", "all")
    assert code == 0
    assert answer is not None
    assert (answer["events"], answer["ticks"], answer["width"], answer["height"]) == (219_596, 2, 1280, 720)
    assert answer["largest_tick_events"] > 100_000

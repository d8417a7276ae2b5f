"""From a checkpoint to a network file, and certificates of checkpoints, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from integer_networks import clips

from snnface import backends, checkpoint, cli
from snnface.backends.torch import run as run_float
from snnface.counts import count
from snnface.datasets.store import ClipData, write_store
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig, class_heads
from snnface.events import EVENT_DTYPE
from snnface.hardware.inputs import read_clips
from snnface.hardware.integers import fixed_point
from snnface.hardware.lava import process
from snnface.hardware.netx_files import manifest
from snnface.hardware.opening import open_network
from snnface.network import Network


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint (two convolutions, dense, readout) and a data set of four clips, two of them for testing."""
    path = tmp_path_factory.mktemp("export")
    torch.manual_seed(0)
    config = EncoderConfig(
        width=16,
        height=12,
        step_us=5000,
        conv=[ConvConfig(channels=6, kernel=5), ConvConfig(channels=8)],
        dense=[DenseConfig(features=16, tau_mem_us=20_000)],
        heads=class_heads(),
    )
    encoder = Encoder(config)
    for synapses, gain in zip(encoder.synapses, (0.8, 0.7, 0.6, 1.0), strict=True):
        synapses.gain.data.fill_(gain)
    checkpoint.save(path / "model", encoder, {})
    batch = clips(encoder.to_network(), 4)
    write_store(path / "data.h5", (clip(batch, b) for b in range(4)), 16, 12, {"name": "test"})
    return path


def clip(batch, b: int) -> ClipData:
    own = slice(int(batch.offsets[b]), int(batch.offsets[b + 1]))
    events = np.zeros(own.stop - own.start, EVENT_DTYPE)
    for name in "txyp":
        events[name] = getattr(batch, name)[own].numpy()
    frames = {"frame_t_us": (1,), "au_intensity": (1, 24), "landmarks": (1, 68, 2), "visible": (1, 68)}
    frames |= {"coefficients": (1, 32), "pose": (1, 3), "gaze": (1, 2), "box": (1, 4)}
    labels = {name: np.zeros(shape) for name, shape in frames.items()}
    return ClipData(events, int(batch.duration_us[b]), b, 1, -1, 2 * (b % 2), **labels)


def command(capsys, *arguments: object) -> tuple[int, dict]:
    with pytest.raises(SystemExit) as end:
        cli.main([*(str(a) for a in arguments), "--json"])
    out = capsys.readouterr().out
    return int(end.value.code or 0), json.loads(out) if out else {}


@pytest.fixture(scope="module")
def net(folder):
    """The exported network."""
    out = folder / "model.net"
    with pytest.raises(SystemExit) as end:
        cli.main(
            ["export", str(folder / "model.safetensors"), "--out", str(out), "--calibration", str(folder / "data.h5")]
        )
    assert end.value.code == 0
    return out


def test_export_writes_both_variants_and_says_what_they_hold(capsys, folder, tmp_path):
    code, answer = command(
        capsys, "export", folder / "model.safetensors", "--to", "lava", "--out", tmp_path / "a.net"
    )
    assert code == 0
    assert answer["refused"] == []
    assert answer["layers"] == 4
    assert answer["neurons"] == 6 * 6 * 8 + 8 * 3 * 4 + 16 + 31
    assert answer["synapses"] == 6 * 2 * 25 + 8 * 6 * 9 + 16 * 96 + 31 * 16
    names = {"a.net", "a.net.json", "a.unary.net", "a.unary.net.json"}
    assert {f.name for f in tmp_path.iterdir()} == names
    content = json.loads(Path(answer["manifest"]).read_text())
    assert content["variants"] == {"unary": "a.unary.net"}
    assert set(content["heads"]) == {"au", "expression"}
    assert json.loads((tmp_path / "a.unary.net.json").read_text())["input_mode"] == "unary"


@pytest.mark.parametrize(
    "arguments",
    [["--to", "nir"], ["--out", "x.json"], ["--calibration", "absent.h5"]],
)
def test_bad_use_of_export_is_refused(capsys, folder, tmp_path, arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(["export", str(folder / "model.safetensors"), "--out", str(tmp_path / "a.net"), *arguments])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert error.startswith("error: ")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_expressed_is_listed_and_nothing_written(capsys, folder, tmp_path, monkeypatch):
    network = checkpoint.load(folder / "model")[0].to_network()
    broken = Network(
        **{k: getattr(network, k) for k in network.__dataclass_fields__} | {"payload_max": 300},
    )
    monkeypatch.setattr(Encoder, "to_network", lambda self: broken)
    code, answer = command(capsys, "export", folder / "model.safetensors", "--out", tmp_path / "a.net")
    assert code == 1
    assert [r["layer"] for r in answer["refused"]] == ["input"]
    assert answer["file"] is None
    assert not list(tmp_path.iterdir())


def test_the_fixed_backend_runs_a_file(folder, net):
    batch = read_clips(folder / "data.h5", 2)
    trace = backends.get("fixed")(net, batch)
    network = checkpoint.load(folder / "model")[0].to_network()
    theirs = run_float(network, batch)
    assert trace.readout.shape == theirs.readout.shape
    for ours, float_spikes in zip(trace.spikes, theirs.spikes, strict=True):
        assert (ours.bool() == float_spikes.bool()).double().mean() > 0.9
        assert 0.9 < ours.sum() / float_spikes.sum() < 1.1
    again = fixed_point.run(manifest.load(net), batch)
    assert torch.equal(trace.readout, again.readout)
    synops = [
        count(shapes, [(batch, t)]).total("synops")
        for shapes, t in ((network, theirs), (open_network(net).network, trace))
    ]
    assert 0.9 < synops[1] / synops[0] < 1.1


@pytest.mark.parametrize("peer", ["snntorch", "norse"])
def test_a_checkpoint_spikes_the_same_in_other_libraries(capsys, folder, peer):
    pytest.importorskip(peer)
    code, answer = command(
        capsys, "verify", folder / "model.safetensors", "--against", peer, "--data", folder / "data.h5", "--clips", 2
    )
    assert code == 0, answer["found"]
    assert answer["differing_spikes"] == 0
    assert peer in answer["versions"]
    for row in answer["layers"][:-1]:
        assert row["spikes"] > 0
    assert answer["layers"][-1]["differing_v"] == 0


@pytest.mark.skipif(None in process.installed().values(), reason="Lava is not installed: snnface lava install")
@pytest.mark.parametrize("mode", ["graded", "unary"])
def test_an_exported_network_equals_real_lava(capsys, folder, net, mode):
    code, answer = command(
        capsys, "verify", net, "--against", "lava", "--data", folder / "data.h5", "--clips", 2, "--input", mode
    )
    assert code == 0, answer["found"]
    assert answer["input"] == mode
    assert answer["network"].endswith("model.net" if mode == "graded" else "model.unary.net")
    assert (answer["clips"], answer["steps"]) == (2, 2 * 40 + 4)
    assert [row["name"] for row in answer["layers"]] == ["conv1", "conv2", "dense1", "readout"]


@pytest.mark.skipif(None in process.installed().values(), reason="Lava is not installed: snnface lava install")
def test_an_export_carries_its_certificate(capsys, folder, tmp_path):
    arguments = ["export", folder / "model.safetensors", "--out", tmp_path / "a.net", "--certify"]
    code, answer = command(capsys, *arguments)
    assert code == 0
    certificate = json.loads(Path(answer["certificate"]).read_text())
    assert answer["certificate"].endswith("a.net.certificate.json")
    assert certificate["sha256"]["network"] == json.loads(Path(answer["manifest"]).read_text())["sha256"]
    assert [certificate[f"differing_{k}"] for k in ("spikes", "u", "v")] == [0, 0, 0]
    assert certificate["first_difference"] is None
    assert certificate["compared"]
    assert any("chip" in what for what in certificate["not_compared"])


@pytest.mark.skipif(None in process.installed().values(), reason="Lava is not installed: snnface lava install")
def test_a_checkpoint_is_quantised_for_lava_and_run_on_random_spikes(capsys, folder):
    _, answer = command(capsys, "verify", folder / "model.safetensors", "--clips", 1, "--seed", 3)
    assert answer["data"] == "random, seed 3"
    assert answer["input"] == "graded"
    assert all(row[f"differing_{k}"] == 0 for row in answer["layers"] for k in ("spikes", "u", "v"))
    assert answer["layers"][0]["spikes"] > 0

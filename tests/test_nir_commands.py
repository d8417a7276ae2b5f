"""NIR through the command line: export, simulate, verify; networks from elsewhere on their way to netx."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
import torch
from integer_networks import clips
from nir_networks import spikes
from test_export import clip, command

from snnface import checkpoint
from snnface.datasets.store import write_store
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig, class_heads
from snnface.errors import InputError
from snnface.events import by_step, pack
from snnface.hardware import nir_files
from snnface.hardware.lava import process
from snnface.hardware.netx_files import manifest
from snnface.hardware.nir_files.readers import installed
from snnface.hardware.verifying.nir import against_reader
from snnface.stream import Stream

NEEDS = {name: pytest.mark.skipif(name not in installed(), reason=f"{name} is not installed")
         for name in ("snntorch", "norse")}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint whose layers spike, four clips, and the checkpoint as NIR."""
    path = tmp_path_factory.mktemp("nir")
    torch.manual_seed(0)
    config = EncoderConfig(
        width=16, height=12, step_us=5000, conv=[ConvConfig(channels=6, kernel=5), ConvConfig(channels=8)],
        dense=[DenseConfig(features=16, tau_mem_us=20_000)], heads=class_heads(),
    )  # fmt: skip
    encoder = Encoder(config)
    for synapses, gain in zip(encoder.synapses, (0.8, 0.7, 0.6, 1.0), strict=True):
        synapses.gain.data.fill_(gain)
    checkpoint.save(path / "model", encoder, {})
    batch = clips(encoder.to_network(), 4)
    write_store(path / "data.h5", (clip(batch, b) for b in range(4)), 16, 12, {"name": "test"})
    nir_files.write(path / "model.nir", encoder.to_network())
    return path


@pytest.fixture(scope="module")
def foreign(tmp_path_factory) -> Path:
    """A conv network as snnTorch writes its own: LIF of full shape, dt = 1e-4, r = tau/dt, no metadata."""
    rng = np.random.default_rng(3)
    beta, shapes = 0.85, ((4, 6, 8), (10,))
    neurons = [nir.LIF(*(np.full(s, x) for x in (1e-4 / (1 - beta), 1 / (1 - beta), 0.0, 1.0, 0.0))) for s in shapes]
    nodes = {
        "input": nir.Input(np.array([2, 12, 16])),
        "0": nir.Conv2d((12, 16), rng.normal(0.03, 0.25, (4, 2, 3, 3)), 2, 1, 1, 1, np.zeros(4)),
        "1": neurons[0], "2": nir.Flatten(np.array(shapes[0]), 0, -1),
        "3": nir.Linear(rng.normal(0.01, 0.1, (10, 192))), "4": neurons[1], "output": nir.Output(np.array([10])),
    }  # fmt: skip
    path = tmp_path_factory.mktemp("foreign") / "foreign.nir"
    nir.write(path, nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False))
    return path


def test_export_writes_file_manifest_and_certificate(capsys, folder, tmp_path):
    out = tmp_path / "a.nir"
    code, answer = command(capsys, "export", folder / "model.safetensors", "--to", "nir", "--out", out)
    assert code == 0
    assert answer["refused"] == []
    assert (answer["layers"], answer["neurons"]) == (4, 6 * 6 * 8 + 8 * 3 * 4 + 16 + 31)
    content = json.loads(Path(answer["manifest"]).read_text())
    assert content["dt"] == 1e-4
    assert content["step_us"] == 5000
    assert content["input_mode"] == "graded"
    assert set(content["heads"]) == {"au", "expression"}
    assert content["layers"][-1]["spiking"] is False
    for name in installed():
        assert answer["readers"][name] == 0
    if installed():
        found = json.loads(Path(answer["certificate"]).read_text())
        for name in installed():
            certificate = found[name]
            assert certificate["network"] == "a.nir"
            assert certificate["sha256"]["network"] == content["sha256"]
            assert certificate["compared"]
            assert certificate["not_compared"]
            assert {"nir", "nirtorch", name} <= certificate["versions"].keys()
            assert certificate["patches"] == []


@pytest.mark.parametrize("out", ["a.net", "model.nir"])
def test_bad_names_are_refused(capsys, folder, out):
    code, _ = command(capsys, "export", folder / "model.nir", "--to", "nir", "--out", folder / out)
    assert code == 2
    assert not (folder / "a.net").exists()


def test_what_nir_cannot_say_is_listed_and_nothing_written(capsys, folder, tmp_path, monkeypatch):
    plain = checkpoint.load(folder / "model")[0].to_network()
    layers = tuple(dataclasses.replace(x, beta=1.0) for x in plain.layers)
    monkeypatch.setattr(Encoder, "to_network", lambda self: dataclasses.replace(plain, layers=layers))
    code, answer = command(capsys, "export", folder / "model.safetensors", "--to", "nir", "--out", tmp_path / "a.nir")
    assert code == 1
    assert [x["layer"] for x in answer["refused"]] == ["conv1", "conv2", "dense1", "readout"]
    assert answer["file"] is None
    assert not list(tmp_path.iterdir())


def test_simulate_writes_traces(capsys, foreign, tmp_path):
    x = spikes(90, 0.2, shape=(2, 12, 16)).astype(np.float32)
    np.save(tmp_path / "x.npy", x.reshape(90, -1))
    code, answer = command(
        capsys, "simulate", foreign, tmp_path / "x.npy", "--dt", "1e-4", "--out", tmp_path / "t.h5"
    )
    assert code == 0
    assert answer["layers"] == 2
    assert answer["nodes"] == ["1", "4"]
    with h5py.File(tmp_path / "t.h5") as f:
        assert f["layer/0/s"].shape == (90, 4, 6, 8)
        assert f["layer/1/v"].shape == (90, 10)
        assert f["layer/1/s"].dtype == bool
        assert [int(f[f"layer/{i}/s"][()].sum()) for i in range(2)] == answer["spikes"]
        assert (f["layer/0/v"][()][f["layer/0/s"][()]] == 0).all()
    assert answer["spikes"][1] > 0


def test_simulate_asks_for_what_the_file_leaves_open(capsys, foreign, folder, tmp_path):
    np.save(tmp_path / "x.npy", spikes(4, shape=(2, 12, 16)))
    np.save(tmp_path / "short.npy", np.zeros((4, 3)))
    traces = ["--out", tmp_path / "t.h5"]
    for arguments in (
        [foreign, tmp_path / "x.npy", *traces],
        [foreign, tmp_path / "short.npy", *traces, "--dt", "1e-4"],
        [foreign, tmp_path / "x.npy", *traces, "--dt", "1e-4", "--reset-interval", "5"],
        [foreign, tmp_path / "x.npy", *traces, "--dt", "1e-9", "--semantics", "brian"],
    ):
        assert command(capsys, "simulate", *arguments)[0] == 2
    assert command(capsys, "simulate", folder / "model.nir", tmp_path / "x.npy", *traces)[0] == 0


@pytest.mark.parametrize("reader", [pytest.param(name, marks=mark) for name, mark in NEEDS.items()])
def test_verify_a_checkpoint_and_a_file_with_importers(capsys, folder, tmp_path, reader):
    for network in ("model.safetensors", "model.nir"):
        code, answer = command(
            capsys, "verify", folder / network, "--against", f"nir:{reader}", "--data", folder / "data.h5",
            "--clips", 1, "--out", tmp_path / "c.json",
        )  # fmt: skip
        assert answer["differing_spikes"] == answer["differing_u"] == answer["differing_v"] == 0
        assert [row["name"] for row in answer["layers"]] == ["conv1", "conv2", "dense1", "readout"]
        assert answer["layers"][0]["spikes"] > 100
        assert answer["first_difference"] is None
        assert code == (0 if not answer["found"] else 1)
        assert json.loads((tmp_path / "c.json").read_text()) == answer


@pytest.mark.parametrize("peer", [pytest.param(name, marks=mark) for name, mark in NEEDS.items()])
def test_verify_a_nir_file_with_float_backends(capsys, folder, peer):
    code, answer = command(
        capsys, "verify", folder / "model.nir", "--against", peer, "--data", folder / "data.h5", "--clips", 1
    )
    assert code == 0, answer["found"]
    assert [answer[f"differing_{k}"] for k in ("spikes", "u", "v")] == [0, 0, 0]
    assert answer["layers"][0]["largest_gap"] < 1e-9


@NEEDS["snntorch"]
def test_a_difference_is_located_with_both_values(tmp_path):
    """snnTorch 1.0 imports an integrator as a leaky neuron: layer, step, neuron and both states are named."""
    one, nodes = np.ones(6), {}
    nodes["input"] = nir.Input(np.array([6]))
    nodes["cells"] = nir.IF(r=one, v_threshold=3.0 * one, v_reset=0 * one)
    nodes["output"] = nir.Output(np.array([6]))
    nir.write(tmp_path / "if.nir", nir.NIRGraph(nodes, list(itertools.pairwise(nodes))))
    np.save(tmp_path / "x.npy", spikes(20, 0.5, shape=(6,)))
    certificate, found = against_reader(
        tmp_path / "if.nir", "snntorch", tmp_path / "x.npy", semantics="nir,whole=IF,dt=1e-4"
    )
    first = certificate["first_difference"]
    assert (first["layer"], first["field"]) == ("cells", "v")
    assert first["simulator"] > first["other"]
    assert first["v"] == [first["simulator"], first["other"]]
    assert not certificate["passed"]
    assert f"neuron ({first['neuron'][0]}) at step {first['step']}" in found[0]


def test_an_unknown_or_failing_reader_is_one_line(folder, foreign):
    with pytest.raises(InputError, match="does not know the NIR reader"):
        against_reader(folder / "model.nir", "nengo")
    with pytest.raises(InputError, match="how events become"):
        against_reader(foreign, next(iter(installed()), "nengo"), folder / "data.h5", dt=1e-4)


@NEEDS["snntorch"]
def test_a_network_from_elsewhere_becomes_netx(capsys, foreign, tmp_path):
    out = tmp_path / "f.net"
    code, answer = command(capsys, "export", foreign, "--semantics", "snntorch,step_us=1000", "--out", out)
    assert code == 0, answer
    integer = manifest.load(out)
    assert integer.host.step_us == 1000
    assert [layer.kind for layer in integer.layers] == ["conv", "dense"]
    assert integer.layers[0].i_decay == 4096
    assert integer.layers[0].v_decay == round(4096 * 0.15)
    x = spikes(60, 0.2, shape=(2, 12, 16))
    np.save(tmp_path / "x.npy", x)
    _, ints = command(capsys, "simulate", out, tmp_path / "x.npy", "--out", tmp_path / "i.h5")
    _, floats = command(
        capsys, "simulate", foreign, tmp_path / "x.npy", "--semantics", "snntorch", "--out", tmp_path / "f.h5"
    )
    assert ints["spikes"][0] == pytest.approx(floats["spikes"][0], rel=0.1)


@pytest.mark.parametrize("cuba", [False, True])
def test_biases_reach_the_chip_where_it_adds_them_as_the_network_does(capsys, tmp_path, cuba):
    rng = np.random.default_rng(5)
    one = np.ones(12)
    kind = nir.CubaLIF if cuba else nir.LIF
    tau = {"tau_mem": 8e-4 * one, "tau_syn": 3e-4 * one, "w_in": 3 * one} if cuba else {"tau": 8e-4 * one}
    nodes = {
        "input": nir.Input(np.array([30])), "w": nir.Affine(rng.normal(0, 0.1, (12, 30)), rng.normal(0.2, 0.05, 12)),
        "n": kind(**tau, r=8 * one, v_leak=0 * one, v_threshold=one, v_reset=0 * one),
        "output": nir.Output(np.array([12])),
    }  # fmt: skip
    nir.write(tmp_path / "n.nir", nir.NIRGraph(nodes, list(itertools.pairwise(nodes))))
    np.save(tmp_path / "x.npy", np.zeros((80, 30)))
    said = ["--semantics", "snntorch,step_us=1000"]
    code, _ = command(capsys, "export", tmp_path / "n.nir", *said, "--out", tmp_path / "n.net")
    assert code == (2 if cuba else 0)
    if not cuba:
        _, ints = command(capsys, "simulate", tmp_path / "n.net", tmp_path / "x.npy", "--out", tmp_path / "i.h5")
        _, floats = command(
            capsys, "simulate", tmp_path / "n.nir", tmp_path / "x.npy", *said, "--out", tmp_path / "f.h5"
        )
        assert floats["spikes"][0] > 20
        assert ints["spikes"][0] == pytest.approx(floats["spikes"][0], rel=0.05)
        assert (
            command(capsys, "export", tmp_path / "n.nir", "--to", "nir", *said, "--out", tmp_path / "m.nir")[0] == 2
        )
        if None not in process.installed().values():
            _, answer = command(capsys, "verify", tmp_path / "n.nir", "--against", "lava", *said, "--clips", 1)
            assert [answer[f"differing_{k}"] for k in ("spikes", "u", "v")] == [0, 0, 0]
            assert answer["layers"][0]["spikes"] > 20


def test_a_network_from_elsewhere_states_everything_once_written_again(capsys, foreign, tmp_path):
    out = tmp_path / "ours.nir"
    code, _ = command(capsys, "export", foreign, "--to", "nir", "--semantics", "snntorch,step_us=2000", "--out", out)
    assert code == 0
    back = nir_files.read(out)
    assert (back.step_us, back.input_mode) == (2000, "unary")
    assert nir_files.open_stream(out).step_us == 2000
    with pytest.raises(InputError, match="metadata lack snnface, dt, step_us"):
        nir_files.open_stream(foreign)


def test_a_file_streams_as_its_checkpoint(folder):
    plain = checkpoint.load(folder / "model")[0].to_network()
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(1, 200_000, 3000))
    events = pack(t, rng.integers(0, 16, 3000), rng.integers(0, 12, 3000), rng.integers(0, 2, 3000))
    ours, file = Stream(plain), nir_files.open_stream(folder / "model.nir")
    for part in by_step(events, plain.step_us, 40):
        a, b = ours.tick(part), file.tick(part)
        assert a.spikes == b.spikes
        for name, answer in a.answers.items():
            np.testing.assert_allclose(b.answers[name], answer, rtol=1e-4, atol=1e-4)
    assert sum(a.spikes) > 0

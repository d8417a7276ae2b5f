"""Real Lava: recordings of it in every run, and runs of it where it is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from integer_networks import clips, float_network, integer_network

from snnface import cli
from snnface.errors import InputError
from snnface.hardware.inputs import Clips
from snnface.hardware.integers.fixed_point import Simulator, payloads
from snnface.hardware.lava import install, process
from snnface.hardware.netx_files import manifest
from snnface.hardware.netx_files.dense_weights import dense_exact
from snnface.hardware.netx_files.write import write_net
from snnface.hardware.quantising.quantise import quantise
from snnface.hardware.verifying import golden
from snnface.hardware.verifying.certificate import Recording, compare, shortcomings, state_steps
from snnface.hardware.verifying.verify import against_golden, against_lava

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_FILES = sorted(f.name for kind in ("conv", "options") for f in GOLDEN.glob(f"{kind}.*.golden.h5"))
needs_lava = pytest.mark.skipif(
    None in process.installed().values(), reason="Lava is not installed: snnface lava install"
)


def command(capsys, *arguments: str) -> tuple[int, dict]:
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments, "--json"])
    out = capsys.readouterr().out
    return int(end.value.code or 0), json.loads(out) if out else {}


def net_of(name: str) -> Path:
    stem, mode, *_ = name.split(".")
    variant = GOLDEN / f"{stem}.{mode}.net"
    return variant if variant.exists() else GOLDEN / f"{stem}.net"


def test_there_are_golden_files_for_both_inputs():
    assert {"conv.graded.golden.h5", "conv.unary.golden.h5", "options.graded.golden.h5"} == set(GOLDEN_FILES)


@pytest.mark.parametrize("name", GOLDEN_FILES)
def test_the_simulator_equals_recorded_lava(capsys, tmp_path, name):
    out = tmp_path / "certificate.json"
    code, answer = command(
        capsys, "verify", str(net_of(name)), "--against", f"golden:{GOLDEN / name}", "--out", str(out)
    )
    assert code == 0, answer["found"]
    assert answer == json.loads(out.read_text())
    assert answer["versions"]["lava-nc"] == "0.10.0"
    assert answer["clips"] == 2
    assert len(answer["sha256"]["network"]) == len(answer["sha256"]["input"]) == 64
    assert answer["states_compared"] == "every step"
    for row in answer["layers"]:
        assert row["spiking"] is (row["name"] != "readout")
        assert [row[f"differing_{k}"] for k in ("spikes", "u", "v")] == [0, 0, 0]
        assert (row["spikes"] > 0) is row["spiking"]


@pytest.mark.parametrize(("field", "delta"), [("s", 1), ("u", 64), ("v", -1)])
def test_one_changed_value_is_found_and_located(tmp_path, capsys, field, delta):
    changed = tmp_path / "changed.golden.h5"
    changed.write_bytes((GOLDEN / "conv.graded.golden.h5").read_bytes())
    with h5py.File(changed, "r+") as f:
        rows = f[f"layer/1/{field}"]
        at = (17, 3, 1, 2)
        rows[at] = not rows[at] if field == "s" else rows[at] + delta
    code, answer = command(capsys, "verify", str(GOLDEN / "conv.net"), "--against", f"golden:{changed}")
    assert code == 1
    name = {"s": "spikes"}.get(field, field)
    assert [row[f"differing_{name}"] for row in answer["layers"]] == [0, 1, 0, 0]
    first = answer["layers"][1]["first"]
    assert (first["field"], first["step"], first["neuron"]) == (name, 17, [3, 1, 2])
    assert first["simulator"] != first["other"]


def test_a_golden_file_of_another_network_is_refused():
    with pytest.raises(InputError, match="another network"):
        against_golden(GOLDEN / "options.net", GOLDEN / "conv.graded.golden.h5")


@pytest.mark.parametrize("content", [b"", b"no hdf5", None])
def test_a_broken_golden_file_is_refused(tmp_path, content):
    path = tmp_path / "x.golden.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError):
        golden.load(path)


def test_silent_and_overactive_layers_are_found():
    network = quantise(float_network())
    x = np.zeros((40, *network.input_shape), np.int32)
    traces = Simulator(network, lag=True).advance(x[:, None], states=range(4))
    recording = Recording(*([getattr(t, k)[:, 0] for t in traces] for k in "suv"), np.arange(40))
    found = shortcomings(compare(network, x, recording, None))
    assert [f.split()[1] for f in found] == ["conv1", "conv2", "dense"]


def test_states_of_large_networks_are_compared_at_the_prefix_and_the_ends(monkeypatch):
    network = quantise(float_network())
    monkeypatch.setattr("snnface.hardware.verifying.certificate.STATE_BYTES", 1000)
    kept = state_steps(network, 204, [99, 199])
    assert kept == [*range(32), *range(99, 104), *range(199, 204)]


def test_simulate_writes_traces_in_lavas_timing(tmp_path, capsys):
    x = golden.load(GOLDEN / "conv.graded.golden.h5")
    np.save(tmp_path / "x.npy", x.input)
    arguments = ["simulate", str(GOLDEN / "conv.net"), str(tmp_path / "x.npy"), "--out", str(tmp_path / "t.h5")]
    code, answer = command(capsys, *arguments, "--reset-interval", str(x.reset_interval))
    assert code == 0
    with h5py.File(tmp_path / "t.h5") as f:
        assert answer["layers"] == len(f["layer"]) == 4
        for i in range(4):
            for kind in "suv":
                np.testing.assert_array_equal(f[f"layer/{i}/{kind}"], getattr(x.recording, kind)[i])
            assert answer["spikes"][i] == f[f"layer/{i}/s"][()].sum()


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.zeros((5, 2, 12, 15)), "shape"),
        (np.full((5, 2, 12, 16), 0.5), "integers"),
        (np.full((5, 2, 12, 16), 300), "0..255"),
        (np.full((5, 2, 12, 16), np.nan), "integers"),
        (np.full((5, 384), "a"), "integers"),
        (np.zeros((0, 384)), "shape"),
        (None, "readable"),
    ],
)
def test_bad_input_arrays_are_refused_in_one_line(tmp_path, capsys, array, what):
    path = tmp_path / "x.npy"
    np.save(path, array) if array is not None else path.write_bytes(b"\x93NUMPY")
    with pytest.raises(SystemExit) as end:
        cli.main(["simulate", str(GOLDEN / "conv.net"), str(path), "--out", str(tmp_path / "t.h5")])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert what in error
    assert not (tmp_path / "t.h5").exists()


def test_simulate_takes_flat_input(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.ones((3, 2 * 12 * 16), bool))
    code, answer = command(
        capsys, "simulate", str(GOLDEN / "conv.unary.net"), str(tmp_path / "x.npy"), "--out", str(tmp_path / "t.h5")
    )
    assert code == 0
    assert answer["spikes"][0] > 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--against", "nothing"],
        ["--against", "snntorch"],
        ["--against", "golden:absent.h5"],
        ["--data", "absent.npy"],
        ["--input", "loud"],
    ],
)
def test_bad_use_of_verify_is_refused(capsys, arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(["verify", str(GOLDEN / "conv.net"), *arguments])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_status_tells_what_is_there(capsys, monkeypatch):
    monkeypatch.setattr("snnface.hardware.lava.install.distributions", list)
    code, answer = command(capsys, "lava", "status")
    assert code == 1
    assert answer["lava_nc"] is None
    assert "lava-dl" in answer["missing"]
    assert set(answer["patches"]) == {"A", "B", "C"}


@dataclass
class Distribution:
    """What importlib.metadata tells of an installed package."""

    name: str
    version: str

    @property
    def metadata(self) -> dict[str, str]:
        return {"Name": self.name}


def test_install_leaves_torch_and_numpy_and_brings_only_what_is_missing(monkeypatch):
    there = [Distribution("torch", "2.13.0+cpu"), Distribution("numpy", "2.4.6"), Distribution("lava-nc", "0.10.0")]
    calls = []
    monkeypatch.setattr(install, "distributions", lambda: there)
    monkeypatch.setattr(install.subprocess, "run", lambda command, **_: calls.append(command[5:]))
    install.install()
    assert calls == [
        ["networkx", "asteval", "scipy", "h5py", "torch==2.13.0+cpu", "numpy==2.4.6"],
        ["--no-deps", "--ignore-requires-python", "lava-dl==0.6.0"],
    ]


def test_a_failing_pip_is_one_error(monkeypatch):
    monkeypatch.setattr(install, "distributions", list)
    monkeypatch.setattr(install.sys, "executable", "/bin/false")
    with pytest.raises(InputError, match="pip failed"):
        install.install()


def test_without_lava_verify_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(process, "installed", lambda: {"lava-nc": None, "lava-dl": None})
    with pytest.raises(InputError, match="snnface lava install"), process.run("a.net", np.zeros((1, 1)), [], False):
        pass


@needs_lava
def test_real_lava_equals_the_simulator_and_can_be_recorded(tmp_path, capsys):
    network, mode = float_network(7), "unary"
    batch = clips(network, 3, seconds=0.1)
    net, record = tmp_path / "m.net", tmp_path / "m.golden.h5"
    quantised = quantise(network, batch, mode)
    manifest.save(net, quantised)
    x = np.concatenate(list(payloads(quantised, batch))).swapaxes(0, 1)
    certificate, found = against_lava(net, Clips(x, "clips", mode), 120, record)
    assert not found
    assert certificate["steps"] == 3 * 20 + 4
    assert certificate["input"] == mode
    assert certificate["differing_spikes"] == certificate["differing_u"] == certificate["differing_v"] == 0
    code, again = command(capsys, "verify", str(net), "--against", f"golden:{record}")
    assert code == 0
    assert again["sha256"] == certificate["sha256"]


@needs_lava
def test_real_lava_equals_the_simulator_with_every_option(tmp_path, capsys):
    # groups, strides, dilation, biases, delays and parameters of their own
    seed = 74
    network = integer_network(seed)
    write_net(tmp_path / "r.net", network)
    rng = np.random.default_rng(seed)
    shape = (12, *network.input_shape)
    np.save(tmp_path / "x.npy", (rng.random(shape) < 0.4) * rng.integers(1, 256, shape))
    _, answer = command(capsys, "verify", str(tmp_path / "r.net"), "--data", str(tmp_path / "x.npy"))
    assert answer["input"] == "graded"
    assert all(row[f"differing_{k}"] == 0 for row in answer["layers"] for k in ("spikes", "u", "v"))
    assert sum(row["spikes"] for row in answer["layers"]) > 50


@needs_lava
def test_dense_weights_that_lava_changes_are_known(tmp_path):
    rng = np.random.default_rng(0)
    weights = []
    for limit in rng.choice([1, 2, 3, 64, 127, 128, 129, 254, 255, 256], 150):
        weight = rng.integers(-limit, limit + 1, (2, 3)) * rng.choice([1, 1, 2]) * rng.choice([0, 1], p=[0.05, 0.95])
        sign = rng.integers(3)
        weights.append(weight if sign == 0 else (-1) ** sign * np.abs(weight))
    np.save(tmp_path / "w.npy", np.stack(weights))
    script = Path(__file__).parent / "lava_dense_weights.py"
    subprocess.run([sys.executable, script, tmp_path / "w.npy", tmp_path / "kept.npy"], check=True)
    expected = np.load(tmp_path / "kept.npy")
    assert 20 < expected.sum() < 130
    ours = np.array([dense_exact(w) for w in weights])
    assert not (ours & ~expected).any()
    # a few matrices survive only because Lava's rounding errors happen to cancel
    assert (expected & ~ours).sum() <= 3


@needs_lava
def test_many_runs_go_on_where_one_fails(tmp_path):
    (tmp_path / "broken.net").write_bytes(b"no network")
    x = np.zeros((3, 2, 12, 16), np.int32)
    nets = GOLDEN / "conv.net", tmp_path / "broken.net", GOLDEN / "conv.unary.net"
    before = children()
    answers = list(process.run_many([process.Run(net, x, [0, 2], False) for net in nets], 120))
    assert [recording is None for recording, _ in answers] == [False, True, False]
    assert [recording.u[0].shape for recording, _ in answers if recording] == [(2, 6, 6, 8)] * 2
    assert answers[1][1]["error"]
    assert children() <= before


@needs_lava
def test_a_failing_run_ends_with_one_error_and_leaves_no_process(tmp_path):
    (tmp_path / "broken.net").write_bytes(b"no network")
    before = children()
    with (
        pytest.raises(InputError, match="Lava"),
        process.run(tmp_path / "broken.net", np.zeros((3, 2, 4, 4)), [0], False),
    ):
        pass
    assert children() <= before


@needs_lava
def test_a_run_is_ended_at_its_time_limit(tmp_path):
    before = children()
    x = np.zeros((100_000, 2, 12, 16), np.int32)
    with pytest.raises(InputError, match="finish"), process.run(GOLDEN / "conv.net", x, [0], True, time_limit_s=1.5):
        pass
    assert children() <= before


def children() -> set[str]:
    """Running Lava jobs."""
    found = set()
    for f in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"lava.runner" in f.read_bytes():
                found.add(f.parent.name)
        except OSError:
            continue
    return found

"""Networks that lava-dl's own exporter wrote run as in Lava; so do random ones of all that netx says, and overflows.

The recordings are made by tests/record_golden.py and tests/lava_random.py.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import slayer_networks
import small_networks as small
from hypothesis import HealthCheck, given, settings
from random_networks import cases

from snnface import cli
from snnface.datasets.store import Store
from snnface.hardware.inputs import chip_input, shape_of_data
from snnface.hardware.integers.fixed_point import Simulator
from snnface.hardware.integers.native import fastest
from snnface.hardware.integers.network import IntegerNetwork
from snnface.hardware.lava import process
from snnface.hardware.netx_files import manifest
from snnface.hardware.netx_files.read import read_net
from snnface.hardware.netx_files.write import write_net
from snnface.hardware.verifying import golden
from snnface.hardware.verifying.certificate import Recording, compare

GOLDEN = Path(__file__).parent / "golden"
RECORDED = sorted(f for pattern in ("random*", "slayer*", "overflow*") for f in GOLDEN.glob(f"{pattern}.golden.h5"))
needs_lava = pytest.mark.skipif(
    None in process.installed().values(), reason="Lava is not installed: snnface lava install"
)


def assert_equal(
    network: IntegerNetwork, x: np.ndarray, recording: Recording, reset: int | None = None, offset: int = 1
) -> None:
    """Both simulators do in every step what was recorded."""
    for row in compare(network, x, recording, reset, offset):
        assert row["first"] is None
    simulator = fastest(network, 1, True, reset, offset, max(1, int(x.max())))
    for i, trace in enumerate(simulator.advance(x[:, None], states=range(len(network.layers)))):
        for name in "suv":
            np.testing.assert_array_equal(
                getattr(trace, name)[:, 0], getattr(recording, name)[i], f"layer {i} {name}"
            )


def test_there_are_recordings_of_both_kinds():
    assert len([f for f in RECORDED if f.name.startswith("random")]) >= 8
    assert len([f for f in RECORDED if f.name.startswith("slayer")]) == 2


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name.split(".")[0])
def test_recorded_networks_run_as_in_lava(path):
    stored = golden.load(path)
    network = read_net(path.with_name(path.name.split(".")[0]).with_suffix(".net"), stored.input.shape[1:])
    x = stored.input.astype(np.int64)
    assert_equal(network, x, stored.recording, stored.reset_interval, stored.reset_offset)


def test_the_recorded_overflows_leave_24_and_32_bits():
    for kind, limit in (("conv", 1 << 23), ("dense", 1 << 24)):
        stored = golden.load(GOLDEN / f"overflow-{kind}.graded.golden.h5")
        (layer,) = read_net(GOLDEN / f"overflow-{kind}.net").layers
        rows = stored.input.reshape(24, layer.weight.shape[1], -1).swapaxes(1, 2)
        sums = rows @ layer.weight.reshape(len(layer.weight), -1).T
        assert np.abs(sums).max() > limit


@given(cases(steps=12))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_networks_come_back_and_run_alike_in_both_simulators(tmp_path_factory, case):
    path = tmp_path_factory.mktemp("random") / "a.net"
    write_net(path, case.network)
    network = read_net(path)
    assert not network.warnings
    options = (1, True, case.reset_interval, case.reset_offset, max(1, int(case.x.max())))
    layers = range(len(network.layers))
    theirs = Simulator(case.network, *options).advance(case.x[:, None], states=layers)
    ours = fastest(network, *options).advance(case.x[:, None], states=layers)
    for a, b in zip(theirs, ours, strict=True):
        for name in "suv":
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_simulate_takes_the_input_shape_from_the_array_and_tells_warnings(tmp_path, capsys):
    stored = golden.load(GOLDEN / "slayer-layers.unary.golden.h5")
    net, traces = tmp_path / "a.net", tmp_path / "t.h5"
    net.write_bytes((GOLDEN / "slayer-layers.net").read_bytes())
    with h5py.File(net, "r+") as f:
        f["layer/0/neuron/refDelay"][...] = 4
    np.save(tmp_path / "x.npy", stored.input)
    arguments = ["simulate", str(net), str(tmp_path / "x.npy"), "--out", str(traces), "--reset-interval", "10"]
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments, "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert not end.value.code
    assert answer["spikes"] == [int(s.sum()) for s in stored.recording.s]
    (warning,) = answer["warnings"]
    assert "layer/0" in warning
    assert "refDelay" in warning


def verify(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict, str]:
    """Exit code, certificate and the last line of standard error of ``snnface verify``."""
    with pytest.raises(SystemExit) as end:
        cli.main(["verify", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), json.loads(out) if out else {}, (err.splitlines() or [""])[-1]


def differing(certificate: dict) -> list[int]:
    return [certificate[f"differing_{k}"] for k in ("spikes", "u", "v")]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two clips of 30 ms on 13×9 pixels, what lava-dl's recorded networks take."""
    clips = [small.clip(30_000, 3_000, seed, 13, 9) for seed in range(2)]
    return small.write_dataset(tmp_path_factory.mktemp("data") / "d.h5", clips, 30_000, 13, 9)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name.split(".")[0])
def test_verify_compares_files_without_manifest_or_input_layer_with_recordings(path, capsys):
    net = path.with_name(path.name.split(".")[0]).with_suffix(".net")
    _, certificate, _ = verify(capsys, net, "--against", f"golden:{path}")
    assert differing(certificate) == [0, 0, 0]
    assert certificate["steps"] == len(golden.load(path).input)


@pytest.mark.parametrize("name", ["slayer-layers", "slayer-parameters"])
def test_events_enter_a_network_without_a_manifest_as_spikes_of_pixels_and_steps(name, data):
    network = manifest.load(GOLDEN / f"{name}.net", shape_of_data(data))
    assert network.input_shape == (2, 9, 13)
    taken = chip_input(network, data, 2, step_us=2_000)
    expected = np.zeros((2, 15, 2, 9, 13), np.int32)
    for clip, events in enumerate(map(Store(data).events, range(2))):
        step = np.maximum(-(-events["t"] // 2_000) - 1, 0)  # (k·2000, (k + 1)·2000] µs
        expected[clip, step, events["p"].astype(int), events["y"], events["x"]] = 1
    np.testing.assert_array_equal(taken.x, expected)
    assert taken.mode == "unary"
    assert "2000 µs" in taken.source
    assert chip_input(network, data, 1).x.shape[1] == 30  # 1 ms


def test_events_enter_a_flat_network_pixel_by_pixel(data, tmp_path):
    (layer,) = read_net(GOLDEN / "overflow-dense.net").layers
    flat = IntegerNetwork((2 * 9 * 13,), (replace(layer, weight=np.full((4, 234), 2), shape_in=(234,), shape_out=(4,),
                                                  bias=np.zeros(1, np.int64)),))  # fmt: skip
    frames = chip_input(replace(flat, input_shape=(2, 9, 13)), data, 1).x
    np.testing.assert_array_equal(chip_input(flat, data, 1).x, frames.reshape(1, 30, 234))


@needs_lava
@pytest.mark.parametrize("name", ["slayer-layers", "slayer-parameters"])
def test_foreign_files_run_on_a_data_set_as_in_lava(name, data, capsys):
    arguments = (GOLDEN / f"{name}.net", "--data", data, "--clips", 2, "--step-us", 2_000)
    _, certificate, _ = verify(capsys, *arguments)
    assert differing(certificate) == [0, 0, 0]
    assert (certificate["clips"], certificate["steps_per_clip"], certificate["input"]) == (2, 15, "unary")
    assert certificate["data"].endswith("a spike for each pixel and step of 2000 µs that has events")
    assert certificate["layers"][0]["spikes"] > 50


@needs_lava
def test_a_foreign_file_takes_the_shape_of_an_array(tmp_path, capsys):
    np.save(tmp_path / "x.npy", slayer_networks.spikes(3)[:8])
    _, certificate, _ = verify(capsys, GOLDEN / "slayer-layers.net", "--data", tmp_path / "x.npy")
    assert differing(certificate) == [0, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["slayer-layers.net"], "input shape None"),  # random spikes, and nobody says of what shape
        (["slayer-layers.net", "--data", "{data}", "--input", "graded"], "--input unary"),
        (["slayer-layers.net", "--step-us", "500"], "input shape None"),
        (["slayer-parameters.net", "--step-us", "500"], "--step-us"),
        (["conv.net", "--data", "{other}", "--step-us", "500"], "--step-us"),
        (["slayer-parameters.net", "--data", "{other}"], "takes (2, 9, 13)"),
        (["slayer-layers.net", "--data", "absent.h5"], "no such file"),
    ],
)
def test_what_a_file_without_a_manifest_cannot_take_is_one_line(arguments, says, data, tmp_path, capsys):
    other = small.write_dataset(tmp_path / "o.h5", [small.clip(9_000, 50, 0, 16, 12)], 9_000, 16, 12)
    name, *rest = (a.format(data=data, other=other) for a in arguments)
    code, certificate, line = verify(capsys, GOLDEN / name, *rest)
    assert (code, certificate) == (2, {})
    assert says in line


@pytest.fixture(params=slayer_networks.NAMES)
def exported(request, tmp_path):
    """A file that lava-dl writes now."""
    path = tmp_path / f"slayer-{request.param}.net"
    try:
        slayer_networks.export(request.param, path)
    except ImportError as e:
        pytest.skip(f"lava-dl's training library does not import here: {e}")
    return path


def test_lava_dls_files_say_what_the_recorded_ones_say(exported):
    with h5py.File(exported) as now, h5py.File(GOLDEN / exported.name) as then:
        names: list[str] = []
        now.visit(names.append)
        for name in names:
            if isinstance(now[name], h5py.Dataset):
                assert now[name].shape == then[name].shape, name
                assert now[name].dtype == then[name].dtype, name
    a, b = (read_net(path, slayer_networks.SHAPE) for path in (exported, GOLDEN / exported.name))
    assert [(x.kind, x.shape_in, x.shape_out) for x in a.layers] == [
        (x.kind, x.shape_in, x.shape_out) for x in b.layers
    ]


@needs_lava
def test_lava_dls_files_run_as_in_lava(exported):
    x = slayer_networks.spikes(1)
    network = read_net(exported, slayer_networks.SHAPE)
    assert not network.warnings
    with process.run(exported, x, list(range(len(x))), False, 10, 1, 120) as (recording, _):
        assert [int(s.sum()) > 0 for s in recording.s] == [layer.spiking for layer in network.layers]
        assert_equal(network, x, recording, 10)

"""Networks that lava-dl's own exporter wrote run as in Lava; so do random ones of all that netx says, and overflows.

The recordings are made by tests/record_golden.py and tests/lava_random.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import slayer_networks
from hypothesis import HealthCheck, given, settings
from random_networks import cases

from snnface import cli
from snnface.hardware import golden
from snnface.hardware.certificate import Recording, compare
from snnface.hardware.fixed_point import Simulator
from snnface.hardware.integer import IntegerNetwork
from snnface.hardware.lava import process
from snnface.hardware.native import fastest
from snnface.hardware.netx import read_net, write_net

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

"""The bundle's program, part by part, beside the package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import integer_network, without_spikes

from snnface.downscale import Downscale
from snnface.events import pack
from snnface.hardware.bundle.runner.answers import Heads
from snnface.hardware.bundle.runner.files import Problem
from snnface.hardware.bundle.runner.network import Network
from snnface.hardware.bundle.runner.recording import Events, Scaling
from snnface.hardware.integers.fixed_point import Simulator
from snnface.hardware.netx_files.write import write_net
from snnface.network import Head
from snnface.stream import read_heads

_LARGEST = 5


def stored(seed: int, folder: Path):
    """A random network of the exported kind, as a bundle holds it."""
    integer = integer_network(seed, delays=False)
    integer = without_spikes(integer) if seed % 2 else integer
    path = folder / "network.net"
    write_net(path, integer)
    manifest = {
        "input_shape": integer.input_shape,
        "input_mode": "graded",
        "payload_max": _LARGEST,
        "layers": [{"name": layer.name} for layer in integer.layers],
    }
    (folder / "network.net.json").write_text(json.dumps(manifest))
    return integer, path


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_spike_and_state_is_the_simulators(tmp_path_factory, seed):
    integer, path = stored(seed, tmp_path_factory.mktemp("net"))
    rng = np.random.default_rng(seed)
    steps = 20
    x = rng.integers(0, _LARGEST + 1, (steps, *integer.input_shape)) * (
        rng.random((steps, *integer.input_shape)) < 0.3
    )
    x[6:12] = 0  # long enough that layers come to rest
    sim = Simulator(integer, largest_input=_LARGEST)
    traces = sim.advance(x[:, None], states=range(len(integer.layers)))
    network = Network(path)
    for t, frame in enumerate(x):
        active = np.flatnonzero(frame)
        try:
            spikes, problem = network.step(active, frame.ravel()[active].astype(float)), ""
        except Problem as e:
            spikes, problem = [], str(e)
        if problem:  # it stops where the simulator goes on and counts
            assert sim.wraps or "readout" in problem
            return
        for trace, found, neurons in zip(traces, spikes, network.neurons, strict=True):
            assert np.array_equal(np.flatnonzero(trace.s[t, 0]), found)
            assert np.array_equal(trace.u[t, 0].ravel(), neurons.u.ravel())
            assert np.array_equal(trace.v[t, 0].ravel(), neurons.v.ravel())


def test_a_reset_network_is_as_new_and_rest_costs_nothing(tmp_path):
    _, path = stored(4, tmp_path)
    network = Network(path)
    active = np.arange(0, int(np.prod(network.input_shape)), 3)
    first = [network.step(active, None) for _ in range(5)]
    network.reset()
    again = [network.step(active, None) for _ in range(5)]
    for a, b in zip(first, again, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    sensor=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    target=st.tuples(st.integers(1, 16), st.integers(1, 16)),
    seed=st.integers(0, 1000),
    events=st.integers(0, 600),
)
def test_scaling_is_snnfaces(sensor, target, seed, events):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 1000, events))
    x, y, p = rng.integers(0, sensor[0], events), rng.integers(0, sensor[1], events), rng.random(events) < 0.7
    ours, theirs = Downscale(*sensor, *target), Scaling(*sensor, *target)
    for part in np.array_split(np.arange(events), 3):  # the sums are kept from call to call
        expected = ours(pack(t[part], x[part], y[part], p[part]))
        found = theirs(Events(t[part], x[part], y[part], p[part].astype(np.int64)))
        for name in "txyp":
            assert np.array_equal(expected[name], getattr(found, name))
    points = rng.normal(size=(5, 2)) * 20
    assert np.array_equal(ours.to_sensor(points), theirs.to_sensor(points))


def test_heads_settle_as_snnfaces(tmp_path):
    from snnface.hardware.heads_file import described
    from snnface.network import Settling

    rng = np.random.default_rng(0)
    settling = Settling(rng.uniform(0, 1, 6), np.array([0.9, 0.9, 0.5, 0.99, 0.1, 0.7]), 0.1)
    settling = Settling(np.where(np.arange(6) == 1, settling.beta, settling.alpha), settling.beta, 0.1)
    heads = {
        "landmarks": Head(0, 6, rng.normal(size=6), rng.normal(size=6), settling),
        "au": Head(6, 8, np.ones(2), np.zeros(2)),
    }
    (tmp_path / "heads.json").write_text(json.dumps({n: described(h) for n, h in heads.items()}))
    scale = rng.uniform(10, 20, 8)
    found = Heads(tmp_path, {"layers": [{"scale": scale.tolist()}]})
    membranes = rng.integers(-10_000, 10_000, 8)
    for steps in (1, 2, 7, 500):
        expected = read_heads((membranes / (scale * 64)).astype(np.float32), heads, steps)
        answers = found.decode(membranes, steps)
        for name in heads:
            assert answers[name] == pytest.approx(expected[name], rel=1e-6)


def test_what_it_does_not_run_is_refused(tmp_path):
    import h5py

    _, path = stored(2, tmp_path)
    for change, words in (("delay", "does not run"), ("type", "does not run"), ("weight", "cannot be read")):
        _, path = stored(2, tmp_path)
        with h5py.File(path, "r+") as file:
            last = file[f"layer/{len(file['layer']) - 1}"]
            if change == "delay":
                last["delay"] = np.int64(1)
            elif change == "type":
                last["type"][...] = np.array([b"dense_rec"], "S10")
            else:
                del last["weight"]
        with pytest.raises(Problem, match=words):
            Network(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(Problem, match="cannot be read"):
        Network(path)

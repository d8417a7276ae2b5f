"""NIR both ways, with the real libraries: what we write they read, what they write we read, with the same spikes."""

from __future__ import annotations

import contextlib
import io
import itertools
import warnings
from pathlib import Path

import nir
import numpy as np
import pytest
import small_networks
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nir_networks import SHAPE, network, spikes

from snnface.forward import network_layers
from snnface.hardware import nir_files
from snnface.hardware.nir_files.readers import Running, installed
from snnface.hardware.nir_files.semantics import WRITERS, parse
from snnface.hardware.nir_files.simulate import Simulation
from snnface.hardware.nir_files.write import written
from snnface.network import Network
from snnface.neuron import integrate, lif
from snnface.synapse import from_spikes

READERS = [pytest.param(name, marks=pytest.mark.skipif(name not in installed(), reason=f"{name} is not installed"))
           for name in ("snntorch", "norse", "spikingjelly")]  # fmt: skip


def run(plain: Network, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Spikes of every spiking layer and the last layer's membrane, by our neuron in float64."""
    signal, found = torch.from_numpy(x)[:, None], []
    for layer in network_layers(plain, torch.float64):
        sums = from_spikes(signal, layer.weight, layer.conv)
        if not layer.spiking:
            return found, integrate(sums, layer.neuron)[0][:, 0].numpy()
        signal = lif(sums, layer.neuron)[0]
        found.append(signal[:, 0].numpy() > 0)
    return found, found[-1]


def simulate(source, x: np.ndarray, semantics: str | None = None, dt: float | None = None):
    return Simulation(*nir_files.open_graph(source, semantics, dt)).advance(x)


def quietly(function, *arguments, **more):
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **more)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """The conv network as a file."""
    found = tmp_path_factory.mktemp("nir") / "network.nir"
    nir_files.write(found, network())
    return found


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return spikes(110)


def test_our_simulation_of_the_file_is_the_network_to_the_spike(path, x):
    layers = simulate(path, x)
    wanted, readout = run(written(network()), x)
    assert sum(int(s.sum()) for s in wanted) > 100_000
    for layer, s in zip(layers, wanted, strict=False):
        assert 0.05 < s.mean() < 0.2
        np.testing.assert_array_equal(layer.s, s)
    np.testing.assert_allclose(layers[-1].v, readout, rtol=0, atol=1e-11)


@pytest.mark.parametrize("reader", READERS)
def test_importers_make_the_same_spikes(path, x, reader):
    ours = simulate(path, x)
    names = list(Simulation(*nir_files.open_graph(path)).neurons)
    theirs = Running(reader, path, names, 1e-4, torch.float32).advance(x)
    assert sum(int(layer.s.sum()) for layer in theirs) > 100_000
    for a, b in zip(ours, theirs, strict=True):
        assert int((a.s != b.s).sum()) == 0
        for mine, other in ((a.u, b.u), (a.v, b.v)):
            assert np.abs(mine - other).max() <= 1e-5 * max(1, np.abs(mine).max())


@pytest.mark.parametrize("reader", READERS[:2])
@pytest.mark.parametrize("plain", [network(1, per_channel=True), small_networks.network("unary")])
def test_channels_of_their_own_and_odd_kernels_too(tmp_path, reader, plain):
    nir_files.write(tmp_path / "n.nir", plain)
    x = spikes(40, shape=plain.input_shape)
    ours = Simulation(*nir_files.open_graph(tmp_path / "n.nir"))
    theirs = Running(reader, tmp_path / "n.nir", list(ours.neurons), 1e-4, torch.float32).advance(x)
    wanted, _ = run(plain, x)
    for a, b, s in zip(ours.advance(x), theirs, wanted, strict=False):
        assert s.any()
        np.testing.assert_array_equal(a.s, b.s)
        np.testing.assert_array_equal(a.s, s)


@pytest.mark.parametrize("plain", [network(), small_networks.network("exact")])
def test_what_is_written_is_read_to_the_bit(tmp_path, plain):
    nir_files.write(tmp_path / "n.nir", plain)
    back, said = nir_files.read(tmp_path / "n.nir"), written(plain)
    for name in ("input_shape", "step_us", "tau_syn_us", "input_mode", "payload_one", "payload_max"):
        assert getattr(back, name) == getattr(said, name)
    for a, b in zip(back.layers, said.layers, strict=True):
        for name in ("name", "kind", "shape_out", "alpha", "beta", "threshold", "spiking", "stride", "padding"):
            assert getattr(a, name) == getattr(b, name), name
        assert a.weight.sum() == pytest.approx(b.weight.sum())
        if b.groups == 1:
            np.testing.assert_array_equal(a.weight, b.weight)
    assert back.heads.keys() == plain.heads.keys()
    for name, head in plain.heads.items():
        np.testing.assert_array_equal(back.heads[name].scale, head.scale)


def test_a_batch_stays_a_batch_in_snntorch(path, x):
    pytest.importorskip("snntorch")
    from snntorch.import_nir import import_from_nir

    one, two = (quietly(import_from_nir, nir.read(path, type_check=False)) for _ in range(2))
    clips = torch.from_numpy(np.stack([x[:12], x[12:24]], 1)).float()
    with torch.no_grad():
        batch = [two(step)[0] for step in clips]
        alone = [one(step[:1])[0] for step in clips]
    assert batch[0].shape[0] == 2
    torch.testing.assert_close(torch.stack(batch)[:, :1], torch.stack(alone))


def test_a_round_trip_through_snntorch(path, x):
    """Its exporter wants parameters of full shape, which its importer does not make."""
    pytest.importorskip("snntorch")
    from snntorch.export_nir import export_to_nir
    from snntorch.import_nir import import_from_nir

    module, step = quietly(import_from_nir, nir.read(path)), torch.from_numpy(x[:1]).float()
    with torch.no_grad():
        module(step)
        for own in module.modules():
            if hasattr(own, "syn"):
                for name in ("alpha", "beta", "threshold"):
                    setattr(own, name, torch.as_tensor(getattr(own, name)).expand(own.mem.shape[1:]).clone())
        graph = quietly(export_to_nir, module, step, ignore_dims=[0])
    wanted = simulate(path, x)
    for a, b in zip(simulate(graph, x, "snntorch"), wanted, strict=True):
        np.testing.assert_array_equal(a.s, b.s)
    back = nir_files.read(graph, "snntorch")
    assert [layer.kind for layer in back.layers] == ["conv", "conv", "dense", "dense"]
    assert back.layers[0].alpha == pytest.approx(0.78, abs=1e-7)
    assert not back.layers[-1].spiking


def test_a_round_trip_through_norse(path, x):
    norse = pytest.importorskip("norse.torch")
    from snnface.hardware.nir_files.norse import of_norse

    module = quietly(norse.from_nir, nir.read(path), dt=1e-4)
    graph = quietly(of_norse, module, torch.from_numpy(x[0]).float(), 1e-4)
    for a, b in zip(simulate(graph, x), simulate(path, x), strict=True):
        np.testing.assert_array_equal(a.s, b.s)
    assert nir_files.read(graph).layers[1].shape_out == network().layers[1].shape_out


@pytest.mark.parametrize("exporter", ["ours", "norse's"])
def test_networks_made_in_norse(exporter):
    norse = pytest.importorskip("norse.torch")
    from snnface.hardware.nir_files.norse import of_norse

    torch.manual_seed(0)
    # Norse's own exporter has no Flatten
    dense = exporter == "ours"
    shapes = (5, 13, 17), (9,) if dense else (3, 11, 15)
    box, cell = (
        {"tau_mem_inv": torch.full(s, 90.0), "v_leak": torch.zeros(s), "v_th": torch.full(s, 0.15)} for s in shapes
    )
    cell["tau_syn_inv"] = torch.full(shapes[1], 150.0)
    rest = (
        (torch.nn.Flatten(0), torch.nn.Linear(5 * 13 * 17, 9, bias=False)) if dense else (torch.nn.Conv2d(5, 3, 3),)
    )
    first = torch.nn.Conv2d(2, 5, 3)
    neurons = norse.LIFBoxCell(norse.LIFBoxParameters(**box)), norse.LIFCell(norse.LIFParameters(**cell))
    module = norse.SequentialState(first, neurons[0], *rest, neurons[1])
    with torch.no_grad():
        for own in (first, rest[-1]):
            own.weight.mul_(5)
    x = spikes(60, 0.15, shape=(2, 15, 19))
    sample = torch.from_numpy(x[0]).float()
    if dense:
        graph, said = quietly(of_norse, module, sample, 1e-3), None
    else:
        graph, said = quietly(norse.to_nir, module, sample, dt=1e-3), "norse"
    ours = simulate(graph, x, said)
    state, found = None, []
    with torch.no_grad():
        for step in torch.from_numpy(x).float():
            y, state = module(step, state)
            found.append(y.numpy() > 0)
    assert 0.01 < np.mean(found) < 0.9
    assert int((ours[-1].s != np.stack(found)).sum()) <= 1e-4 * ours[-1].s.size


@pytest.mark.parametrize("one", [False, True])
def test_networks_made_in_sinabs(one):
    pytest.importorskip("sinabs")
    import sinabs.layers as sl
    from sinabs.activation import MultiSpike, SingleSpike
    from sinabs.nir import to_nir

    torch.manual_seed(0)
    kind = SingleSpike if one else MultiSpike
    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 6, 3, stride=2, bias=False), sl.IAFSqueeze(batch_size=1, spike_fn=kind),
        sl.SumPool2d(2), torch.nn.Flatten(), torch.nn.Linear(6 * 3 * 4, 8, bias=False),
        sl.LIFSqueeze(tau_mem=12.0, batch_size=1, spike_threshold=torch.tensor(0.05), spike_fn=kind),
    )  # fmt: skip
    x = spikes(50, 0.3, shape=(2, 14, 18))
    with torch.no_grad():
        module[0].weight.mul_(2)
        out = module(torch.from_numpy(x).float()).numpy()
        graph = quietly(to_nir, module, torch.from_numpy(x[:1]).float())
    ours = simulate(graph, x, "sinabs,spikes=one" if one else "sinabs")
    assert out.max() == 1 if one else out.max() > 1
    assert int((ours[-1].s.astype(int) != out.reshape(len(x), -1)).sum()) <= 2  # float32 there
    if one:
        back = nir_files.read(graph, "sinabs,spikes=one,step_us=1000")
        assert back.layers[0].reset == "subtract"
        s, _ = run(back, x)
        np.testing.assert_array_equal(s[-1], ours[-1].s)


def test_networks_made_in_spikingjelly():
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        layer.Conv2d(2, 4, 3), neuron.LIFNode(tau=3.0), layer.Flatten(), layer.Linear(4 * 12 * 16, 6), neuron.IFNode()
    )
    x = spikes(50, 0.3, shape=(2, 14, 18))
    graph = quietly(export_to_nir, module, torch.from_numpy(x[:1]).float())
    ours = simulate(graph, x, "spikingjelly")
    with torch.no_grad():
        out = np.concatenate([module(step[None]).numpy() for step in torch.from_numpy(x).float()])
    assert out.any()
    np.testing.assert_array_equal(ours[-1].s, out > 0)


def test_snntorchs_default_neuron_subtracts_a_step_late():
    """Its exporter does not say so: the file claims a reset to zero."""
    snntorch = pytest.importorskip("snntorch")
    from snntorch.export_nir import export_to_nir

    torch.manual_seed(0)
    leaky = snntorch.Leaky(torch.full((20,), 0.8), threshold=torch.full((20,), 0.4), init_hidden=True)
    module = torch.nn.Sequential(torch.nn.Linear(30, 20), leaky)
    x = spikes(100, 0.2, shape=(30,))
    graph = quietly(export_to_nir, module, torch.from_numpy(x[:1]).float(), ignore_dims=[0])
    leaky.reset_mem()
    with torch.no_grad():
        out = np.concatenate([module(step[None]).numpy() for step in torch.from_numpy(x).float()]) > 0
    late, zero = (simulate(graph, x, said)[0].s for said in ("snntorch,reset=late", "snntorch"))
    np.testing.assert_array_equal(late, out)
    assert (zero != out).any()


def test_recurrent_spikes_arrive_a_step_later_as_in_snntorch():
    snntorch = pytest.importorskip("snntorch")
    from snntorch.export_nir import export_to_nir

    torch.manual_seed(1)
    cell = snntorch.RLeaky(
        0.8, threshold=0.5, linear_features=20, init_hidden=True, reset_mechanism="zero", reset_delay=False
    )
    module = torch.nn.Sequential(torch.nn.Linear(30, 20), cell)
    x = spikes(80, 0.2, shape=(30,))
    graph = quietly(export_to_nir, module, torch.from_numpy(x[:1]).float(), ignore_dims=[0])
    cell.reset_mem()
    with torch.no_grad():
        out = np.concatenate([module(step[None]).numpy() for step in torch.from_numpy(x).float()]) > 0
    (layer,) = simulate(graph, x, "snntorch")
    assert 0.05 < out.mean() < 0.9
    np.testing.assert_array_equal(layer.s, out)


def euler(node, x: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Forward Euler of NIR's equations for LIF and CubaLIF, one neuron and one step after the other."""
    cuba = isinstance(node, nir.CubaLIF)
    s, v = np.zeros(x.shape, bool), np.zeros(x.shape)
    for j in range(x.shape[1]):
        current, membrane = 0.0, float(node.v_leak[j])
        tau = float(node.tau_mem[j] if cuba else node.tau[j])
        for t in range(len(x)):
            if cuba:
                current += dt / node.tau_syn[j] * (-current + node.w_in[j] * x[t, j])
            else:
                current = x[t, j]
            membrane += dt / tau * (node.v_leak[j] - membrane + node.r[j] * current)
            if membrane > node.v_threshold[j]:
                s[t, j], membrane = True, node.v_reset[j]
            v[t, j] = membrane
    return s, v


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([1e-4, 1e-3, 2e-3]))
def test_neurons_are_forward_euler_of_nirs_equations(seed, cuba, dt):
    rng = np.random.default_rng(seed)
    values = {
        "r": rng.uniform(0.5, 8, 5), "v_leak": rng.uniform(-0.3, 0.1, 5), "v_threshold": rng.uniform(0.3, 1, 5),
        "v_reset": rng.uniform(-0.5, 0.2, 5),
    }  # fmt: skip
    if cuba:
        tau_syn, w_in = rng.uniform(1, 20, 5) * dt, rng.uniform(0.5, 10, 5)
        node = nir.CubaLIF(tau_mem=rng.uniform(1, 30, 5) * dt, tau_syn=tau_syn, w_in=w_in, **values)
    else:
        node = nir.LIF(tau=rng.uniform(1, 30, 5) * dt, **values)
    graph = nir.NIRGraph(
        {"in": nir.Input(np.array([5])), "n": node, "out": nir.Output(np.array([5]))}, [("in", "n"), ("n", "out")]
    )
    x = rng.normal(0.3, 1, (40, 5))
    (layer,) = simulate(graph, x, dt=dt)
    s, v = euler(node, x, dt)
    np.testing.assert_array_equal(layer.s, s)
    np.testing.assert_allclose(layer.v, v, atol=1e-9)


def chain(*nodes, shape: tuple[int, ...]) -> nir.NIRGraph:
    named = {"input": nir.Input(np.array(shape))} | {f"n{i}": node for i, node in enumerate(nodes)}
    named["output"] = nir.Output(np.array([1]))
    return nir.NIRGraph(named, list(itertools.pairwise(named)), type_check=False)


def lif_node(shape: tuple[int, ...], threshold: float = 1.0) -> nir.LIF:
    one = np.ones(shape)
    return nir.LIF(tau=5e-3 * one, r=5 * one, v_leak=0 * one, v_threshold=threshold * one, v_reset=0 * one)


@pytest.mark.parametrize("pool", [nir.SumPool2d, nir.AvgPool2d])
def test_pooling_and_scales_go_into_the_weights(pool):
    rng = np.random.default_rng(0)
    by_two = pool(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    first = nir.Conv2d((16, 12), rng.normal(0.1, 0.4, (4, 2, 3, 3)), 1, 1, 1, 1, np.zeros(4))
    second = nir.Conv2d((8, 6), rng.normal(0.1, 0.4, (6, 2, 3, 3)), 2, 1, (1, 1), 2, np.zeros(6))
    last = nir.Linear(rng.normal(0.1, 0.5, (5, 6 * 2 * 1)))
    graph = chain(
        nir.Scale(np.full((2, 16, 12), 1.5)), first, lif_node((4, 16, 12)), by_two, second,
        nir.Scale(np.full((6, 4, 3), 0.7)), lif_node((6, 4, 3), 0.3),
        pool(np.array([2, 3]), np.array([2, 3]), np.array([0, 0])), nir.Flatten(None, 0, -1), last,
        lif_node((5,), 0.3), shape=(2, 16, 12),
    )  # fmt: skip
    x = spikes(60, 0.2, shape=(2, 16, 12))
    plain = nir_files.read(graph, dt=1e-3)
    found, _ = run(plain, x)
    for layer, s in zip(simulate(graph, x, dt=1e-3), found, strict=True):
        assert 0.005 < s.mean() < 0.9
        np.testing.assert_array_equal(layer.s, s)


def test_delays_branches_and_blocks():
    x = spikes(150, 0.3, shape=(3,))
    nodes = {
        "input": nir.Input(np.array([3])), "late": nir.Delay(np.array([1e-3, 0.0, 3e-3])), "n": lif_node((3,), 0.6),
        "output": nir.Output(np.array([3])),
    }  # fmt: skip
    graph = nir.NIRGraph(nodes, [("input", "late"), ("input", "n"), ("late", "n"), ("n", "output")])
    late = np.zeros_like(x)
    for j, d in enumerate((1, 0, 3)):
        late[d:, j] = x[: len(x) - d, j]
    s, _ = euler(nodes["n"], x + late, 1e-3)
    sim = Simulation(*nir_files.open_graph(graph, dt=1e-3))
    found = np.concatenate([sim.advance(part)[0].s for part in (x[:1], x[1:70], x[70:])])
    np.testing.assert_array_equal(found, s)


def test_semantics_are_parsed():
    assert parse("snntorch") == WRITERS["snntorch"]
    assert parse("norse,dt=0.002").dt == 0.002
    assert parse("reset=subtract,dt=1").reset == "subtract"
    assert parse("sinabs,spikes=one,step_us=500").step_us == 500


def test_ours_states_its_step_and_coding(path):
    metadata = nir.read(path).metadata
    assert metadata["dt"] == 1e-4
    assert metadata["step_us"] == 5000
    assert metadata["input_mode"] == "graded"
    assert nir_files.load(path).input_shape == SHAPE

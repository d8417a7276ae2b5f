"""The streaming engine against a dense step: what sleeps must be exactly what a dense step would hold."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re

import integer_networks as integer
import numpy as np
import pytest
import small_networks as small
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnface.batch import collate_events
from snnface.engine import library
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, pack
from snnface.hardware.integers import backend, fixed_point
from snnface.hardware.integers.fixed_point import check, payloads, simulator
from snnface.hardware.integers.network import Host, IntegerNetwork
from snnface.hardware.integers.stream import FixedStream
from snnface.network import Head, Network, SynapticLayer, conv_shape
from snnface.stream import Stream, StreamState

LEVELS = library.available()
STEP_US = 1_000
pytestmark = [
    pytest.mark.skipif(not LEVELS, reason="the engine is not built"),
    pytest.mark.usefixtures("one_torch_thread"),
]


@pytest.fixture(params=LEVELS)
def level(request, monkeypatch) -> str:
    """Every level of instructions that runs here, in turn."""
    monkeypatch.setenv(library.VARIABLE, request.param)
    return request.param


def random_network(seed: int) -> Network:
    """Any stride, padding, dilation, groups, decays by channel, both resets; slow currents as often as none; readouts
    of single positions and of their mean."""
    rng = np.random.default_rng(seed)
    shape: tuple[int, ...] = (2, int(rng.integers(3, 10)), int(rng.integers(3, 10)))
    first, layers = (2, shape[1], shape[2]), []

    def neurons(channels: int) -> dict:
        def parameter(*ranges: tuple[float, float]) -> float | np.ndarray:
            low, high = ranges[rng.integers(len(ranges))]
            return rng.uniform(low, high, channels) if rng.random() < 0.5 else float(rng.uniform(low, high))

        return {
            "alpha": parameter((0, 0), (0, 0.99), (0.9, 0.999), (1, 1)),
            "beta": parameter((0, 0.5), (0.5, 0.99), (0.99, 1), (1, 1)),
            "threshold": parameter((0.5, 1.5), (0.5, 1.5), (-0.3, 0.3)),
            "reset": ["zero", "subtract"][rng.integers(2)],
        }

    for i in range(rng.integers(0, 3)):
        stride, dilation, kernel = ((int(a), int(b)) for a, b in rng.integers(1, 4, (3, 2)))
        padding = (int(rng.integers(0, kernel[0] * dilation[0])), int(rng.integers(0, kernel[1] * dilation[1])))
        groups = int(rng.choice([g for g in (1, 2, 3, shape[0]) if shape[0] % g == 0]))
        channels = groups * int(rng.choice([1, 3, 16, 23]))
        weight = rng.normal(0.1, 0.6, (channels, shape[0] // groups, *kernel)) / math.sqrt(shape[0] / groups)
        out = conv_shape(shape, weight.shape, stride, padding, dilation)
        if min(out) < 1:
            continue
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        layers.append(SynapticLayer(f"conv{i}", "conv", weight, shape, out, **neurons(channels), **geometry))
        shape = out
    for i in range(rng.integers(0 if layers else 1, 3)):
        outputs = int(rng.choice([1, 5, 16, 70]))
        weight = rng.normal(0.1, 0.6, (outputs, math.prod(shape))) / math.sqrt(math.prod(shape))
        if rng.random() < 0.3:  # the mean over positions
            weight = np.repeat(weight[:, : shape[0]], math.prod(shape[1:]), axis=1)
        layers.append(SynapticLayer(f"dense{i}", "dense", weight, shape, (outputs,), **neurons(outputs)))
        shape = (outputs,)
    if rng.random() < 0.5:
        layers[-1] = dataclasses.replace(layers[-1], spiking=False)
    outputs = math.prod(shape)
    mode = ["exact", "graded", "unary"][rng.integers(3)]
    heads = {"all": Head(0, outputs, np.ones(outputs), np.zeros(outputs))}
    return Network(first, STEP_US, 3_000.0, mode, tuple(layers), 8, 31, heads)


def bursts(network: Network | IntegerNetwork, seed: int, steps: int) -> list[np.ndarray]:
    """Events of each step: bursts on few pixels, and silences of up to hundreds of steps."""
    rng = np.random.default_rng(seed)
    _, height, width = network.input_shape
    parts = []
    while len(parts) < steps:
        for _ in range(rng.integers(1, 6)):
            n = rng.integers(0, 30)
            t = np.sort(rng.integers(1, STEP_US + 1, n)) + len(parts) * STEP_US
            parts.append(pack(t, rng.integers(0, width, n), rng.integers(0, height, n), rng.integers(0, 2, n)))
        parts += [np.empty(0, EVENT_DTYPE)] * rng.choice([0, 1, 7, 70])
    return parts[:steps]


def shifted(network: Network, change: float) -> Network:
    """The same network with other thresholds."""
    layers = [dataclasses.replace(x, threshold=np.asarray(x.threshold) + change) for x in network.layers]
    return dataclasses.replace(network, layers=tuple(layers))


class Dense:
    """A dense stream, and whether it is still sure of its spikes: whether thresholds a little lower and a little
    higher give the same ones."""

    def __init__(self, network: Network, margin: float = 5e-5) -> None:
        self.stream = Stream(network, np.float64)
        self.bounds = [Stream(shifted(network, change), np.float64) for change in (-margin, margin)]

    def tick(self, events: np.ndarray):
        tick = self.stream.tick(events)
        self.sure = all(s.tick(events).spikes == tick.spikes for s in self.bounds)
        return tick


def compare(network: Network, parts: list[np.ndarray]) -> tuple[int, int]:
    """Engine against dense step; how many steps were compared, and the spikes in them.

    Rounding is that of the largest values so far, which grow where nothing decays.
    """
    stream, dense, spikes, largest = Stream(network), Dense(network), 0, 1.0
    for k, part in enumerate(parts):
        expected, got = dense.tick(part), stream.tick(part)
        if not dense.sure:
            return k, spikes
        spikes += sum(expected.spikes)
        assert got.spikes == expected.spikes, f"step {k}"
        largest = max(largest, np.abs(expected.answers["all"]).max())
        np.testing.assert_allclose(got.answers["all"], expected.answers["all"], rtol=0, atol=5e-5 * largest)
    a, b = stream.state(), dense.stream.state()
    assert a.step == b.step == len(parts)
    for layer, got_state, expected_state in zip([*network.layers] * 2, [*a.u, *a.v], [*b.u, *b.v], strict=True):
        scale = max(1, np.abs(expected_state).max())
        np.testing.assert_allclose(got_state, expected_state, rtol=0, atol=2e-4 * scale, err_msg=layer.name)
    return len(parts), spikes


@given(st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_any_network_equals_its_dense_step(seed):
    network = random_network(seed)
    compare(network, bursts(network, seed, 150))


@pytest.mark.usefixtures("level")
def test_every_level_equals_the_dense_step():
    results = [compare(n, bursts(n, seed, 200)) for seed, n in ((s, random_network(s)) for s in range(30))]
    compared, spikes = np.sum(results, axis=0)
    assert compared > 30 * 200 / 2, "most steps are compared"
    assert spikes > 5_000


def one_neuron(alpha: float, beta: float, **more) -> Network:
    layer = SynapticLayer("neuron", "dense", np.full((1, 2), 0.3), (2, 1, 1), (1,), alpha, beta, **more)
    head = {"all": Head(0, 1, np.ones(1), np.zeros(1))}
    return Network((2, 1, 1), STEP_US, 1e9, "unary", (layer,), heads=head)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_a_current_makes_spikes_long_after_its_event(reset):
    """v rises for ln 100 / ln(0.999 / 0.9) steps and more, and passes the threshold many times."""
    network = one_neuron(0.999, 0.9, threshold=1.0, reset=reset)
    parts = [pack([1], [0], [0], [1]), *[np.empty(0, EVENT_DTYPE)] * 2_000]
    stream, dense = Stream(network), Stream(network, np.float64)
    got, expected = ([s.tick(p).spikes[0] for p in parts] for s in (stream, dense))
    assert got == expected
    assert sum(got[500:1500]) > 3
    assert sum(got[-300:]) == 0


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("silence", [1, 63, 64, 65, 4_095, 4_097])
@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.999), (0.999, 0.998), (0.7, 0.7), (0.5, 1.0)])
def test_silence_of_any_length_is_made_up(silence, alpha, beta):
    stream = Stream(one_neuron(alpha, beta, threshold=1e9))
    stream.restore(StreamState(0, (np.zeros(1, np.float32),), (np.array([0.5], np.float32),)))
    stream.tick(pack([1], [0], [0], [1]))
    for _ in range(silence):
        stream.tick(np.empty(0, EVENT_DTYPE))
    u, v = 0.3, 0.5 * beta + 0.3
    for _ in range(silence):
        u, v = alpha * u, beta * v + alpha * u
    state = stream.state()
    assert state.v[0][0] == pytest.approx(v, rel=2e-5)
    assert state.u[0][0] == pytest.approx(u if alpha else 0, rel=2e-5, abs=1e-30)


def test_taking_the_state_changes_nothing():
    """Bit for bit: a restored stream goes on as the one that was asked, asleep or awake."""
    for seed in range(20):
        network = random_network(seed)
        parts = bursts(network, seed, 80)
        first, second = Stream(network), Stream(network)
        for part in parts[:40]:
            first.tick(part)
        second.restore(first.state())
        for part in parts[40:]:
            a, b = first.tick(part), second.tick(part)
            assert a.spikes == b.spikes
            np.testing.assert_array_equal(a.answers["all"], b.answers["all"])


def test_streams_share_weights_and_nothing_else():
    network = small.network()
    parts = [small.clip(small.STEP_US, 30, seed) for seed in range(3)]
    for part in parts:
        part["t"] += part["t"] == 0
    alone = [Stream(network) for _ in parts]
    many = [Stream(network)]
    many += [many[0].another() for _ in parts[1:]]
    for one, other, part in zip(alone, many, parts, strict=True):
        np.testing.assert_array_equal(one.tick(part).answers["landmarks"], other.tick(part).answers["landmarks"])
    restarted = many[1].another().tick(parts[1])
    assert restarted.spikes == Stream(network).tick(parts[1]).spikes
    states = [s.state() for s in many]
    assert len({state.v[0].tobytes() for state in states}) == 3
    del alone, many[0]
    assert many[0].tick(np.empty(0, EVENT_DTYPE)) is not None, "outlives the first stream of its network"


def test_the_state_of_a_stream_is_small():
    """Two floats a padded neuron and a step number a position; one float where no current outlives its step."""
    network = small.network()
    padded = 16 * (5 * 4 + 5 * 2 + 1 + 1)
    assert Stream(network).state_bytes == 2 * 4 * padded + 8 * padded // 16
    still = dataclasses.replace(network, layers=tuple(dataclasses.replace(x, alpha=0.0) for x in network.layers))
    assert Stream(still).state_bytes == 4 * padded + 8 * padded // 16


def test_a_refused_tick_changes_nothing():
    stream, other = Stream(small.network()), Stream(small.network())
    good = small.clip(small.STEP_US, 30)
    for bad in (pack([small.STEP_US + 1], [0], [0], [1]), pack([1, 1], [0, small.WIDTH], [0, 0], [1, 1])):
        with pytest.raises(InputError):
            stream.tick(bad)
    np.testing.assert_array_equal(stream.tick(good).answers["landmarks"], other.tick(good).answers["landmarks"])


def integer_stream(seed: int) -> IntegerNetwork:
    """A random quantised network with two polarities and a manifest; a readout as often as not."""
    rng = np.random.default_rng(seed)
    network = next(n for n in (integer.integer_network(seed + i, delays=False) for i in itertools.count())
                   if n.input_shape[0] == 2)  # fmt: skip
    if rng.random() < 0.5:
        network = integer.without_spikes(network)
    if rng.random() < 0.3:  # currents leave their range
        first, *rest = network.layers
        eager = dataclasses.replace(first, weight=12 * first.weight, i_decay=np.zeros((), np.int64))
        network = IntegerNetwork(network.input_shape, (eager, *rest))
    outputs = network.layers[-1].neurons
    heads = {"all": Head(0, outputs, np.ones(outputs), np.zeros(outputs))}
    mode = ["graded", "unary"][rng.integers(2)]
    return dataclasses.replace(
        network, host=Host(STEP_US, 3_000.0, mode, 8, 31, tuple(np.ones(1) for _ in network.layers), heads)
    )


def compare_integers(network: IntegerNetwork, parts: list[np.ndarray]) -> tuple[int, int]:
    """Engine against simulator, every current and voltage of every step, until both refuse: steps and spikes."""
    stream, reference, spikes = FixedStream(network), simulator(network), 0
    _, height, width = network.input_shape
    for k, part in enumerate(parts):
        local = part.copy()
        local["t"] -= k * STEP_US
        (block,) = payloads(network, collate_events([local], [STEP_US], width, height), 1)
        traces = reference.advance(block)
        try:
            check(reference)
        except InputError as error:
            with pytest.raises(InputError, match=str(error).split(".")[0]):
                stream.tick(part)
            return k, spikes
        tick = stream.tick(part)
        assert tick.spikes == [int(t.s.sum()) for t, x in zip(traces, network.layers, strict=True) if x.spiking]
        spikes += sum(tick.spikes)
        state = stream.state()
        for i, (u, v) in enumerate(reference.states):
            np.testing.assert_array_equal(state.u[i], u[0], err_msg=f"step {k}")
            np.testing.assert_array_equal(state.v[i], v[0], err_msg=f"step {k}")
        last = reference.states[-1][1][0] / 64 if not network.layers[-1].spiking else traces[-1].s[0, 0]
        np.testing.assert_array_equal(tick.answers["all"], last.ravel().astype(np.float32))
    return len(parts), spikes


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_any_integer_network_equals_the_simulator(seed):
    network = integer_stream(seed)
    compare_integers(network, bursts(network, seed, 40))


@pytest.mark.usefixtures("level")
def test_integers_are_the_same_at_every_level():
    results = [compare_integers(n, bursts(n, s, 60)) for s, n in ((s, integer_stream(s)) for s in range(0, 400, 20))]
    steps, spikes = np.sum(results, axis=0)
    assert steps > 20 * 60 / 3
    assert spikes > 1_000
    assert len({k for k, _ in results}) > 1, "some networks leave their range"


@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from([1, 2]))
@settings(max_examples=40, deadline=None)
def test_the_backend_of_whole_clips_equals_the_simulator(seed, clips, threads):
    network = integer_stream(seed)
    _, height, width = network.input_shape
    lengths = np.random.default_rng(seed).integers(1, 12, clips)
    parts = [np.concatenate(bursts(network, seed + i, int(n))) for i, n in enumerate(lengths)]
    batch = collate_events(parts, [int(n) * STEP_US for n in lengths], width, height)
    try:
        expected = fixed_point.run(network, batch)
    except InputError as error:
        with pytest.raises(InputError, match=re.escape(str(error))):
            backend.run(network, batch)
        return
    torch.set_num_threads(threads)
    found = backend.run(network, batch)
    assert torch.equal(found.readout, expected.readout)
    for one, other in zip(found.spikes, expected.spikes, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def test_integers_where_sums_leave_24_bits_run_in_the_simulator():
    network = integer_stream(0)
    first, *rest = network.layers
    wide = dataclasses.replace(first, weight=first.weight * 10_000)
    _, height, width = network.input_shape
    everywhere = pack(np.full(2 * height * width, 1), *(a.ravel() for a in np.indices((width, height, 2))))
    with pytest.raises(InputError, match=f"layer {first.name}"):
        FixedStream(dataclasses.replace(network, layers=(wide, *rest))).tick(everywhere)

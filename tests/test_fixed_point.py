"""The integer simulator against plain-integer arithmetic, its limits, and its float readings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import clips, float_network, integer_network, reference, without_spikes

from snnface.backends.torch import run as run_float
from snnface.errors import InputError
from snnface.hardware.integers import fixed_point
from snnface.hardware.integers.fixed_point import Simulator
from snnface.hardware.integers.network import IntegerLayer, IntegerNetwork
from snnface.hardware.quantising.quantise import quantise


def payload(network: IntegerNetwork, steps: int, largest: int, seed: int, batch: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (steps, batch, *network.input_shape)
    return (rng.random(shape) < 0.3) * rng.integers(1, largest + 1, shape)


@given(
    seed=st.integers(0, 10_000),
    largest=st.sampled_from([1, 31, 255]),
    lag=st.booleans(),
    interval=st.sampled_from([None, 5]),
    offset=st.integers(0, 2),
    cut=st.integers(1, 8),
)
@settings(max_examples=25, deadline=None)
def test_equals_plain_integer_arithmetic(seed, largest, lag, interval, offset, cut):
    network = integer_network(seed)
    x = payload(network, 9, largest, seed)
    sim = Simulator(network, lag=lag, reset_interval=interval, reset_offset=offset, largest_input=largest)
    parts = [sim.advance(part, states=range(4)) for part in (x[:cut], x[cut:])]
    expected = reference(network, x[:, 0], lag, interval, offset)
    for i, wanted in enumerate(expected):
        for name, values in zip("suv", wanted, strict=True):
            found = np.concatenate([getattr(part[i], name)[:, 0] for part in parts])
            np.testing.assert_array_equal(found, values, f"layer {i} {name}")


def test_clips_of_a_batch_do_not_meet():
    network = integer_network(3)
    x = payload(network, 12, 31, 0, batch=3)
    together = Simulator(network, 3, largest_input=31).advance(x)
    for b in range(3):
        alone = Simulator(network, largest_input=31).advance(x[:, b : b + 1])
        for a, c in zip(alone, together, strict=True):
            np.testing.assert_array_equal(a.s[:, 0], c.s[:, b])


def one_neuron(weight: int, i_decay: int = 0, threshold: int = 131_071) -> IntegerNetwork:
    numbers = (np.asarray(n) for n in (i_decay, 0, threshold))
    return IntegerNetwork((1,), (IntegerLayer("only", "dense", np.array([[weight]]), (1,), (1,), *numbers),))


def test_a_current_wraps_once_beyond_23_bits_and_is_counted():
    sim = Simulator(one_neuron(254), largest_input=255)
    x = np.full((3, 1, 1), 255)
    (trace,) = sim.advance(x, states=[0])
    step = 254 * 255 * 64
    assert trace.u[:, 0, 0].tolist() == [step, 2 * step, 3 * step - (1 << 24)]
    assert sim.wraps == {"only": 1}


def test_a_voltage_saturates_below_23_bits():
    sim = Simulator(one_neuron(-254, i_decay=4096), largest_input=255)
    (trace,) = sim.advance(np.full((4, 1, 1), 255), states=[0])
    assert trace.v[-1, 0, 0] == -(1 << 23) + 1


def test_a_voltage_at_the_threshold_does_not_spike():
    network = one_neuron(100, i_decay=4096, threshold=200)
    (trace,) = Simulator(network).advance(np.ones((3, 1, 1)), states=[0])
    assert trace.s[:, 0, 0].tolist() == [False, False, True]


def test_convolution_sums_beyond_float32_are_exact_and_wrap_to_24_bits():
    weight = np.full((1, 301, 1, 1), 254)
    weight[0, 0] = 1
    shape, numbers = (301, 1, 1), (np.asarray(n) for n in (4096, 4096, 131_071))
    layer = IntegerLayer("wide", "conv", weight, shape, (1, 1, 1), *numbers)
    (trace,) = Simulator(IntegerNetwork(shape, (layer,)), largest_input=255).advance(
        np.full((1, 1, *shape), 255), [0]
    )
    total = 255 * (1 + 300 * 254)
    assert total > 1 << 24
    assert total % 2 == 1
    assert trace.u[0, 0, 0, 0, 0] == (total - (1 << 24)) * 64 - (
        (1 << 24) if (total - (1 << 24)) * 64 > 1 << 23 else 0
    )


def wide(inputs: int) -> IntegerNetwork:
    numbers = (np.asarray(n) for n in (0, 0, 131_071))
    layer = IntegerLayer("wide", "dense", np.full((1, inputs), 254), (inputs,), (1,), *numbers)
    return IntegerNetwork((inputs,), (layer,))


def test_sums_beyond_32_bits_are_refused():
    with pytest.raises(InputError, match="32 bits"):
        Simulator(wide(40_000), largest_input=255)


def test_currents_beyond_32_bits_wrap_as_numpys_integers_do():
    # one wrap by 2^24 a step does not catch up with sums of 2^26: the current leaves 24 bits, and 32 at last
    (trace,) = Simulator(wide(500), largest_input=255).advance(np.full((9, 1, 500), 255), states=[0])
    current = voltage = np.int32(0)
    step = np.int32(254 * 255 * 500 << 6)
    for t in range(9):
        with np.errstate(over="ignore"):
            current = current + step
            if current > 1 << 23:
                current = current - np.int32(1 << 24)
            elif current <= -(1 << 23):
                current = current + np.int32(1 << 24)
            voltage = np.clip(voltage + current, 1 - (1 << 23), (1 << 23) - 1)
        assert trace.u[t, 0, 0] == current
        assert trace.v[t, 0, 0] == (voltage if voltage <= 131_071 << 6 else 0)
        voltage = trace.v[t, 0, 0]
    assert trace.u.min() < -(1 << 24)
    assert trace.u.max() > 1 << 24


def test_a_readout_leaving_its_range_is_refused():
    sim = Simulator(without_spikes(integer_network(1)), largest_input=1)
    sim.neurons[-1].peak_v = 131_071 * 64
    with pytest.raises(InputError, match="readout"):
        fixed_point.check(sim)


@pytest.mark.parametrize("mode", ["graded", "unary"])
def test_a_network_on_the_integer_grid_equals_its_float_twin(mode):
    # no memory, even weights over 254, a threshold between two reachable sums: quantisation loses nothing
    network = float_network(input_mode=mode, readout=False)
    layers = []
    for layer in network.layers:
        weight = 2 * np.rint(127 * layer.weight / np.abs(layer.weight).max()) / 254
        layers.append(replace(layer, weight=weight, alpha=0.0, beta=0.0, threshold=1.003))
    network = replace(network, layers=tuple(layers))
    batch = clips(network)
    ours = fixed_point.run(quantise(network, batch), batch)
    theirs = run_float(network, batch, dtype=torch.float64)
    for a, b in zip(ours.spikes, theirs.spikes, strict=True):
        assert a.shape == b.shape
        assert torch.equal(a.bool(), b.bool())
    assert ours.spikes[0].any()


def test_readout_is_in_float_units():
    network = float_network()
    batch = clips(network, 3)
    ours, theirs = fixed_point.run(quantise(network, batch), batch), run_float(network, batch)
    assert ours.readout.shape == theirs.readout.shape == (40, 3, 7)
    agreement = (ours.spikes[0].bool() == theirs.spikes[0].bool()).double().mean()
    assert agreement > 0.99
    for row in range(7):
        a, b = ours.readout[..., row].double(), theirs.readout[..., row].double()
        assert torch.corrcoef(torch.stack([a.ravel(), b.ravel()]))[0, 1] > 0.9
        assert 0.7 < a.norm() / b.norm() < 1.4


def test_a_file_without_manifest_cannot_take_events():
    with pytest.raises(InputError, match="manifest"):
        fixed_point.run(integer_network(0), clips(float_network()))


def test_events_of_another_size_are_refused():
    network = float_network()
    other = replace(clips(network), width=20)
    with pytest.raises(InputError, match="20x12"):
        fixed_point.run(quantise(network), other)

"""The integer simulator in the compiled engine against the one in numpy: every spike, current and voltage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import clips, float_network, integer_network

from snnface.engine.library import library
from snnface.hardware.integers import native
from snnface.hardware.integers.fixed_point import Simulator
from snnface.hardware.integers.native import NativeSimulator, fastest
from snnface.hardware.integers.network import STATE_LIMIT, IntegerLayer, IntegerNetwork
from snnface.hardware.quantising.peaks import peaks
from snnface.hardware.quantising.quantise import quantise

needs_engine = pytest.mark.skipif(library() is None, reason="the engine is not built: make engine")


def recurrent(network: IntegerNetwork, rng: np.random.Generator) -> IntegerNetwork:
    """The same network whose last layer listens to itself."""
    *rest, last = network.layers
    own = 2 * rng.integers(-127, 128, (last.neurons, last.neurons))
    return replace(network, layers=(*rest, replace(last, recurrent=own)))


@needs_engine
@given(
    seed=st.integers(0, 10_000),
    largest=st.sampled_from([1, 31, 255]),
    batch=st.integers(1, 2),
    lag=st.booleans(),
    interval=st.sampled_from([None, 1, 5]),
    offset=st.integers(0, 2),
    cut=st.integers(0, 20),
    loop=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_equals_the_simulator_in_numpy(seed, largest, batch, lag, interval, offset, cut, loop):
    rng = np.random.default_rng(seed)
    network = integer_network(seed)
    network = recurrent(network, rng) if loop else network
    shape = (20, batch, *network.input_shape)
    x = (rng.random(shape) < 0.3) * rng.integers(1, largest + 1, shape)
    options = (network, batch, lag, interval, offset, largest)
    theirs, ours = Simulator(*options), fastest(*options)
    assert isinstance(ours, NativeSimulator)
    for part in (x[:cut], x[cut:]):
        for a, b in zip(theirs.advance(part, states=[0, 3]), ours.advance(part, states=[0, 3]), strict=True):
            for name in "suv":
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name), name)
                assert getattr(a, name).dtype == getattr(b, name).dtype
    assert ours.wraps == theirs.wraps


@needs_engine
def test_flat_input_and_currents_that_leave_24_and_32_bits():
    rng = np.random.default_rng(0)
    numbers = (np.asarray(n) for n in (0, 100, 131_071))
    weight = 2 * rng.integers(-20, 128, (3, 100))
    network = IntegerNetwork((100,), (IntegerLayer("wide", "dense", weight, (100,), (3,), *numbers),))
    x = np.full((40, 1, 100), 255)
    a, b = (
        s.advance(x, [0])[0] for s in (Simulator(network, largest_input=255), fastest(network, largest_input=255))
    )
    assert np.abs(a.u).max() > 1 << 28
    for name in "suv":
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_sums_beyond_23_bits_and_a_missing_engine_leave_it_to_numpy(monkeypatch):
    numbers = (np.asarray(n) for n in (0, 100, 131_071))
    weight = np.full((1, 200), 254)
    network = IntegerNetwork((200,), (IntegerLayer("wide", "dense", weight, (200,), (1,), *numbers),))
    assert isinstance(fastest(network, largest_input=255), Simulator)
    monkeypatch.setattr(native, "library", lambda: None)
    assert isinstance(fastest(network), Simulator)


@needs_engine
@pytest.mark.parametrize("wrapping", [False, True])
def test_the_largest_states_are_those_of_numpy(wrapping, monkeypatch):
    """Also where currents wrap: the engine's traces do not tell how large they were."""
    network = quantise(float_network())
    batch = clips(float_network(), seconds=0.6)
    if wrapping:
        wide = replace(network.layers[1], weight=np.full_like(network.layers[1].weight, 254), i_decay=np.asarray(2))
        network = replace(network, layers=(network.layers[0], wide, *network.layers[2:]))
    ours, our_last = peaks(network, batch)
    monkeypatch.setattr(native, "library", lambda: None)
    theirs, their_last = peaks(network, batch)
    assert ours == theirs
    assert (max(theirs) > STATE_LIMIT) == wrapping
    assert their_last.any()
    np.testing.assert_array_equal(our_last, their_last)


@needs_engine
def test_calibration_gives_the_same_scales_with_and_without_the_engine(monkeypatch):
    network = float_network()
    slow = replace(network.layers[1], weight=np.abs(network.layers[1].weight), alpha=0.99)
    network = replace(network, layers=(network.layers[0], slow, *network.layers[2:]))
    batch = clips(network)
    ours = quantise(network, batch)
    monkeypatch.setattr(native, "library", lambda: None)
    theirs = quantise(network, batch)
    for a, b in zip(ours.host.scales, theirs.host.scales, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(ours.host.scales[1], quantise(network).host.scales[1])  # the clips decide

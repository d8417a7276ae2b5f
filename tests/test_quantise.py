"""Quantisation: what fits the chip, what bounds the currents, what the host reads back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import clips, float_network

from snnface.errors import InputError
from snnface.forward import run_network
from snnface.hardware.integers.fixed_point import Simulator, payloads, simulator
from snnface.hardware.integers.fixed_point import run as run_fixed
from snnface.hardware.integers.network import CURRENT_LIMIT, STATE_LIMIT
from snnface.hardware.netx_files import manifest
from snnface.hardware.netx_files.read import read_net
from snnface.hardware.netx_files.write import write_net
from snnface.hardware.quantising.quantise import quantise, refusals
from snnface.network import Network, SynapticLayer


@given(seed=st.integers(0, 1000), gain=st.sampled_from([0.01, 1.0, 300.0]), mode=st.sampled_from(["graded", "unary"]))
@settings(max_examples=20, deadline=None)
def test_weights_thresholds_and_decays_follow_the_scale(seed, gain, mode):
    network = float_network(seed)
    network = replace(network, layers=tuple(replace(x, weight=gain * x.weight) for x in network.layers))
    result = quantise(network, input_mode=mode)
    assert result.host is not None
    for i, (layer, integer, scale) in enumerate(zip(network.layers, result.layers, result.host.scales, strict=True)):
        one = network.payload_one if i == 0 and mode == "graded" else 1
        assert not (integer.weight % 2).any()
        assert 0 < np.abs(integer.weight).max() <= 254
        rows = layer.weight.reshape(len(layer.weight), -1) * scale[:, None] / one
        assert np.abs(rows - integer.weight.reshape(rows.shape)).max() <= 1 + 1e-9
        assert integer.i_decay == round(4096 * (1 - layer.alpha))
        assert integer.v_decay == round(4096 * (1 - layer.beta))
        if layer.spiking:
            assert abs(integer.threshold - layer.threshold * scale[0]) <= 0.5 + 1e-9
            assert 1 <= integer.threshold <= 131_071
        else:
            assert not integer.spiking


@pytest.mark.parametrize("mode", ["graded", "unary"])
def test_the_worst_input_does_not_wrap_the_first_layer(mode):
    network = float_network()
    layer = replace(network.layers[0], weight=40 * np.abs(network.layers[0].weight), alpha=0.97)
    network = replace(network, layers=(layer, *network.layers[1:]))
    result = quantise(network, input_mode=mode)
    largest = network.payload_max if mode == "graded" else 1
    sim = Simulator(result, largest_input=largest)
    sim.advance(np.full((400, 1, *network.input_shape), largest), states=[0])
    assert "conv1" not in sim.wraps
    # the bound is used, not just kept: unary input is bounded by the weights' range first
    assert sim.neurons[0].peak_u > (0.95 if mode == "graded" else 0.1) * STATE_LIMIT


def per_channel(network: Network) -> Network:
    """Its layers with decays and thresholds that differ from channel to channel."""

    def spread(layer: SynapticLayer) -> SynapticLayer:
        near = np.linspace(0.9, 1.05, layer.shape_out[0])
        return replace(layer, alpha=layer.alpha * near, beta=layer.beta * near, threshold=layer.threshold * near)

    return replace(network, layers=tuple(spread(x) for x in network.layers))


@pytest.mark.parametrize("calibrated", [False, True])
def test_parameters_of_each_channel_are_quantised_each(calibrated, tmp_path):
    network = per_channel(float_network())
    result = quantise(network, clips(network, 3, seconds=0.3) if calibrated else None)
    write_net(tmp_path / "a.net", result)
    for layer, integer, back in zip(network.layers, result.layers, read_net(tmp_path / "a.net").layers, strict=True):
        per_neuron = (-1, *[1] * (len(layer.shape_out) - 1))
        assert np.array_equal(integer.i_decay, np.rint(4096 * (1 - layer.alpha)).reshape(per_neuron))
        assert np.array_equal(integer.v_decay, np.rint(4096 * (1 - layer.beta)).reshape(per_neuron))
        if layer.spiking:
            scaled = (layer.threshold * result.host.scales[network.layers.index(layer)][0]).reshape(per_neuron)
            assert np.abs(integer.threshold - scaled).max() <= 0.5 + 1e-9
        assert len(np.unique(integer.v_decay)) > 1
        for name in ("i_decay", "v_decay", "threshold"):
            assert np.array_equal(
                np.broadcast_to(getattr(back, name), layer.shape_out),
                np.broadcast_to(getattr(integer, name), layer.shape_out),
            )


def test_integer_channels_follow_the_float_channels():
    network = per_channel(float_network())
    batch = clips(network, 3, seconds=0.3)
    wanted = run_network(network, batch).spikes[0].bool()
    agreements = [
        (run_fixed(quantise(n, batch), batch).spikes[0].bool() == wanted).double().mean()
        for n in (network, float_network())
    ]
    assert agreements[0] > 0.99 > agreements[1]


@pytest.mark.parametrize("field", ["alpha", "threshold"])
def test_one_wrong_channel_is_refused(field):
    network = float_network()
    wrong = np.full(network.layers[1].shape_out[0], 0.5)
    wrong[-1] = -0.1
    layers = (network.layers[0], replace(network.layers[1], **{field: wrong}), *network.layers[2:])
    assert [r["layer"] for r in refusals(replace(network, layers=layers))] == [network.layers[1].name]


def test_calibration_leaves_head_room_and_uses_the_range():
    network = float_network()
    slow = replace(network.layers[-1], alpha=0.97, beta=0.999)
    network = replace(network, layers=(*network.layers[:-1], slow))
    batch = clips(network, 3, seconds=0.6)
    result = quantise(network, batch)
    sim = simulator(result, 3)
    for block in payloads(result, batch):
        sim.advance(block)
    assert not sim.wraps
    for neurons in sim.neurons[1:]:
        assert 2 * neurons.peak_u <= 64 * CURRENT_LIMIT
    assert 0.9 <= 2 * sim.neurons[-1].peak_v / (64 * CURRENT_LIMIT) <= 1


def test_every_row_of_the_readout_has_its_own_scale():
    network = float_network()
    result = quantise(network, clips(network))
    assert np.ptp(np.abs(network.layers[-1].weight).max(1)) > 1
    assert (np.abs(result.layers[-1].weight).max(1) >= 250).all()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"weight": np.zeros((20, 96))}, "zero"),
        ({"weight": np.full((20, 96), np.nan)}, "finite"),
        ({"threshold": 0.0}, "threshold"),
        ({"alpha": 1.5}, "decay"),
    ],
)
def test_what_a_chip_cannot_express_is_refused_by_layer(change, what):
    network = float_network()
    layers = [replace(x, **change) if x.name == "dense" else x for x in network.layers]
    network = replace(network, layers=tuple(layers))
    (refusal,) = refusals(network)
    assert refusal["layer"] == "dense"
    assert what in refusal["what"]
    with pytest.raises(InputError, match="dense"):
        quantise(network)


def test_a_threshold_far_below_the_weights_is_refused():
    network = float_network()
    layers = [replace(x, threshold=1e-7) if x.name == "dense" else x for x in network.layers]
    with pytest.raises(InputError, match="threshold"):
        quantise(replace(network, layers=tuple(layers)))


def test_manifest_brings_the_host_settings_back(tmp_path):
    network = quantise(float_network(), input_mode="graded")
    path = manifest.save(tmp_path / "a.net", network, {"checkpoint": "c"}, {"unary": "a.unary.net"})
    assert path.name == "a.net.json"
    back = manifest.load(tmp_path / "a.net")
    assert back.host is not None
    assert network.host is not None
    assert [x.name for x in back.layers] == ["conv1", "conv2", "dense", "readout"]
    for a, b in zip(back.host.scales, network.host.scales, strict=True):
        np.testing.assert_array_equal(a, b)
    assert back.host.heads["expression"].offset.tolist() == [0, 1, 2]
    assert (back.host.step_us, back.host.payload_max, back.host.input_mode) == (5000, 31, "graded")
    assert json.loads(path.read_text())["latency_steps"] == 4


def test_variants_are_found_and_missing_ones_named(tmp_path):
    network = quantise(float_network(), input_mode="graded")
    manifest.save(tmp_path / "a.net", network, variants={"unary": "a.unary.net"})
    assert manifest.variant(tmp_path / "a.net", "graded") == tmp_path / "a.net"
    assert manifest.variant(tmp_path / "a.net", "unary") == tmp_path / "a.unary.net"
    manifest.save(tmp_path / "b.net", network)
    with pytest.raises(InputError, match="unary"):
        manifest.variant(tmp_path / "b.net", "unary")


def test_a_manifest_of_another_file_is_refused(tmp_path):
    manifest.save(tmp_path / "a.net", quantise(float_network(0)))
    manifest.save(tmp_path / "b.net", quantise(float_network(1)))
    (tmp_path / "a.net").replace(tmp_path / "b.net")
    with pytest.raises(InputError, match="another network"):
        manifest.load(tmp_path / "b.net")


@pytest.mark.parametrize("text", ["", "[]", '{"sha256": 3}', "not json"])
def test_a_garbled_manifest_is_refused(tmp_path, text):
    manifest.save(tmp_path / "a.net", quantise(float_network()))
    manifest.path_of(tmp_path / "a.net").write_text(text)
    with pytest.raises(InputError):
        manifest.load(tmp_path / "a.net")

"""netx files: written and read back unchanged, and refused where Lava would skip or change something."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import integer_network, without_spikes

from snnface.errors import InputError
from snnface.hardware.integers.network import IntegerLayer, IntegerNetwork
from snnface.hardware.netx_files.dense_weights import dense_exact
from snnface.hardware.netx_files.read import read_net
from snnface.hardware.netx_files.write import write_net


@given(seed=st.integers(0, 10_000), readout=st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_network_comes_back_as_it_was_written(tmp_path_factory, seed, readout):
    network = integer_network(seed)
    network = without_spikes(network) if readout else network
    path = tmp_path_factory.mktemp("net") / "a.net"
    write_net(path, network)
    back = read_net(path)
    assert back.input_shape == network.input_shape
    assert back.layers[-1].spiking is not readout
    for a, b in zip(back.layers, network.layers, strict=True):
        for name in ("kind", "shape_in", "shape_out", "stride", "padding", "dilation", "groups"):
            assert getattr(a, name) == getattr(b, name), name
        np.testing.assert_array_equal(a.weight, b.weight)
        for name in ("i_decay", "v_decay", "threshold", "bias"):
            values = (np.broadcast_to(getattr(x, name), x.shape_out) for x in (a, b))
            np.testing.assert_array_equal(*values, err_msg=name)
        delays = (np.zeros(x.weight.shape) if x.delay is None else x.delay for x in (a, b))
        np.testing.assert_array_equal(*delays)


@pytest.fixture
def net(tmp_path):
    """A valid file: input, conv, conv, flatten, dense (with delays), dense."""
    path = tmp_path / "a.net"
    network = next(n for s in range(99) if (n := integer_network(s)).layers[2].delay is not None)
    write_net(path, network)
    return path


@pytest.mark.parametrize("share", [0, 0.02, 0.3, 0.6, 0.95])
def test_truncated_and_foreign_files_are_refused(net, share):
    data = net.read_bytes()
    net.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError):
        read_net(net)
    net.write_text("t,x,y,p\n" * 100)
    with pytest.raises(InputError, match="netx"):
        read_net(net)


def test_flipped_bits_never_escape_as_other_errors(net):
    data = bytearray(net.read_bytes())
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(data), 60):
        flipped = bytearray(data)
        flipped[position] ^= 1 << int(rng.integers(8))
        net.write_bytes(flipped)
        with contextlib.suppress(InputError):
            read_net(net)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_net(tmp_path / "none.net")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"weight": np.array([[3, 4]])}, "odd"),
        ({"weight": np.array([[256, 4]])}, "beyond"),
        ({"weight": np.array([[0, 0]])}, "zero"),
        ({"weight": np.array([[-128, 0]])}, "change"),
        ({"threshold": np.asarray(0)}, "threshold"),
        ({"threshold": np.asarray(131_072)}, "threshold"),
        ({"bias": np.asarray(4096)}, "bias"),
    ],
)
def test_nothing_is_written_that_a_chip_reads_differently(tmp_path, change, what):
    values = {"weight": np.array([[2, 4]]), "threshold": np.asarray(10)} | change
    layer = IntegerLayer(
        "d", "dense", shape_in=(2,), shape_out=(1,), i_decay=np.asarray(1), v_decay=np.asarray(1), **values
    )
    with pytest.raises(InputError, match=what):
        write_net(tmp_path / "a.net", IntegerNetwork((2,), (layer,)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("weight", "exact"),
    [
        ([[2, -4], [0, 254]], True),
        ([[127, -127]], True),
        ([[0, 0]], False),
        ([[-2, 0]], False),
        ([[-129, 0]], False),
        ([[-6, -4]], True),
        ([[255, 3]], True),
        ([[256, 0]], False),
    ],
)
def test_dense_weights_that_lava_keeps(weight, exact):
    assert dense_exact(np.array(weight)) is exact

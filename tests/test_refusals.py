"""What a netx file may hold that cannot be expressed or would be misread: refused with layer, reason and fix."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest

from snnface.errors import InputError
from snnface.hardware.integers.network import IntegerLayer, IntegerNetwork
from snnface.hardware.netx_files.read import read_net
from snnface.hardware.netx_files.write import write_net

_EVEN = 2 * np.arange(1, 289).reshape(6, 48) % 128


@pytest.fixture
def net(tmp_path):
    """A file that is read: input 2x5x7, conv 4x3x4, flatten, dense 6, recurrent dense 6."""
    path = tmp_path / "a.net"
    with h5py.File(path, "w") as f:
        layers: list[tuple[str, dict[str, Any]]] = [
            ("input", {"shape": (2, 5, 7)}),
            (
                "conv",
                {"shape": (4, 3, 4), "weight": 2 * np.arange(-36, 36).reshape(4, 2, 3, 3), "stride": (2, 2)}
                | {"padding": (1, 1), "dilation": (1, 1), "groups": 1, "bias": (1, -2, 3, 4)},
            ),
            ("flatten", {"shape": (48,)}),
            ("dense", {"shape": (6,), "weight": _EVEN, "delay": (0, 1, 2, 3, 4, 62)}),
            ("dense_rec", {"shape": (6,), "weight": _EVEN[:, :6], "weight_rec": -_EVEN[:, :6]}),
        ]
        for index, (kind, fields) in enumerate(layers):
            group = f.create_group(f"layer/{index}")
            group["type"] = np.array([kind.encode()], "S10")
            for name, value in fields.items():
                group[name] = np.asarray(value)
            if kind not in ("input", "flatten"):
                group["neuron/type"] = np.array([b"CUBA"], "S10")
                for name, number in (("iDecay", 1024), ("vDecay", 512), ("vThMant", 300)):
                    group[f"neuron/{name}"] = number
    return path


def put(path, changes: dict[str, Any]) -> None:
    """Write, replace or (None) delete datasets."""
    with h5py.File(path, "r+") as f:
        for name, value in changes.items():
            if name in f:
                del f[name]
            if value is not None:
                f[name] = value


def test_the_file_itself_is_read(net):
    network = read_net(net)
    assert [x.kind for x in network.layers] == ["conv", "dense", "dense"]
    assert network.layers[2].recurrent is not None
    assert not network.warnings


#: Of each case: what it is, the layer, its reason, its fix, and what is changed in the file.
REFUSED: list[tuple[str, int, str, str, dict[str, Any]]] = [
    ("affine layer", 4, "'affine': netx skips it silently", "chain", {"layer/4/type": b"affine"}),
    ("residual layer", 4, "'residual': netx skips it silently", "chain", {"layer/4/type": b"residual"}),
    ("pooling", 1, "'pool': netx raises", "convolution with stride", {"layer/1/type": b"pool"}),
    ("average", 4, "'average': netx raises", "on the host", {"layer/4/type": b"average"}),
    ("transposed convolution", 1, "'convT'", "convolution", {"layer/1/type": b"convT"}),
    ("unpooling", 1, "'unpool'", "convolution", {"layer/1/type": b"unpool"}),
    ("concatenation", 4, "'concat'", "Use", {"layer/4/type": b"concat"}),
    ("type of another alphabet", 4, "netx skips", "chain", {"layer/4/type": "schräg"}),
    (
        "a second input layer",
        3,
        "only the first",
        "chain",
        {"layer/3/type": b"input", "layer/3/shape": np.array([6])},
    ),
    ("input layer with neurons", 0, "no input", "on the host", {"layer/0/neuron/type": b"CUBA"}),
    ("sigma-delta input", 0, "SDNN neurons", "on the host", {"layer/0/neuron/type": b"SDNN"}),
    ("input of two dimensions", 0, "input shape", "(C, H, W)", {"layer/0/shape": np.array([5, 7])}),
    ("input without pixels", 0, "input shape", "(C, H, W)", {"layer/0/shape": np.array([2, 0, 7])}),
    ("no type", 2, "no 'type'", "Write", {"layer/2/type": None}),
    ("a gap in the numbers", 2, "without a gap", "Number", {"layer/2": None}),
    ("sigma-delta neurons", 1, "sigma-delta", "CUBA", {"layer/1/neuron/type": b"SDNN"}),
    ("resonate-and-fire neurons", 3, "not simulated", "CUBA", {"layer/3/neuron/type": b"RF_PHASE"}),
    ("complex weights", 3, "complex", "real", {"layer/3/weight": None, "layer/3/weight/real": _EVEN}),
    ("adaptive neurons", 3, "netx does not know", "CUBA", {"layer/3/neuron/type": b"ALIF"}),
    ("the README's neuron type", 3, "netx does not know", "CUBA", {"layer/3/neuron/type": b"CUBA-LIF"}),
    ("neurons without type", 3, "no 'neuron/type'", "Write", {"layer/3/neuron/type": None}),
    ("graded spikes of neurons", 3, "messageBits", "Leave", {"layer/3/neuron/messageBits": 8}),
    ("convolution without neuron", 1, "no neuron", "Write", {"layer/1/neuron": None}),
    ("fractional weights", 1, "not integers", "Quantise", {"layer/1/weight": np.full((4, 2, 3, 3), 0.5)}),
    ("NaN weights", 3, "not finite", "diverged", {"layer/3/weight": np.full((6, 48), np.nan)}),
    ("infinite weights", 1, "not finite", "diverged", {"layer/1/weight": np.full((4, 2, 3, 3), np.inf)}),
    ("weights as text", 3, "type |S4", "integers", {"layer/3/weight": b"many"}),
    ("complex dtype", 3, "type complex", "integers", {"layer/3/weight": np.ones((6, 48), complex)}),
    ("weights beyond 32 bits", 1, "32 bits", "8 bits", {"layer/1/weight": np.full((4, 2, 3, 3), 2**40)}),
    ("empty weights", 3, "empty", "Write", {"layer/3/weight": np.zeros((0, 48))}),
    ("no weights", 3, "no 'weight'", "Write", {"layer/3/weight": None}),
    ("dense weights all zero", 3, "Lava would change", "not all zero", {"layer/3/weight": np.zeros((6, 48))}),
    ("dense weights ±1000", 3, "Lava would change", "−254..254", {"layer/3/weight": _EVEN * 0 + 1000}),
    ("odd inhibition below −128", 3, "Lava would change", "even", {"layer/3/weight": -129 * (_EVEN % 4 // 2)}),
    ("dense weights of another input", 3, "(6, 48)", "[O, I]", {"layer/3/weight": _EVEN[:, :47]}),
    ("kernels of three dimensions", 1, "shape (4, 2, 9)", "kH, kW", {"layer/1/weight": np.full((4, 2, 9), 2)}),
    ("kernels of another input", 1, "gives", "groups", {"layer/1/weight": np.full((4, 3, 3, 3), 2)}),
    ("another shape than the weights", 1, "its weights give", "shape", {"layer/1/shape": np.array([4, 3, 5])}),
    ("no neurons", 3, "0 neurons", "number", {"layer/3/shape": np.array([0])}),
    ("kernel larger than its input", 1, "do not fit", "smaller", {"layer/1/dilation": np.array([4, 4])}),
    ("stride 0", 1, "outside 1..127", "fits", {"layer/1/stride": np.array([0, 1])}),
    ("negative padding", 1, "outside 0..127", "fits", {"layer/1/padding": np.array([1, -1])}),
    ("stride beyond a byte", 1, "outside 1..127", "fits", {"layer/1/stride": np.array([200, 2])}),
    ("stride of one element", 1, "'stride' of shape (1,)", "scalar", {"layer/1/stride": np.array([2])}),
    ("no padding", 1, "no 'padding'", "Write", {"layer/1/padding": None}),
    ("groups of one element", 1, "'groups' of shape (1,)", "plain number", {"layer/1/groups": np.array([1])}),
    ("0 groups", 1, "0 groups", "Split", {"layer/1/groups": 0}),
    ("128 groups", 1, "128 groups", "Split", {"layer/1/groups": 128}),
    ("3 groups of 2 channels", 1, "3 groups", "groups", {"layer/1/groups": 3}),
    ("delays on a convolution", 1, "ignores silently", "without delays", {"layer/1/delay": np.arange(4)}),
    ("delays on a recurrent layer", 4, "recurrent", "without delays", {"layer/4/delay": np.arange(6)}),
    ("negative delays", 3, "negative", "0..62", {"layer/3/delay": np.arange(6) - 1}),
    ("fractional delays", 3, "not integers", "Quantise", {"layer/3/delay": np.arange(6) / 2}),
    ("delays of another shape", 3, "(7,)", "one an output", {"layer/3/delay": np.arange(7)}),
    ("one delay with a dimension", 3, "(1,)", "one an output", {"layer/3/delay": np.array([3])}),
    ("no recurrent weights", 4, "no 'weight_rec'", "Write", {"layer/4/weight_rec": None}),
    ("recurrent weights not square", 4, "weight_rec", "[O, O]", {"layer/4/weight_rec": _EVEN[:, :5]}),
    ("decay beyond one", 1, "outside 0..4096", "parts", {"layer/1/neuron/iDecay": 4097}),
    ("negative decay", 1, "outside 0..4096", "parts", {"layer/1/neuron/vDecay": -1}),
    ("decay as a fraction", 1, "as float64", "int64", {"layer/1/neuron/vDecay": 0.1}),
    ("decay as a byte", 1, "as uint8", "int64", {"layer/1/neuron/iDecay": np.uint8(0)}),
    ("threshold as a byte", 1, "as uint8", "int64", {"layer/1/neuron/vThMant": np.uint8(250)}),
    ("threshold beyond 32 bits", 1, "shifts out", "131071", {"layer/1/neuron/vThMant": np.int32(1 << 26)}),
    ("no threshold", 1, "no 'neuron/vThMant'", "Write", {"layer/1/neuron/vThMant": None}),
    ("thresholds of 3 channels", 1, "does not fit", "a channel", {"layer/1/neuron/vThMant": np.array([9, 9, 9])}),
    ("thresholds in CHW", 1, "does not fit", "[W, H, C]", {"layer/1/neuron/vThMant": np.full((4, 4, 3), 9)}),
    ("bias beyond 16 bits", 3, "16 bits", "4095", {"layer/3/bias": np.full(6, 40_000)}),
    ("one bias for a convolution", 1, "one bias", "a channel", {"layer/1/bias": 5}),
    ("bias of 5 channels", 1, "does not fit", "a channel", {"layer/1/bias": np.ones(5)}),
    ("fractional bias", 3, "not integers", "Quantise", {"layer/3/bias": np.full(6, 0.5)}),
    ("dense without flatten", 2, "without a flatten", "flatten", {"layer/2": None, "move": 2}),
    ("convolution behind flatten", 1, "behind a flatten", "chain", {"layer/0/type": b"flatten"}),
    ("flatten behind dense", 4, "flat layer", "Leave", {"layer/4/type": b"flatten"}),
    ("convolution behind dense", 4, "input shape (6,)", "input layer", {"layer/4/type": b"conv"}),
]


@pytest.mark.parametrize(("layer", "reason", "fix", "changes"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_it_is_refused(net, layer, reason, fix, changes):
    move = changes.get("move")
    put(net, {name: value for name, value in changes.items() if name != "move"})
    if move is not None:
        with h5py.File(net, "r+") as f:
            for index in range(move + 1, 5):
                f.move(f"layer/{index}", f"layer/{index - 1}")
    with pytest.raises(InputError) as refusal:
        read_net(net)
    error = refusal.value
    assert str(error.where) == f"{net} layer/{layer}"
    assert reason in error.what
    assert fix in error.fix


def test_a_convolution_needs_the_shape_of_its_input(net):
    put(net, {"layer/0/type": b"flatten"})
    with h5py.File(net, "r+") as f:
        del f["layer/0"]
        for index in range(1, 5):
            f.move(f"layer/{index}", f"layer/{index - 1}")
    with pytest.raises(InputError, match="input layer"):
        read_net(net)
    assert read_net(net, (2, 5, 7)).input_shape == (2, 5, 7)


@pytest.mark.parametrize("content", [{"layer": None}, {"layer": None, "layer/x": 1}, {"layer": 5}])
def test_files_without_layers_are_refused(net, content):
    put(net, {"layer": None} | content)
    with pytest.raises(InputError, match=r"no layers|without a gap"):
        read_net(net)


#: What Lava changes, ignores or runs although no chip can: read as Lava computes, with a warning.
WARNED: list[tuple[str, str, dict[str, Any]]] = [
    ("layer/3", "(dense) has 243 weights that Lava clips", {"layer/3/weight": np.where(_EVEN % 12 < 10, 301, -2)}),
    ("layer/3", "clamps to 62", {"layer/3/delay": np.array([0, 1, 2, 3, 4, 63])}),
    ("layer/1", "no signed 8-bit synapse", {"layer/1/weight": np.full((4, 2, 3, 3), 1001)}),
    ("layer/1", "'refDelay' that netx ignores", {"layer/1/neuron/refDelay": 3}),
    ("layer/1", "'gradedSpike' that netx ignores", {"layer/1/neuron/gradedSpike": True}),
    ("layer/1", "'wgtExp' that netx ignores", {"layer/1/neuron/wgtExp": 2}),
    ("layer/3", "13 bits", {"layer/3/bias": np.full(6, 5000)}),
    ("layer/3", "negative thresholds", {"layer/3/neuron/vThMant": -5}),
    ("layer/0", "'bias', which netx does not read", {"layer/0/bias": 3}),
]


@pytest.mark.parametrize(("layer", "what", "changes"), WARNED)
def test_it_is_read_with_a_warning(net, layer, what, changes):
    put(net, changes)
    (warning,) = read_net(net).warnings
    assert warning.startswith(layer)
    assert what in warning


def test_what_lava_does_to_weights_and_delays_is_read(net):
    put(net, {"layer/3/weight": np.where(_EVEN % 12 < 10, 301, -2), "layer/3/delay": np.array([0, 1, 2, 3, 4, 99])})
    layer = read_net(net).layers[1]
    assert set(np.unique(layer.weight)) == {-2, 254}
    assert layer.delay is not None
    assert layer.delay.max() == 62


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"recurrent": np.array([[3]])}, "odd"),
        ({"recurrent": np.array([[256]])}, "beyond"),
        ({"recurrent": np.array([[2]]), "delay": np.array([[1, 1]])}, "delays on a recurrent"),
        ({"delay": np.array([[1, 63]])}, "delays outside"),
        ({"delay": np.array([[1, -1]])}, "delays outside"),
    ],
)
def test_loops_and_delays_that_no_chip_holds_are_not_written(tmp_path, change, reason):
    numbers = {name: np.asarray(100) for name in ("i_decay", "v_decay", "threshold")}
    layer = IntegerLayer("d", "dense", np.array([[2, 4]]), (2,), (1,), **numbers, **change)
    with pytest.raises(InputError, match=reason):
        write_net(tmp_path / "a.net", IntegerNetwork((2,), (layer,)))
    assert not list(tmp_path.iterdir())

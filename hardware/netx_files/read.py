"""Any netx file as an integer network that runs here exactly as in Lava, or a refusal.

Lava reads some files without a word and computes something else: it skips layers of types that it does not know,
truncates fractions, ignores delays on convolutions. Such files are refused. Where it is clear what Lava computes
(dense weights that it clips, delays that it clamps), the network is read so, with a warning that names the layer.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snnface.errors import InputError
from snnface.hardware.integers.network import (
    DELAY_MAX,
    GROUPS_MAX,
    IntegerLayer,
    IntegerNetwork,
)
from snnface.hardware.netx_files.dense_weights import lava_weights
from snnface.hardware.netx_files.fields import Fields
from snnface.hardware.netx_files.neurons import neurons
from snnface.network import conv_shape

_ABSENT = {
    **dict.fromkeys(("pool", "convT", "unpool", "average", "concat"), "netx raises NotImplementedError"),
    "dense_comp": "netx has no reader for it",
}
_POOL = "Use a convolution with stride and neurons of its own instead of pooling; average on the host"
_CHAIN = "Write the network as a chain of conv, flatten, dense and dense_rec layers"


def read_net(path: str | Path, input_shape: tuple[int, ...] | None = None) -> IntegerNetwork:
    """Read a netx file (without its manifest: see :func:`snnface.hardware.netx_files.manifest.load`).

    ``input_shape``: (C, H, W) of the input where the file does not say it: lava-dl writes no input layer unless the
    network has one, and netx takes the shape as an argument too.

    Raises :class:`InputError` where the file is not netx or holds something whose result in Lava is not
    reproduced here, by the name of the layer and field.
    """
    try:
        with h5py.File(path, "r") as f:
            return _read(path, f, input_shape)
    except InputError:
        raise
    except FileNotFoundError as e:
        raise InputError(path, "does not exist", "Check the path") from e
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as e:
        raise InputError(path, f"is not a readable netx file ({e})", "Write it with snnface export") from e


def _read(path: str | Path, f: h5py.File, input_shape: tuple[int, ...] | None) -> IntegerNetwork:
    if "layer" not in f or not isinstance(f["layer"], h5py.Group) or not len(f["layer"]):
        raise InputError(path, "holds no layers", "Give a netx file (an HDF5 file with the group 'layer')")
    layers: list[IntegerLayer] = []
    warnings: list[str] = []
    said: tuple[int, ...] | None = None
    flat = False
    for index in range(len(f["layer"])):
        if not isinstance(f["layer"].get(str(index)), h5py.Group):
            what = f"is missing: {len(f['layer'])} layers must be numbered from 0 without a gap"
            raise InputError(f"{path} layer/{index}", what, "Number the layers, and keep nothing else in 'layer'")
        fields = Fields(path, index, f[f"layer/{index}"])
        kind = fields.text("type")
        before = layers[-1].shape_out if layers else said or input_shape
        if kind == "input":
            said = _input(fields, first=not layers)
        elif kind == "flatten":
            if layers and len(layers[-1].shape_out) != 3:
                raise fields.refuse("flattens a flat layer, on which netx fails", "Leave the flatten layer out")
            flat = True
        elif kind == "conv":
            if flat:
                raise fields.refuse("is a convolution behind a flatten layer", _CHAIN)
            layers.append(_conv(fields, before))
        elif kind in ("dense", "dense_rec"):
            # the first layer's input arrives flattened from outside, with or without a flatten layer
            if before is not None and len(before) == 3 and layers and not flat:
                what = "is dense on a [C, H, W] input without a flatten layer before it"
                raise fields.refuse(what, "Write a flatten layer in between")
            layers.append(_dense(fields, kind, before))
            flat = False
        else:
            reason = _ABSENT.get(kind, "netx skips it silently")
            raise fields.refuse(f"has type '{kind}': {reason}", _POOL if kind in _ABSENT else _CHAIN)
        warnings += fields.warnings
    if not layers:
        raise InputError(path, "holds no conv or dense layer", "Give a network with synapses")
    return IntegerNetwork(said or layers[0].shape_in, tuple(layers), warnings=tuple(warnings))


def _input(fields: Fields, first: bool) -> tuple[int, ...]:
    if not first:
        raise fields.refuse("is an input layer behind others; only the first layer may be one", _CHAIN)
    if "neuron" in fields:
        kind = fields.text("neuron/type")
        what = f"is an input layer with {kind} neurons, to which netx connects no input: Lava does not compile it"
        raise fields.refuse(what, "Encode the input on the host and write the layer with its 'shape' alone")
    for name in ("weight", "bias", "delay"):
        if name in fields:
            fields.warn(f"(input) holds '{name}', which netx does not read without neurons")
    shape = fields.shape()
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise fields.refuse(f"has the input shape {shape}", "Use (C, H, W) or (N,)")
    return shape


def _conv(fields: Fields, before: tuple[int, ...] | None) -> IntegerLayer:
    if before is None or len(before) != 3:
        raise fields.refuse(
            f"is a convolution on the input shape {before}", "Begin with an input layer, or give input [T, C, H, W]"
        )
    if "delay" in fields:
        what = "has delays on a convolution, which netx ignores silently"
        raise fields.refuse(what, "Train the convolution without delays")
    weight = _weights(fields)
    if weight.ndim not in (4, 5) or math.prod(weight.shape[4:]) != 1:
        what = f"has weights of shape {weight.shape}"
        raise fields.refuse(what, "Store them as [O, I / groups, kH, kW]")
    weight = weight.reshape(weight.shape[:4])
    stride, padding, dilation = (
        fields.pair(n, least) for n, least in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    groups = fields.one("groups")
    if not 1 <= groups <= GROUPS_MAX:
        raise fields.refuse(f"has {groups} groups, netx holds 1..{GROUPS_MAX}", "Split the layer")
    shape = fields.shape()
    expected = conv_shape(before, weight.shape, stride, padding, dilation)
    if min(expected) < 1 or max(weight.shape[2:]) > 127:
        what = f"has kernels {weight.shape[2:]} that do not fit its input {before}"
        raise fields.refuse(what, "Use smaller kernels or more padding")
    if shape != expected:
        raise fields.refuse(f"has shape {shape}, its weights give {expected}", "Write the shape that they give")
    if (weight.min() < -256 or weight.max() > 255) or ((weight % 2).any() and np.abs(weight).max() > 127):
        fields.warn(
            f"(conv) has weights in {weight.min()}..{weight.max()}, which Lava's convolution takes as they are and "
            "no signed 8-bit synapse can hold"
        )
    if "neuron" not in fields:
        raise fields.refuse("has no neuron", "Write the group 'neuron': netx needs one for a convolution")
    parameters = neurons(fields, shape)
    geometry: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return _layer(fields, "conv", weight, before, shape, parameters | geometry)


def _dense(fields: Fields, kind: str, before: tuple[int, ...] | None) -> IntegerLayer:
    shape = (math.prod(fields.shape()),)
    if shape[0] < 1:
        raise fields.refuse(f"has {shape[0]} neurons", "Write their number")
    weight = _weights(fields)
    if weight.ndim == 1 and weight.size % shape[0] == 0:
        weight = weight.reshape(shape[0], -1)
    before = before or weight.shape[1:]
    if weight.shape != (shape[0], math.prod(before)):
        what = f"has weights of shape {weight.shape}, its {shape[0]} neurons and the input {before} need"
        raise fields.refuse(f"{what} {(shape[0], math.prod(before))}", "Store them as [O, I]")
    settings: dict[str, Any] = {"delay": _delays(fields, weight)}
    if kind == "dense_rec":
        if settings["delay"] is not None:
            what = "has delays on a recurrent layer, whose weights netx then shifts by a factor of 2^k"
            raise fields.refuse(what, "Train the recurrent layer without delays")
        recurrent = fields.integers("weight_rec")
        if recurrent.size != shape[0] ** 2:
            what = f"has 'weight_rec' of shape {recurrent.shape} on {shape[0]} neurons"
            raise fields.refuse(what, "Store the recurrent weights as [O, O]")
        settings["recurrent"] = recurrent.reshape(shape[0], shape[0])
    kept = lava_weights(weight, settings.get("recurrent"))
    if kept is None:
        what = f"has dense weights in {weight.min()}..{weight.max()} that Lava would change: it sees other sums"
        raise fields.refuse(what, "Use even weights in −254..254, not all zero")
    changed = int((kept[0] != weight).sum())
    if "recurrent" in settings:
        changed += int((kept[1] != settings["recurrent"]).sum())
        settings["recurrent"] = kept[1]
    if changed:
        fields.warn(f"({kind}) has {changed} weights that Lava clips or truncates to 8 bits; read as Lava computes")
    return _layer(fields, "dense", kept[0], before, shape, neurons(fields, shape) | settings)


def _weights(fields: Fields) -> np.ndarray:
    if isinstance(fields.group.get("weight"), h5py.Group):
        what = "has complex weights, for resonate-and-fire neurons, which are not simulated"
        raise fields.refuse(what, "Use CUBA neurons with real weights")
    weight = fields.integers("weight")
    if np.abs(weight).max() >= 1 << 31:
        raise fields.refuse("has weights beyond 32 bits", "Quantise the network to 8 bits")
    return weight


def _delays(fields: Fields, weight: np.ndarray) -> np.ndarray | None:
    """Steps of each synapse ``[O, I]`` beyond the usual one. One dimension: of each output, else of each input."""
    if "delay" not in fields:
        return None
    value = fields.integers("delay")
    if value.min() < 0:
        raise fields.refuse("has negative delays, on which Lava fails", "Use delays in 0..62")
    if value.max() > DELAY_MAX:
        fields.warn(
            f"(dense) has delays up to {value.max()}, which netx clamps to {DELAY_MAX}; read as Lava computes"
        )
        value = value.clip(0, DELAY_MAX)
    if value.shape == weight.shape[:1]:
        value = value[:, None]
    elif value.shape not in ((), weight.shape, weight.shape[1:]):
        what = f"has delays of shape {value.shape}, its weights are {weight.shape}"
        raise fields.refuse(what, "Store one number, one an output, one an input, or [O, I]")
    return np.broadcast_to(value, weight.shape)


def _layer(
    fields: Fields,
    kind: str,
    weight: np.ndarray,
    before: tuple[int, ...],
    shape: tuple[int, ...],
    rest: dict[str, Any],
) -> IntegerLayer:
    try:
        return IntegerLayer(f"{kind}{fields.index}", kind, weight, before, shape, **rest)
    except ValueError as e:
        raise fields.refuse(str(e), "Check its weights and groups") from e

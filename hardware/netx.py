"""netx files: the HDF5 network description that lava-dl's ``netx`` runs, written and read with h5py alone.

Shapes and weights stand in the file in torch's order; netx reverses them itself. The writer refuses what a
chip would read differently, the reader what Lava would silently skip or change.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snnface.errors import InputError
from snnface.hardware.integer import (
    BIAS_MAX,
    DECAY_UNIT,
    DELAY_MAX,
    GROUPS_MAX,
    THRESHOLD_MAX,
    WEIGHT_MAX,
    IntegerLayer,
    IntegerNetwork,
    dense_exact,
)
from snnface.hdf5 import new_file
from snnface.network import conv_shape

_REFUSED = {
    "dense_rec": "recurrent layers are not simulated",
    "input": "only a first input layer without neurons is simulated",
    **dict.fromkeys(("pool", "convT", "unpool", "average", "concat"), "netx cannot run it"),
}


def chip_refusal(layer: IntegerLayer) -> str | None:
    """Why a chip would not compute this layer as it stands, or None where it does."""
    weight = layer.weight
    checks = (
        (np.abs(weight).max(initial=0) > WEIGHT_MAX, f"weights beyond ±{WEIGHT_MAX}"),
        ((weight % 2).any(), "odd weights, which a signed 8-bit synapse cannot hold"),
        (not weight.any(), "only zero weights"),
        (layer.kind == "dense" and weight.any() and not dense_exact(weight), "weights that Lava would change"),
        (
            layer.threshold.min() < 1 or layer.threshold.max() > THRESHOLD_MAX,
            f"a threshold outside 1..{THRESHOLD_MAX}",
        ),
        (np.abs(layer.bias).max() > BIAS_MAX, f"a bias beyond ±{BIAS_MAX}"),
        (layer.groups > GROUPS_MAX, f"more than {GROUPS_MAX} groups"),
        (layer.delay is not None and layer.kind == "conv", "delays on a convolution"),
    )
    return next((what for wrong, what in checks if wrong), None)


def write_net(path: str | Path, network: IntegerNetwork) -> None:
    """Write a netx file atomically.

    Raises :class:`InputError` where a layer holds something that a chip reads differently.
    """
    for layer in network.layers:
        if what := chip_refusal(layer):
            raise InputError(f"layer {layer.name}", f"has {what}", "Quantise the network again")
    with new_file(path) as (f, _):
        _group(f, 0, "input", shape=network.input_shape)
        index, shape = 1, network.input_shape
        for layer in network.layers:
            if layer.kind == "dense" and len(shape) == 3:
                _group(f, index, "flatten", shape=(layer.weight.shape[1],))
                index += 1
            _write_layer(_group(f, index, layer.kind, shape=layer.shape_out), layer)
            index, shape = index + 1, layer.shape_out


def _group(f: h5py.File, index: int, kind: str, shape: tuple[int, ...]) -> h5py.Group:
    group = f.create_group(f"layer/{index}")
    group.create_dataset("type", data=np.array([kind.encode()], "S10"))
    group.create_dataset("shape", data=np.asarray(shape, np.int64))
    return group


def _write_layer(group: h5py.Group, layer: IntegerLayer) -> None:
    group.create_dataset("weight", data=layer.weight.astype(np.float32))
    if layer.kind == "conv":
        for name in ("stride", "padding", "dilation"):
            group.create_dataset(name, data=np.asarray(getattr(layer, name), np.int64))
        group.create_dataset("groups", data=np.int64(layer.groups))
    if layer.bias.any():
        full = np.broadcast_to(layer.bias, layer.shape_out)
        group.create_dataset("bias", data=full.transpose().astype(np.float32))
    if layer.delay is not None:
        group.create_dataset("delay", data=layer.delay.astype(np.int64))
    neuron = group.create_group("neuron")
    neuron.create_dataset("type", data=np.array([b"CUBA"], "S10"))
    for name, value in (("iDecay", layer.i_decay), ("vDecay", layer.v_decay), ("vThMant", layer.threshold)):
        neuron.create_dataset(name, data=_to_file(value).astype(np.int64))


def _to_file(value: np.ndarray) -> np.ndarray:
    """Broadcastable to CHW → netx's order: a scalar, per channel ``[C]``, or ``[W, H, C]``."""
    return value.reshape(-1) if value.shape[1:] == (1, 1) else value.transpose()


def read_net(path: str | Path) -> IntegerNetwork:
    """Read a netx file (without its manifest: see :func:`snnface.hardware.manifest.load`).

    Raises :class:`InputError` where the file is not netx or holds something whose result in Lava is not
    reproduced here, by the name of the layer and field.
    """
    try:
        with h5py.File(path, "r") as f:
            return _Reader(path).read(f)
    except InputError:
        raise
    except FileNotFoundError as e:
        raise InputError(path, "does not exist", "Check the path") from e
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as e:
        raise InputError(path, f"is not a readable netx file ({e})", "Write it with snnface export") from e


class _Reader:
    """Walks the layers of one file, carrying the shape from layer to layer."""

    def __init__(self, path: str | Path) -> None:
        self.path = path

    def refuse(self, index: int, what: str, fix: str = "Write the network without it") -> InputError:
        return InputError(f"{self.path} layer/{index}", what, fix)

    def read(self, f: h5py.File) -> IntegerNetwork:
        if "layer" not in f or not len(f["layer"]):
            raise InputError(self.path, "holds no layers", "Give a netx file (an HDF5 file with the group 'layer')")
        layers: list[IntegerLayer] = []
        input_shape: tuple[int, ...] | None = None
        flat = False
        for index in range(len(f["layer"])):
            if f"layer/{index}" not in f:
                raise self.refuse(index, "is missing: layers must be numbered from 0 without a gap")
            group = f[f"layer/{index}"]
            kind = _text(group["type"])
            if kind == "input" and "neuron" not in group and not layers:
                input_shape = tuple(int(n) for n in group["shape"][()])
            elif kind == "flatten":
                flat = True
            elif kind in ("conv", "dense"):
                before = layers[-1].shape_out if layers else input_shape
                # the first layer's input arrives flattened from outside, with or without a flatten layer
                layers.append(self.layer(index, group, kind, before, flat or not layers))
                input_shape, flat = input_shape or layers[0].shape_in, False
            else:
                raise self.refuse(index, f"has type '{kind}': {_REFUSED.get(kind, 'netx skips it silently')}")
        if not layers or input_shape is None:
            raise InputError(self.path, "holds no conv or dense layer", "Give a network with synapses")
        return IntegerNetwork(input_shape, tuple(layers))

    def layer(
        self, index: int, group: h5py.Group, kind: str, before: tuple[int, ...] | None, flat: bool
    ) -> IntegerLayer:
        weight = self.integers(index, group, "weight")
        shape = tuple(int(n) for n in np.atleast_1d(group["shape"][()]))
        settings: dict[str, Any] = {}
        if kind == "conv":
            if before is None or len(before) != 3:
                raise self.refuse(index, f"is a convolution on the input shape {before}", "Begin with an input layer")
            if "delay" in group:
                raise self.refuse(index, "has delays on a convolution, which netx ignores silently")
            settings = {name: self.pair(index, group, name) for name in ("stride", "padding", "dilation")}
            settings["groups"] = int(group["groups"][()])
            if not 1 <= settings["groups"] <= GROUPS_MAX:
                raise self.refuse(index, f"has {settings['groups']} groups, netx holds 1..{GROUPS_MAX}")
            weight = weight.reshape(weight.shape[:4])
            expected: tuple[int, ...] = conv_shape(before, weight.shape, *(settings[n] for n in list(settings)[:3]))
            if shape != expected:
                raise self.refuse(index, f"has shape {shape}, its weights give {expected}")
        else:
            shape = (math.prod(shape),)
            weight = weight.reshape(shape[0], -1)
            before = before or (weight.shape[1],)
            if len(before) == 3 and not flat:
                raise self.refuse(index, "is dense on a [C, H, W] input without a flatten layer before it")
            if not dense_exact(weight):
                raise self.refuse(index, "has dense weights that Lava would change", "Use even weights in −254..254")
            settings["delay"] = self.delays(index, group, weight)
        neuron = group.get("neuron")
        if neuron is None and kind == "conv":
            raise self.refuse(index, "has no neuron")
        if neuron is not None and _text(neuron["type"]) not in ("CUBA", "LOIHI"):
            raise self.refuse(index, f"has neurons of type '{_text(neuron['type'])}'", "Use CUBA neurons")
        # netx's own default for a dense layer without a neuron group: no current decay, no membrane memory
        defaults = {"iDecay": 0, "vDecay": DECAY_UNIT, "vThMant": 1 << 17}
        i_decay, v_decay, threshold = (
            self.parameter(index, neuron if neuron is not None else {n: d}, n, shape) for n, d in defaults.items()
        )
        if min(i_decay.min(), v_decay.min()) < 0 or max(i_decay.max(), v_decay.max()) > DECAY_UNIT:
            raise self.refuse(index, f"has a decay outside 0..{DECAY_UNIT}")
        bias = self.parameter(index, group, "bias", shape) if "bias" in group else np.zeros((), np.int64)
        if np.abs(bias).max() > np.iinfo(np.int16).max:
            raise self.refuse(index, "has a bias beyond 16 bits, which Lava wraps silently")
        try:
            return IntegerLayer(
                f"{kind}{index}", kind, weight, before, shape, i_decay, v_decay, threshold, bias, **settings
            )
        except ValueError as e:
            raise self.refuse(index, str(e), "Check its weights") from e

    def integers(self, index: int, group: Any, name: str) -> np.ndarray:
        value = np.asarray(group[name][()] if isinstance(group, h5py.Group) else group[name])
        with np.errstate(invalid="ignore"):
            whole = value.astype(np.int64)
        if not np.array_equal(whole, value):
            raise self.refuse(index, f"has values in '{name}' that are not integers (netx would truncate them)")
        return whole

    def pair(self, index: int, group: h5py.Group, name: str) -> tuple[int, int]:
        value = self.integers(index, group, name)
        if value.shape not in ((), (2,)):
            raise self.refuse(index, f"has '{name}' of shape {value.shape}; netx takes one number or (y, x)")
        y, x = np.broadcast_to(value, 2)
        return int(y), int(x)

    def parameter(self, index: int, group: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """A neuron parameter or bias, brought to a shape that broadcasts to ``shape`` (CHW or O)."""
        value = self.integers(index, group, name)
        if value.size == 1:
            return value.reshape(())
        if value.shape == shape[::-1] and (len(shape) == 3 or value.ndim == 1):
            return value.transpose()
        if len(shape) == 3 and value.shape == shape[:1]:
            return value.reshape(-1, 1, 1)
        raise self.refuse(index, f"has '{name}' of shape {value.shape}, which does not fit neurons {shape}")

    def delays(self, index: int, group: h5py.Group, weight: np.ndarray) -> np.ndarray | None:
        if "delay" not in group:
            return None
        value = self.integers(index, group, "delay")
        if value.min() < 0 or value.max() > DELAY_MAX:
            raise self.refuse(index, f"has delays outside 0..{DELAY_MAX}")
        if value.ndim == 1 and len(value) == weight.shape[0]:
            value = value[:, None]
        if value.shape not in ((), weight.shape, (weight.shape[0], 1), (weight.shape[1],)):
            raise self.refuse(index, f"has delays of shape {value.shape}, its weights are {weight.shape}")
        return np.broadcast_to(value, weight.shape)


def _text(dataset: h5py.Dataset) -> str:
    value = dataset[()] if dataset.shape == () else dataset[0]
    return value.decode("ascii") if isinstance(value, bytes) else str(value)

"""netx files: the HDF5 network description that lava-dl's ``netx`` runs, written with h5py alone.

Shapes and weights stand in the file in torch's order; netx reverses them itself. The writer refuses what a
chip would read differently. :mod:`snnface.hardware.netx_files.read` reads any netx file.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from snnface.errors import InputError
from snnface.hardware.integers.network import (
    BIAS_MAX,
    DELAY_MAX,
    GROUPS_MAX,
    THRESHOLD_MAX,
    WEIGHT_MAX,
    IntegerLayer,
    IntegerNetwork,
)
from snnface.hardware.netx_files.dense_weights import dense_exact
from snnface.hdf5 import new_file


def chip_refusal(layer: IntegerLayer) -> str | None:
    """Why a chip would not compute this layer as it stands, or None where it does."""
    weight, own = layer.weight, layer.recurrent
    every = weight.ravel() if own is None else np.concatenate([weight.ravel(), own.ravel()])
    delays = np.zeros(1, np.int64) if layer.delay is None else layer.delay
    checks = (
        (np.abs(every).max(initial=0) > WEIGHT_MAX, f"weights beyond ±{WEIGHT_MAX}"),
        ((every % 2).any(), "odd weights, which a signed 8-bit synapse cannot hold"),
        (not every.any(), "only zero weights"),
        (layer.kind == "dense" and every.any() and not dense_exact(weight, own), "weights that Lava would change"),
        (
            layer.threshold.min() < 1 or layer.threshold.max() > THRESHOLD_MAX,
            f"a threshold outside 1..{THRESHOLD_MAX}",
        ),
        (np.abs(layer.bias).max() > BIAS_MAX, f"a bias beyond ±{BIAS_MAX}"),
        (layer.groups > GROUPS_MAX, f"more than {GROUPS_MAX} groups"),
        (layer.delay is not None and layer.kind == "conv", "delays on a convolution"),
        (layer.delay is not None and own is not None, "delays on a recurrent layer"),
        (delays.min() < 0 or delays.max() > DELAY_MAX, f"delays outside 0..{DELAY_MAX}"),
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
            kind = layer.kind if layer.recurrent is None else "dense_rec"
            _write_layer(_group(f, index, kind, shape=layer.shape_out), layer)
            index, shape = index + 1, layer.shape_out


def _group(f: h5py.File, index: int, kind: str, shape: tuple[int, ...]) -> h5py.Group:
    group = f.create_group(f"layer/{index}")
    group.create_dataset("type", data=np.array([kind.encode()], "S10"))
    group.create_dataset("shape", data=np.asarray(shape, np.int64))
    return group


def _write_layer(group: h5py.Group, layer: IntegerLayer) -> None:
    group.create_dataset("weight", data=layer.weight.astype(np.float32))
    if layer.recurrent is not None:
        group.create_dataset("weight_rec", data=layer.recurrent.astype(np.float32))
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

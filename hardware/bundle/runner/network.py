"""The network in the chip's integers, event by event, in numpy.

A step of a neuron with synaptic sum a, all numbers integers::

    u <- trunc(u * (4096 - iDecay) / 4096) + 64 * a
    v <- trunc(v * (4096 - vDecay) / 4096) + u + 64 * bias      saturates at +-(2^23 - 1)
    spike where v > 64 * vThMant, then v <- 0; u is kept

That is Lava's fixed-point model of Loihi's neuron, here without its lag of one step a layer. The numbers stand in
floating point, which holds them exactly: states and products stay below 2^53, sums below 2^24 in single precision.

Work follows the spikes: a convolution is computed only at the positions that an active pixel reaches, a dense layer
adds up the rows of the inputs that spiked, and a layer whose neurons are all at zero costs nothing until something
arrives.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .files import Problem, read_json
from .synapses import Conv, Dense, Sums

SHIFT = 64.0
STATE_LIMIT = float(1 << 23)
DECAY_UNIT = 4096
#: The largest threshold: a layer that has it everywhere never spikes, its membrane is read instead.
THRESHOLD_MAX = 131_071
NO_SPIKES = np.empty(0, np.int64)


class Neurons:
    """The neurons of one layer: currents ``u`` and membranes ``v``, ``[channels, positions]``."""

    def __init__(self, name: str, shape: tuple[int, ...], values: dict[str, np.ndarray]) -> None:
        self.name, self.size = name, (shape[0], math.prod(shape[1:]))
        i_decay, v_decay, self.threshold, self.bias = (values[n] for n in ("iDecay", "vDecay", "vThMant", "bias"))
        self.spiking = bool((self.threshold < THRESHOLD_MAX).any())
        self.keep_u, self.keep_v = ((DECAY_UNIT - decay) / DECAY_UNIT for decay in (i_decay, v_decay))
        self.carries, self.biased = bool(self.keep_u.any()), bool(self.bias.any())
        self.threshold, self.bias = self.threshold * SHIFT, self.bias * SHIFT
        self.reset()

    def reset(self) -> None:
        """Silence."""
        self.u, self.v = np.zeros(self.size), np.zeros(self.size)
        self.resting = not self.biased

    def step(self, sums: Sums | None) -> np.ndarray:
        """One step; the neurons that spike (flat, CHW). Raises :class:`Problem` where a value is too large."""
        if sums is None and self.resting:
            return NO_SPIKES
        u, v = self.u, self.v
        if self.carries:
            u *= self.keep_u
            np.trunc(u, out=u)
        else:
            u[...] = 0
        if sums is not None:
            arrived = u[:, sums.at] + sums.values * SHIFT
            if arrived.max() > STATE_LIMIT or arrived.min() <= -STATE_LIMIT:
                raise self._too_large("a current wrapped around")
            u[:, sums.at] = arrived
        v *= self.keep_v
        np.trunc(v, out=v)
        v += u
        if self.biased:
            v += self.bias
        if not self.spiking:
            if np.abs(v).max() >= self.threshold.min():
                raise self._too_large("a membrane left the range of a readout")
            fired = NO_SPIKES
        else:
            np.clip(v, 1 - STATE_LIMIT, STATE_LIMIT - 1, out=v)
            fired = np.flatnonzero(v > self.threshold)
            v.reshape(-1)[fired] = 0
        self.resting = sums is None and not self.biased and not u.any() and not v.any()
        return fired

    def _too_large(self, what: str) -> Problem:
        return Problem(f"layer {self.name}", what, "This recording is outside of what the network was calibrated on")


class Network:
    """The network of a bundle: netx file and manifest, with its state.

    ``manifest``: how it is fed and read; ``input_shape`` (C, H, W); ``names`` and ``neurons`` of its layers.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.manifest = path, read_json(path.with_name(path.name + ".json"))
        channels, height, width = (int(n) for n in self.manifest["input_shape"])
        self.input_shape = channels, height, width
        self.names = [str(layer["name"]) for layer in self.manifest["layers"]]
        graded = self.manifest["input_mode"] == "graded"
        try:
            with h5py.File(path, "r") as file:
                self.layers = _read(file, self.names, self.input_shape, self.manifest["payload_max"] if graded else 1)
        except (OSError, KeyError, ValueError, TypeError, IndexError) as e:
            raise Problem(path.name, f"cannot be read as a netx file ({e})", "Copy the bundle again") from e
        self.neurons = [neurons for _, neurons in self.layers]

    def reset(self) -> None:
        """Start again with silent neurons."""
        for neurons in self.neurons:
            neurons.reset()

    def step(self, active: np.ndarray, payload: np.ndarray | None) -> list[np.ndarray]:
        """One step on the active input neurons (flat, CHW); the spiking neurons of every layer."""
        spikes = []
        for synapses, neurons in self.layers:
            fired = neurons.step(synapses.sums(active, payload) if len(active) else None)
            spikes.append(fired)
            active, payload = fired, None
        return spikes

    @property
    def readout(self) -> np.ndarray:
        """Membranes of the last layer, int64 ``[R]``."""
        return self.neurons[-1].v.ravel().astype(np.int64)


def _read(
    file: h5py.File, names: list[str], shape: tuple[int, ...], largest: int
) -> list[tuple[Conv | Dense, Neurons]]:
    layers: list[tuple[Conv | Dense, Neurons]] = []
    for index in range(len(file["layer"])):
        group = file[f"layer/{index}"]
        kind = group["type"][0].decode("ascii")
        if kind in ("input", "flatten"):
            continue
        if kind not in ("conv", "dense") or "delay" in group:
            what = f"layer {index} is of a kind ('{kind}', or with delays) that this program does not run"
            raise Problem(Path(file.filename).name, what, "Run it with snnface simulate")
        weight = group["weight"][()].astype(np.int64)
        largest_sum = int(np.abs(weight).reshape(len(weight), -1).sum(1).max()) * (1 if layers else largest)
        dtype: type[np.floating[Any]] = np.float32 if largest_sum < 1 << 24 else np.float64
        synapses: Conv | Dense
        if kind == "conv":
            out = tuple(int(n) for n in group["shape"][()])
            geometry = [_pair(group[n][()]) for n in ("stride", "padding", "dilation")]
            synapses = Conv(weight, shape, out, geometry, int(group["groups"][()]), dtype)
        else:
            out = (len(weight),)
            synapses = Dense(weight.reshape(len(weight), -1), dtype)
        values = {n: _parameter(group["neuron"][n][()], out) for n in ("iDecay", "vDecay", "vThMant")}
        values["bias"] = _parameter(group["bias"][()] if "bias" in group else np.zeros(1), out)
        layers.append((synapses, Neurons(names[len(layers)], out, values)))
        shape = out
    return layers


def _pair(value: np.ndarray) -> tuple[int, int]:
    y, x = np.broadcast_to(value, 2)
    return int(y), int(x)


def _parameter(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """One number, one a channel or one a neuron (in the file: W, H, C), to broadcast to [channels, positions]."""
    value = np.asarray(value, np.int64)
    if value.size in (1, shape[0]):
        return value.reshape(-1, 1)
    return value.transpose().reshape(shape[0], -1)

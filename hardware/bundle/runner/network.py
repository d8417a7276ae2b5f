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
from typing import Any, NamedTuple

import h5py
import numpy as np

from .files import Problem, read_json

SHIFT = 64.0
STATE_LIMIT = float(1 << 23)
DECAY_UNIT = 4096
#: The largest threshold: a layer that has it everywhere never spikes, its membrane is read instead.
THRESHOLD_MAX = 131_071
NO_SPIKES = np.empty(0, np.int64)


class Sums(NamedTuple):
    """Synaptic sums ``[channels, n]`` that arrive at n positions ``at`` (a slice where it is all of them)."""

    at: Any
    values: np.ndarray


class Conv:
    """A convolution, pairs (y, x). ``weight``: ``[O, I/groups, kH, kW]`` as torch has it."""

    def __init__(
        self,
        weight: np.ndarray,
        shape_in: tuple[int, ...],
        shape_out: tuple[int, ...],
        geometry: list[tuple[int, int]],
        groups: int,
        dtype: type[np.floating[Any]],
    ) -> None:
        strides, paddings, dilations = geometry
        self.weight = weight.reshape(groups, len(weight) // groups, -1).astype(dtype)
        channels, height, width = shape_in
        self.pixels = height * width
        padded = height + 2 * paddings[0], width + 2 * paddings[1]
        self.buffer = np.zeros((channels, padded[0] * padded[1]), dtype)
        #: Of every input neuron its place in the padded buffer, of every output position the places it reads.
        rows = (np.arange(height)[:, None] + paddings[0]) * padded[1] + np.arange(width) + paddings[1]
        self.place = (np.arange(channels)[:, None] * self.buffer.shape[1] + rows.ravel()).ravel()
        reads = [
            np.arange(n)[:, None] * s + np.arange(k) * d
            for n, s, k, d in zip(shape_out[1:], strides, weight.shape[2:], dilations, strict=True)
        ]
        window = reads[0][:, None, :, None] * padded[1] + reads[1][None, :, None, :]
        self.window = window.reshape(math.prod(shape_out[1:]), -1).T.copy()
        axes = [_reached(r - p, n) for r, p, n in zip(reads, paddings, shape_in[1:], strict=True)]
        self.reaches = _positions(axes, shape_out[2], len(self.window.T))

    def sums(self, active: np.ndarray, payload: np.ndarray | None) -> Sums | None:
        """What the input neurons ``active`` (flat, CHW) send, None where it reaches nobody.

        ``payload``: integers, or None for spikes.
        """
        reached = np.zeros(self.window.shape[1] + 1, bool)
        reached[self.reaches[active % self.pixels]] = True
        at = np.flatnonzero(reached[:-1])
        if not len(at):
            return None
        flat, place = self.buffer.reshape(-1), self.place[active]
        flat[place] = 1 if payload is None else payload
        columns = self.buffer[:, self.window[:, at]].reshape(len(self.weight), -1, len(at))
        flat[place] = 0
        return Sums(at, np.matmul(self.weight, columns).reshape(-1, len(at)))


def _reached(reads: np.ndarray, size: int) -> np.ndarray:
    """int ``[size, most]``: outputs along one axis that read each input position, −1 where there are fewer.

    ``reads``: ``[outputs, kernel]`` input positions.
    """
    outputs, taps = np.nonzero((reads >= 0) & (reads < size))
    position = reads[outputs, taps]
    order = np.argsort(position, kind="stable")
    position, outputs = position[order], outputs[order]
    rank = np.arange(len(position)) - np.searchsorted(position, position)
    table = np.full((size, int(rank.max(initial=0)) + 1), -1)
    table[position, rank] = outputs
    return table


def _positions(axes: list[np.ndarray], width: int, none: int) -> np.ndarray:
    """Two axes' tables as one: output positions of each pixel ``[H*W, most]``, ``none`` where there are fewer."""
    rows, columns = axes[0][:, None, :, None], axes[1][None, :, None, :]
    table = np.where((rows >= 0) & (columns >= 0), rows * width + columns, none)
    return table.reshape(len(axes[0]) * len(axes[1]), -1)


class Dense:
    """A dense layer; ``weight``: ``[O, I]``."""

    def __init__(self, weight: np.ndarray, dtype: type[np.floating[Any]]) -> None:
        self.rows = np.ascontiguousarray(weight.T.astype(dtype))

    def sums(self, active: np.ndarray, payload: np.ndarray | None) -> Sums:
        """As :meth:`Conv.sums`; there is one position."""
        rows = self.rows[active]
        total = rows.sum(0) if payload is None else payload.astype(rows.dtype) @ rows
        return Sums(slice(None), total[:, None])


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

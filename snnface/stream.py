"""A network fed step by step, as a camera delivers events; the same answers as the batch backend gives.

State is explicit: it can be taken, put back and reset. No layer lags. Synapses work only where events and spikes
are; neurons are updated in one pass a layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from snnface import checkpoint
from snnface.errors import InputError
from snnface.network import Head, Network, SynapticLayer
from snnface.scatter import age_cells, fire, scatter_conv, scatter_dense


class Tick(NamedTuple):
    """What one step gave: ``answers`` of every head (name → float ``[size]``), ``spikes`` of every spiking layer."""

    answers: dict[str, np.ndarray]
    spikes: list[int]


@dataclass(frozen=True)
class StreamState:
    """Everything that a stream remembers: steps so far, current and membrane of each layer ``[*shape]``."""

    step: int
    u: tuple[np.ndarray, ...]
    v: tuple[np.ndarray, ...]

    def check(self, shapes: list[tuple[int, ...]]) -> None:
        """Raise :class:`InputError` unless this is a state of layers of these shapes."""
        if [a.shape for a in self.u] != shapes or [a.shape for a in self.v] != shapes:
            raise InputError("stream state", "belongs to another network", "Restore what this network's stream gave")


class Streaming(Protocol):
    """A network that is fed step by step, whatever computes it."""

    input_shape: tuple[int, int, int]
    step_us: int
    heads: Mapping[str, Head]

    def tick(self, events: np.ndarray) -> Tick:
        """Take the events of the next step (structured, t in µs from the stream's start) and answer."""

    def state(self) -> StreamState:
        """A copy of the state."""

    def restore(self, state: StreamState) -> None:
        """Go on from a state that :meth:`state` gave."""

    def reset(self) -> None:
        """Start again at step 0 with silent neurons."""


class Stream:
    """Streams a float :class:`Network`; ``dtype``: float32 or float64."""

    def __init__(self, network: Network, dtype: type[np.floating[Any]] = np.float32) -> None:
        self.network, self.dtype = network, dtype
        self.input_shape, self.step_us, self.heads = network.input_shape, network.step_us, network.heads
        self._shapes = [layer.shape_out for layer in network.layers]
        before = [network.input_shape, *self._shapes[:-1]]
        self._layers = [_Layer(layer, shape, dtype) for layer, shape in zip(network.layers, before, strict=True)]
        self._sums = np.full(math.prod(network.input_shape), -1.0)
        self._cells = np.empty(math.prod(network.input_shape), np.int64)
        self._step = 0

    def reset(self) -> None:
        """Start again at step 0 with silent neurons."""
        self._step = 0
        for layer in self._layers:
            layer.u.fill(0)
            layer.v.fill(0)

    def state(self) -> StreamState:
        """A copy of the state."""
        u, v = (tuple(_channels_first(getattr(x, name), x.shape) for x in self._layers) for name in ("u", "v"))
        return StreamState(self._step, u, v)

    def restore(self, state: StreamState) -> None:
        """Go on from a state that :meth:`state` gave; raises :class:`InputError` for another network's."""
        state.check(self._shapes)
        self._step = state.step
        for layer, u, v in zip(self._layers, state.u, state.v, strict=True):
            layer.u[:], layer.v[:] = _channels_last(u).ravel(), _channels_last(v).ravel()

    def tick(self, events: np.ndarray) -> Tick:
        """Take the events of the next step, (step·k, step·(k + 1)] µs from the start, and answer at its end.

        ``events``: structured ``[e]`` with fields t, x, y, p at the network's own size. Raises
        :class:`InputError` for events of another time or outside the input.
        """
        check_step(events, self._step, self.step_us, self.input_shape)
        cells, values = self._input(events)
        counts = []
        for layer in self._layers:
            cells, values = layer.step(cells, values)
            if layer.spiking:
                counts.append(len(cells))
        self._step += 1
        return Tick(read_heads(self._layers[-1].output(cells), self.heads), counts)

    def _input(self, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Active input cells (numbered channels-last) and their values, as :func:`snnface.input.input_spikes`."""
        n = self.network
        t, x, y, p = (events[name].astype(np.int64) for name in "txyp")
        end = (self._step + 1) * n.step_us
        count = age_cells(t, x, y, p, end, n.tau_syn_us, n.input_shape[2], self._sums, self._cells)
        cells = self._cells[:count]
        values = self._sums[cells]
        self._sums[cells] = -1
        if n.input_mode == "graded":
            values = np.round(values * n.payload_one).clip(max=n.payload_max) / n.payload_one
        elif n.input_mode == "unary":
            values = np.ones_like(values)
        return cells, values.astype(self.dtype)


class _Layer:
    """One layer's weights, channels-last, and its neurons' state as flat arrays ``[N]``."""

    def __init__(self, layer: SynapticLayer, before: tuple[int, ...], dtype: type[np.floating[Any]]) -> None:
        self.layer, self.shape, self.spiking = layer, layer.shape_out, layer.spiking
        if layer.kind == "conv":
            grouped = layer.weight.reshape(layer.groups, -1, *layer.weight.shape[1:])
            weight = grouped.transpose(0, 2, 3, 4, 1).reshape(-1, *layer.weight.shape[2:], grouped.shape[1])
        else:
            weight = _channels_last(layer.weight.reshape(-1, *before), 1).reshape(len(layer.weight), -1).T
        self.weight = np.ascontiguousarray(weight, dtype)
        threshold = layer.threshold if layer.spiking else math.inf
        self.parameters = dtype(layer.alpha), dtype(layer.beta), dtype(threshold)
        self.u, self.v, self.x = (np.zeros(layer.neurons, dtype) for _ in range(3))
        self._spikes = np.empty(layer.neurons, np.int64)
        self._ones = np.ones(layer.neurons, dtype)

    def step(self, cells: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sources that are active and their values → the neurons that spike, and ones."""
        a = self.layer
        if a.kind == "conv":
            out = self.x.reshape(*self.shape[1:], self.shape[0])
            group_in = a.weight.shape[1]
            scatter_conv(cells, values, self.weight, a.shape_in[2], a.stride, a.padding, a.dilation, group_in, out)
        else:
            scatter_dense(cells, values, self.weight, self.x)
        count = fire(self.x, self.u, self.v, *self.parameters, self._spikes)
        return self._spikes[:count], self._ones[:count]

    def output(self, spikes: np.ndarray) -> np.ndarray:
        """What the heads read, ``[N]`` channels first: the membrane, or the spikes of a spiking layer."""
        values = self.v
        if self.spiking:
            values = np.zeros_like(self.v)
            values[spikes] = 1
        return _channels_first(values, self.shape).ravel()


def _channels_first(flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A copy of ``[N]`` channels-last as ``shape``, (C, H, W) or (N,)."""
    return flat.reshape(*shape[1:], shape[0]).transpose(-1, *range(len(shape) - 1)).copy()


def _channels_last(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """``[..., C, H, W]`` with C at ``axis`` → ``[..., H, W, C]``."""
    return np.moveaxis(values, axis, -1)


def read_heads(readout: np.ndarray, heads: Mapping[str, Head]) -> dict[str, np.ndarray]:
    """Answers of one step from the readout's membranes ``[R]``: membrane · scale + offset."""
    return {name: readout[h.start : h.stop] * h.scale + h.offset for name, h in heads.items()}


def check_step(events: np.ndarray, step: int, step_us: int, shape: tuple[int, int, int]) -> None:
    """Raise :class:`InputError` unless all events are of step number ``step`` (the first takes t = 0 too) and fit
    the input's shape."""
    if len(events) == 0:
        return
    start, first, last = step * step_us, int(events["t"].min()), int(events["t"].max())
    if first < start or (first == start and step) or last > start + step_us:
        raise InputError(
            f"step {step}",
            f"takes {start} < t ≤ {start + step_us} µs and was given t = {first} … {last} µs",
            "Cut the stream at multiples of the step",
        )
    _, height, width = shape
    for name, size in (("x", width), ("y", height), ("p", 2)):
        low, high = int(events[name].min()), int(events[name].max())
        if low < 0 or high >= size:
            what = f"has events with {name} = {low} … {high}, the network takes 0 … {size - 1}"
            raise InputError(f"step {step}", what, "Scale the events down to its size")


def open_stream(path: str | Path) -> Streaming:
    """A stream of a network file, by what is registered for its suffix in the group ``snnface.streams``."""
    suffix = Path(path).suffix.removeprefix(".") or "safetensors"
    found = {e.name: e for e in entry_points(group="snnface.streams")}
    if suffix not in found:
        known = ", ".join(f".{name}" for name in sorted(found))
        raise InputError(path, "is not a network that can be streamed", f"Give a file that ends in {known}")
    return found[suffix].load()(path)


def open_checkpoint(path: str | Path) -> Stream:
    """A stream of a trained encoder."""
    return Stream(checkpoint.load(path)[0].to_network())

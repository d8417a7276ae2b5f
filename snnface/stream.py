"""A network fed step by step, as a camera delivers events; the same answers as the batch backend gives.

State is explicit: it can be taken, put back and reset. No layer lags. The work is done by the compiled engine, only
where events and spikes are, or without one by a dense step.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from snnface import checkpoint
from snnface.dense_stream import DenseState
from snnface.engine import streams
from snnface.engine.library import library
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, pack
from snnface.heads import settled
from snnface.network import Head, Network


class Tick(NamedTuple):
    """What one step gave: ``answers`` of every head (name → float ``[size]``), ``spikes`` of every spiking layer."""

    answers: dict[str, np.ndarray]
    spikes: list[int]


@dataclass(frozen=True)
class StreamState:
    """Everything that a stream remembers: steps so far, current and membrane of each layer ``[*shape]``.

    A layer without current decay (α = 0) carries no current on: its ``u`` is zero.
    """

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
    """Streams a float :class:`Network`; ``dtype``: float32 or float64.

    Single precision runs in the compiled engine where there is one: a step costs what happens in it. Otherwise every
    step goes over all neurons (:mod:`snnface.dense_stream`).
    """

    def __init__(self, network: Network, dtype: type[np.floating[Any]] = np.float32) -> None:
        self.network, self.dtype = network, dtype
        self.input_shape, self.step_us, self.heads = network.input_shape, network.step_us, network.heads
        self._shapes = [layer.shape_out for layer in network.layers]
        self._spiking = [i for i, layer in enumerate(network.layers) if layer.spiking]
        engine = library() if dtype is np.float32 else None
        self._weights = None if engine is None else streams.float_weights(engine, network)
        self.reset()

    def another(self) -> Stream:
        """A silent stream of the same network, which shares its weights."""
        other = copy.copy(self)
        other.reset()
        return other

    @property
    def state_bytes(self) -> int:
        """Bytes of the state that every stream has for itself."""
        if self._weights is not None:
            return self._weights.state_bytes
        return sum(2 * layer.neurons for layer in self.network.layers) * np.dtype(self.dtype).itemsize

    def reset(self) -> None:
        """Start again at step 0 with silent neurons."""
        self._step = 0
        self._state: streams.State | DenseState = (
            DenseState(self.network, self.dtype) if self._weights is None else streams.State(self._weights)
        )

    def state(self) -> StreamState:
        """A copy of the state."""
        return StreamState(*self._state.get())

    def restore(self, state: StreamState) -> None:
        """Go on from a state that :meth:`state` gave; raises :class:`InputError` for another network's."""
        state.check(self._shapes)
        self._step = state.step
        self._state.set(state.step, state.u, state.v)

    def tick(self, events: np.ndarray) -> Tick:
        """Take the events of the next step, (step·k, step·(k + 1)] µs from the start, and answer at its end.

        ``events``: structured ``[e]`` with fields t, x, y, p at the network's own size. Raises
        :class:`InputError` for events of another time or outside the input.
        """
        feed(self._state, events, self._step, self.step_us, self.input_shape)
        self._step += 1
        counts = self._state.counts.tolist()
        return Tick(read_heads(self._state.readout, self.heads, self._step), [counts[i] for i in self._spiking])


class _State(Protocol):
    def tick(self, events: np.ndarray) -> bool: ...


def feed(state: _State, events: np.ndarray, step: int, step_us: int, shape: tuple[int, int, int]) -> None:
    """Give a state the events of its next step; raise :class:`InputError` as :func:`check_step`."""
    if not isinstance(state, streams.State) or events.dtype != EVENT_DTYPE:
        check_step(events, step, step_us, shape)
        events = pack(*(events[name] for name in "txyp"))
    if not state.tick(events):
        check_step(events, step, step_us, shape)
        raise AssertionError("the engine refused events that are of its step and place")


def read_heads(readout: np.ndarray, heads: Mapping[str, Head], steps: int) -> dict[str, np.ndarray]:
    """Answers from the readout's membranes ``[R]`` after ``steps`` steps, as :func:`snnface.heads.decode` gives."""
    answers = {}
    for name, head in heads.items():
        membrane = readout[head.start : head.stop]
        if head.settling is not None:
            membrane = membrane / settled(head.settling, torch.tensor(steps)).numpy().astype(membrane.dtype)
        answers[name] = membrane * head.scale + head.offset
    return answers


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

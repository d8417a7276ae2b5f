"""A network fed step by step, as a camera delivers events; the same answers as the batch backend gives.

State is explicit: it can be taken, put back and reset. No layer lags. The first layer works only where events
are; deeper ones are dense, and are skipped where nothing spiked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from snnface import checkpoint
from snnface.batch import EventBatch, collate_events
from snnface.errors import InputError
from snnface.forward import Layer, network_layers
from snnface.heads import decode
from snnface.input import input_spikes
from snnface.network import Head, Network
from snnface.neuron import LifState, integrate, lif
from snnface.synapse import from_events, from_spikes


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
    """Streams a float :class:`Network` in torch; ``dtype`` float32 or float64."""

    def __init__(self, network: Network, dtype: torch.dtype = torch.float32) -> None:
        self.network, self.dtype = network, dtype
        self.input_shape, self.step_us, self.heads = network.input_shape, network.step_us, network.heads
        self._layers = network_layers(network, dtype)
        self.reset()

    def reset(self) -> None:
        """Start again at step 0 with silent neurons."""
        self._step = 0
        shapes = [(1, *layer.shape_out) for layer in self.network.layers]
        self._states = [LifState(torch.zeros(s, dtype=self.dtype), torch.zeros(s, dtype=self.dtype)) for s in shapes]

    def state(self) -> StreamState:
        """A copy of the state."""
        u, v = (tuple(np.array(getattr(s, name)[0]) for s in self._states) for name in ("u", "v"))
        return StreamState(self._step, u, v)

    def restore(self, state: StreamState) -> None:
        """Go on from a state that :meth:`state` gave; raises :class:`InputError` for another network's."""
        shapes = [layer.shape_out for layer in self.network.layers]
        if [a.shape for a in state.u] != shapes or [a.shape for a in state.v] != shapes:
            raise InputError("stream state", "belongs to another network", "Restore what this network's stream gave")
        self._step = state.step
        self._states = [
            LifState(*(torch.as_tensor(a, dtype=self.dtype)[None].clone() for a in pair))
            for pair in zip(state.u, state.v, strict=True)
        ]

    @torch.no_grad()
    def tick(self, events: np.ndarray) -> Tick:
        """Take the events of the next step, (step·k, step·(k + 1)] µs from the start, and answer at its end.

        ``events``: structured ``[e]`` with fields t, x, y, p at the network's own size. Raises
        :class:`InputError` for events of another time.
        """
        n = self.network
        batch = one_step(events, self._step, n.step_us, n.input_shape)
        cells = input_spikes(
            batch, n.step_us, n.tau_syn_us, n.input_mode, n.payload_one, n.payload_max, 1, self.dtype
        )
        spikes: Tensor | None = None
        counts: list[int] = []
        for i, layer in enumerate(self._layers):
            if spikes is None:
                x = from_events(cells, layer.weight, layer.conv)
            elif counts[-1]:
                x = from_spikes(spikes, layer.weight, layer.conv)
            else:
                x = torch.zeros_like(self._states[i].u)[None]
            spikes, self._states[i] = _neurons(x, layer, self._states[i])
            if layer.spiking:
                counts.append(int(torch.count_nonzero(spikes)))
        self._step += 1
        assert spikes is not None
        answers = decode(spikes.flatten(2), self.heads)
        return Tick({name: a[0, 0].numpy() for name, a in answers.items()}, counts)


def _neurons(x: Tensor, layer: Layer, state: LifState) -> tuple[Tensor, LifState]:
    if layer.spiking:
        return lif(x, layer.neuron, state)
    return integrate(x, layer.neuron.alpha, layer.neuron.beta, state)


def one_step(events: np.ndarray, step: int, step_us: int, shape: tuple[int, int, int]) -> EventBatch:
    """The events of step number ``step`` as a clip of one step.

    The first step takes t = 0 too. Raises :class:`InputError` where an event is of another step.
    """
    start = step * step_us
    local = events.copy()
    local["t"] -= start
    if len(local):
        first, last = int(local["t"].min()), int(local["t"].max())
        if first < 0 or (first == 0 and step) or last > step_us:
            raise InputError(
                f"step {step}",
                f"takes {start} < t ≤ {start + step_us} µs and was given t = {first + start} … {last + start} µs",
                "Cut the stream at multiples of the step",
            )
    return collate_events([local], [step_us], shape[2], shape[1])


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

"""An exported network fed step by step in the chip's integer arithmetic, behind the interface of ``snnface.stream``.

Equal to :mod:`snnface.hardware.integers.fixed_point` in every spike, current and voltage. The compiled engine does
the work where there is one and no layer's sums can leave 24 bits; else the simulator itself.
"""

from __future__ import annotations

import copy
import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from snnface.batch import collate_events
from snnface.engine import streams
from snnface.engine.library import library
from snnface.errors import InputError
from snnface.hardware.integers.fixed_point import check_range, payloads, simulator
from snnface.hardware.integers.native import Neurons, neurons
from snnface.hardware.integers.network import STATE_LIMIT, STATE_SHIFT, Host, IntegerLayer, IntegerNetwork
from snnface.hardware.netx_files.manifest import load
from snnface.stream import StreamState, Tick, feed, read_heads


class FixedStream:
    """Streams an :class:`IntegerNetwork` that has its manifest, without layer lag; states are exact integers."""

    def __init__(self, network: IntegerNetwork, where: object = "network") -> None:
        if network.host is None or len(network.input_shape) != 3:
            raise InputError(where, "has no manifest beside it", "Stream a network that snnface export wrote")
        if not all(map(_plain, network.layers)):
            raise InputError(
                where,
                "has synaptic delays or recurrent weights, and a stream's state does not hold spikes on their way",
                "Use snnface simulate",
            )
        self.network, self.host = network, network.host
        channels, height, width = network.input_shape
        self.input_shape = (channels, height, width)
        self.step_us, self.heads = self.host.step_us, self.host.heads
        self._weights = compiled(network)
        self.reset()

    def another(self) -> FixedStream:
        """A silent stream of the same network, which shares its weights."""
        other = copy.copy(self)
        other.reset()
        return other

    def reset(self) -> None:
        """Start again at step 0 with silent neurons."""
        self._step = 0
        self._state: Compiled | _Simulated = (
            _Simulated(self.network, self.step_us) if self._weights is None else Compiled(self._weights)
        )

    def state(self) -> StreamState:
        """A copy of the state: integer currents and voltages."""
        return StreamState(*self._state.get())

    def restore(self, state: StreamState) -> None:
        """Go on from a state that :meth:`state` gave; raises :class:`InputError` for another network's."""
        state.check([layer.shape_out for layer in self.network.layers])
        self.reset()
        self._step = state.step
        self._state.set(state.step, state.u, state.v)

    def tick(self, events: np.ndarray) -> Tick:
        """Take the events of the next step and answer at its end, as :meth:`snnface.stream.Stream.tick`.

        Raises :class:`InputError` where a current wraps or a readout leaves its range, then and ever after.
        """
        feed(self._state, events, self._step, self.step_us, self.input_shape)
        self._step += 1
        check_range(self.network, *self._state.range())
        last, values = self.network.layers[-1], self._state.readout
        if not last.spiking:
            values = values / (self.host.scales[-1] * (1 << STATE_SHIFT))
        layers = zip(self._state.counts, self.network.layers, strict=True)
        counts = [int(n) for n, layer in layers if layer.spiking]
        return Tick(read_heads(values.astype(np.float32), self.heads, self._step), counts)


class _Simulated:
    """The simulator, one step at a time."""

    def __init__(self, network: IntegerNetwork, step_us: int) -> None:
        self.network, self.simulator, self.step_us = network, simulator(network), step_us
        self.readout, self.counts = np.zeros(0), np.zeros(len(network.layers), np.int64)

    def tick(self, events: np.ndarray) -> bool:
        local = events.copy()
        local["t"] -= self.simulator.time * self.step_us
        batch = collate_events([local], [self.step_us], self.network.input_shape[2], self.network.input_shape[1])
        (block,) = payloads(self.network, batch, 1)
        traces = self.simulator.advance(block)
        self.counts[:] = [t.s.sum() for t in traces]
        last = traces[-1].s[0, 0] if self.network.layers[-1].spiking else self.simulator.neurons[-1].v[0]
        self.readout = last.ravel()
        return True

    def get(self) -> tuple[int, tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        u, v = zip(*((u[0], v[0]) for u, v in self.simulator.states), strict=True)
        return self.simulator.time, u, v

    def set(self, step: int, u: Sequence[np.ndarray], v: Sequence[np.ndarray]) -> None:
        self.simulator.time = step
        for layer, currents, voltages in zip(self.simulator.neurons, u, v, strict=True):
            layer.u[0], layer.v[0] = currents, voltages

    def range(self) -> tuple[np.ndarray, float]:
        return np.array([n.wraps for n in self.simulator.neurons]), self.simulator.neurons[-1].peak_v


class Compiled(streams.State):
    """The engine's state of an integer stream (``src/integer_stream.h``)."""

    def __init__(self, weights: streams.Weights) -> None:
        super().__init__(weights)
        self._range = weights.functions.range
        self._wraps = np.zeros(len(weights.shapes), np.int64)

    def tick(self, events: np.ndarray, spikes: Sequence[np.ndarray] | None = None) -> bool:
        """As any stream's; ``spikes``: of every layer an array of zeros, bool ``shape_out``, that gets ones."""
        return self._tick(events, None if spikes is None else streams.addresses(spikes))

    def range(self) -> tuple[np.ndarray, float]:
        """How often currents wrapped, by layer, and the largest magnitude of the last layer's membranes."""
        return self._wraps, self._range(self.handle, self._wraps.ctypes.data)


def compiled(network: IntegerNetwork) -> streams.Weights | None:
    """A network with its manifest in the engine; None where the engine is missing or cannot say it: synaptic delays,
    recurrent weights, sums that may leave 24 bits."""
    engine = library()
    if engine is None or network.host is None or not all(map(_plain, network.layers)):
        return None
    if any(s.bound >= STATE_LIMIT for s in simulator(network).synapses):
        return None
    return _weights(engine, network, network.host)


def _plain(layer: IntegerLayer) -> bool:
    """Whether all that a layer is sent arrives in the same step."""
    return layer.delay is None and layer.recurrent is None


def _weights(engine: ctypes.CDLL, network: IntegerNetwork, host: Host) -> streams.Weights:
    keep: list[np.ndarray] = []
    kept = (Neurons * len(network.layers))(*(neurons(layer, layer.spiking, keep) for layer in network.layers))
    coding = streams.coding(host, network.input_shape, unit=1)
    structures = streams.synapses(network.layers, network.input_shape, keep), kept
    shapes = [layer.shape_out for layer in network.layers]
    return streams.Weights(streams.functions(engine, "integer"), coding, structures, shapes, np.int32)


def open_net(path: str | Path) -> FixedStream:
    """A stream of a netx file with its manifest."""
    return FixedStream(load(path), path)

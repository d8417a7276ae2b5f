"""An exported network fed step by step: the integer simulator behind the interface of ``snnface.stream``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnface.batch import collate_events
from snnface.errors import InputError
from snnface.hardware.fixed_point import check, payloads, simulator
from snnface.hardware.integer import STATE_SHIFT, IntegerNetwork
from snnface.hardware.manifest import load
from snnface.stream import StreamState, Tick, check_step, read_heads


class FixedStream:
    """Streams an :class:`IntegerNetwork` that has its manifest, without layer lag; states are exact integers."""

    def __init__(self, network: IntegerNetwork, where: object = "network") -> None:
        if network.host is None or len(network.input_shape) != 3:
            raise InputError(where, "has no manifest beside it", "Stream a network that snnface export wrote")
        if any(layer.delay is not None for layer in network.layers):
            raise InputError(
                where, "has synaptic delays, which a stream's state does not hold", "Use snnface simulate"
            )
        self.network, self.host = network, network.host
        channels, height, width = network.input_shape
        self.input_shape = (channels, height, width)
        self.step_us, self.heads = self.host.step_us, self.host.heads
        self.reset()

    def reset(self) -> None:
        """Start again at step 0 with silent neurons."""
        self._simulator = simulator(self.network)

    def state(self) -> StreamState:
        """A copy of the state: integer currents and voltages."""
        u, v = zip(*((u[0], v[0]) for u, v in self._simulator.states), strict=True)
        return StreamState(self._simulator.time, u, v)

    def restore(self, state: StreamState) -> None:
        """Go on from a state that :meth:`state` gave; raises :class:`InputError` for another network's."""
        state.check([layer.shape_out for layer in self.network.layers])
        self.reset()
        self._simulator.time = state.step
        for neurons, u, v in zip(self._simulator.neurons, state.u, state.v, strict=True):
            neurons.u[0], neurons.v[0] = u, v

    def tick(self, events: np.ndarray) -> Tick:
        """Take the events of the next step and answer at its end, as :meth:`snnface.stream.Stream.tick`.

        Raises :class:`InputError` where a current wraps or a readout leaves its range.
        """
        step = self._simulator.time
        check_step(events, step, self.step_us, self.input_shape)
        local = events.copy()
        local["t"] -= step * self.step_us
        batch = collate_events([local], [self.step_us], self.input_shape[2], self.input_shape[1])
        (block,) = payloads(self.network, batch, 1)
        traces = self._simulator.advance(block)
        check(self._simulator)
        counts = [int(t.s.sum()) for t, layer in zip(traces, self.network.layers, strict=True) if layer.spiking]
        scale = self.host.scales[-1] * (1 << STATE_SHIFT)
        last = traces[-1].s[0, 0] if self.network.layers[-1].spiking else self._simulator.neurons[-1].v[0] / scale
        return Tick(read_heads(last.ravel().astype(np.float32), self.heads), counts)


def open_net(path: str | Path) -> FixedStream:
    """A stream of a netx file with its manifest."""
    return FixedStream(load(path), path)

"""Lava's fixed-point arithmetic in numpy: every spike, current and voltage as Lava's simulation computes them.

Synapses stand in :mod:`~snnface.hardware.integers.synapses`, neurons in :mod:`~snnface.hardware.integers.neurons`;
here they become a network that runs. :mod:`~snnface.hardware.integers.native` does the same in the compiled engine.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from snnface.errors import InputError
from snnface.hardware.integers.network import STATE_SHIFT, Host, IntegerNetwork
from snnface.hardware.integers.neurons import Neurons
from snnface.hardware.integers.synapses import Synapses

if TYPE_CHECKING:
    from snnface.backends import Trace
    from snnface.batch import EventBatch

_SHIFT = float(1 << STATE_SHIFT)


@dataclass(frozen=True)
class LayerTrace:
    """Spikes (bool), currents and voltages after reset (int32) of one layer, each ``[T, B, *shape_out]``.

    ``u`` and ``v`` are empty where states were not asked for.
    """

    s: np.ndarray
    u: np.ndarray
    v: np.ndarray


class Simulator:
    """An integer network with its state, for B clips at once, advanced by any number of steps.

    ``lag``: False passes spikes on within a step (our runs); True is Lava's timing, where a layer sees at step t
    what the layer before it sent at t − 1. What a layer sends to itself arrives a step later either way.
    ``reset_interval``, ``reset_offset``: netx's options of that name: currents and voltages of layer i (from 0) are
    zero before step t (from 0) where t + 1 ≡ offset + 1 + i modulo the interval; spikes on their way arrive all the
    same.
    ``largest_input``: the largest magnitude that :meth:`advance` will be given (1 for spikes).
    """

    def __init__(
        self,
        network: IntegerNetwork,
        batch: int = 1,
        lag: bool = False,
        reset_interval: int | None = None,
        reset_offset: int = 1,
        largest_input: int = 1,
    ) -> None:
        self.network, self.batch, self.time = network, batch, 0
        self.reset_interval, self.reset_offset = reset_interval, reset_offset
        self.synapses = [Synapses(x, 1 if i else largest_input) for i, x in enumerate(network.layers)]
        self.neurons = [Neurons(x, batch) for x in network.layers]
        self._lag = int(lag)
        self._sent = [np.zeros((batch, *x.shape_out), bool) for x in network.layers]
        self._pending = [
            np.zeros((s.taps[-1][0] + self._lag, batch, *s.layer.shape_out), s.dtype) for s in self.synapses
        ]

    def advance(self, x: np.ndarray, states: Collection[int] = ()) -> list[LayerTrace]:
        """Run T steps on integer input ``[T, B, *input_shape]`` (spikes or payloads); one trace a layer.

        ``states``: the layers whose traces hold currents and voltages too (8 bytes a neuron and step).
        """
        traces = []
        for i, neurons in enumerate(self.neurons):
            sums, recurrent = self._sums(i, x), self.synapses[i].recurrent
            kept = len(x) if i in states else 0
            trace = LayerTrace(
                np.empty(sums.shape, bool), *(np.empty((kept, *sums.shape[1:]), np.int32) for _ in "uv")
            )
            for t, a in enumerate(sums):
                if self.reset_interval and (self.time + t - self.reset_offset - i) % self.reset_interval == 0:
                    neurons.reset()
                if recurrent is not None:
                    a = a + self._sent[i] @ recurrent
                trace.s[t] = self._sent[i] = neurons.step(a)
                if kept:
                    trace.u[t], trace.v[t] = neurons.u, neurons.v
            x = trace.s
            traces.append(trace)
        self.time += len(x)
        return traces

    def _sums(self, i: int, x: np.ndarray) -> np.ndarray:
        """Synaptic sums ``[T, B, *shape_out]`` that arrive in these T steps; later ones stay pending."""
        synapses, steps = self.synapses[i], len(x)
        flat = x.reshape(steps * self.batch, *synapses.layer.shape_in)
        shape = (steps, self.batch, *synapses.layer.shape_out)
        if len(self._pending[i]) == 0:
            return synapses.sums(flat, synapses.taps[0][1]).reshape(shape)
        sums = np.concatenate([self._pending[i], np.zeros(shape, synapses.dtype)])
        for delay, weight in synapses.taps:
            start = delay + self._lag
            sums[start : start + steps] += synapses.sums(flat, weight).reshape(shape)
        self._pending[i] = sums[steps:]
        return sums[:steps]

    @property
    def wraps(self) -> dict[str, int]:
        """How often currents wrapped, by layer; empty where none did."""
        return {x.name: n.wraps for x, n in zip(self.network.layers, self.neurons, strict=True) if n.wraps}

    @property
    def states(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Currents and voltages of every layer now, int64 ``[B, *shape_out]``."""
        return [(n.u.astype(np.int64), n.v.astype(np.int64)) for n in self.neurons]


def payloads(network: IntegerNetwork, batch: EventBatch, steps: int | None = None) -> Iterator[np.ndarray]:
    """The chip's input for a batch, as blocks int64 ``[t, B, 2, H, W]`` of up to 16 steps.

    Raises :class:`InputError` where the network has no manifest or the batch another size.
    """
    from snnface.input import coded

    host = _host(network)
    if (2, batch.height, batch.width) != network.input_shape:
        raise InputError(
            "input", f"is {batch.width}x{batch.height}, the network takes {network.input_shape}", "Convert it first"
        )
    one = host.payload_one if host.input_mode == "graded" else 1
    spikes = coded(batch, host, steps)
    index, value = spikes.index.numpy(), np.rint(spikes.value.numpy() * one).astype(np.int64)
    frame = math.prod(spikes.shape[1:])
    for start in range(0, spikes.shape[0], 16):
        stop = min(start + 16, spikes.shape[0])
        first, last = np.searchsorted(index, (start * frame, stop * frame))
        block = np.zeros((stop - start, *spikes.shape[1:]), np.int64)
        block.reshape(-1)[index[first:last] - start * frame] = value[first:last]
        yield block


def largest_input(network: IntegerNetwork) -> int:
    """The largest number that :func:`payloads` gives; raises as it does where there is no manifest."""
    host = _host(network)
    return host.payload_max if host.input_mode == "graded" else 1


def simulator(network: IntegerNetwork, batch: int = 1) -> Simulator:
    """A simulator without layer lag, for the input that the network's manifest describes."""
    return Simulator(network, batch, largest_input=largest_input(network))


def run(network: IntegerNetwork | str | Path, batch: EventBatch, steps: int | None = None) -> Trace:
    """Run a batch of clips through a quantised network (or a netx file beside its manifest), without layer lag.

    The readout of the answer is in float units. Raises :class:`InputError` where a current wraps, a readout
    neuron leaves its range, or the file has no manifest.
    """
    import torch

    from snnface.backends import Trace
    from snnface.hardware.netx_files.manifest import load

    network = network if isinstance(network, IntegerNetwork) else load(network)
    sim = simulator(network, batch.size)
    last = len(network.layers) - 1
    blocks = [sim.advance(block, states=[last]) for block in payloads(network, batch, steps)]
    check(sim)
    spikes = [torch.from_numpy(np.concatenate([b[i].s for b in blocks])) for i in range(last + 1)]
    if network.layers[last].spiking:
        return Trace(spikes, spikes[last].flatten(2).float())
    scale = _host(network).scales[-1] * _SHIFT
    readout = np.concatenate([b[last].v for b in blocks]) / scale
    return Trace(spikes[:last], torch.from_numpy(readout.astype(np.float32)))


def check(sim: Simulator) -> None:
    """:func:`check_range` of a simulator so far."""
    check_range(sim.network, [n.wraps for n in sim.neurons], sim.neurons[-1].peak_v)


def check_range(network: IntegerNetwork, wraps: Iterable[int], peak: float) -> None:
    """Raise :class:`InputError` where a run left the range in which the integer network means the float one.

    ``wraps``: how often currents wrapped, by layer; ``peak``: largest magnitude of the last layer's membranes.
    """
    fix = "Export again with this data as --calibration"
    for layer, count in zip(network.layers, wraps, strict=True):
        if count:
            raise InputError(f"layer {layer.name}", f"its current wrapped {count} times", fix)
    last = network.layers[-1]
    if not last.spiking and peak >= int(last.threshold.min()) << STATE_SHIFT:
        what = f"a readout membrane reached {peak:.0f}, beyond 131,071·64"
        raise InputError(f"layer {last.name}", what, fix)


def _host(network: IntegerNetwork) -> Host:
    if network.host is None:
        raise InputError("network", "has no manifest that says how to feed it", "Keep NAME.net.json beside NAME.net")
    return network.host

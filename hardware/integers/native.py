"""The integer simulator in the compiled engine (``src/integer_run.h``), equal to the one in numpy in every value.

Synapses work where spikes are, neurons where they are not at rest. It takes every network whose sums stay below 2²³;
:func:`fastest` gives the other ones, and machines without the engine, the simulator in numpy.
"""

from __future__ import annotations

import ctypes
import math
import weakref
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from snnface.engine import streams
from snnface.engine.library import library
from snnface.hardware.integers.fixed_point import LayerTrace, Simulator
from snnface.hardware.integers.network import DECAY_UNIT, STATE_LIMIT, IntegerLayer, IntegerNetwork
from snnface.hardware.integers.synapses import Synapses

_pointer, _int, _long = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64


class Neurons(ctypes.Structure):
    """One layer's neurons: ``snn_integer_neurons``."""

    _fields_ = [("spiking", _int), ("by_position", _int * 4), ("parameter", _pointer * 4)]


class _Wires(ctypes.Structure):
    """Single synapses by source: ``snn_integer_wires``."""

    _fields_ = [
        *((name, _pointer) for name in ("first", "delay", "output", "weight")),
        *((name, _int) for name in ("sources", "longest")),
    ]  # fmt: skip


def neurons(layer: IntegerLayer, spiking: bool, keep: list[np.ndarray]) -> Neurons:
    """A layer's neurons in the engine, whose parameters live as long as ``keep``."""
    found = Neurons(spiking)
    # no membrane reaches 2¹⁷ or its negative: thresholds beyond are as good as infinite, and fit 32 bits
    threshold = layer.threshold.clip(-(1 << 18), 1 << 18)
    parameters = DECAY_UNIT - layer.i_decay, DECAY_UNIT - layer.v_decay, threshold, layer.bias
    for i, parameter in enumerate(parameters):
        found.by_position[i] = np.ndim(parameter) == 3 and np.shape(parameter)[1:] != (1, 1)
        shape = layer.shape_out if found.by_position[i] else layer.shape_out[:1]
        values = parameter if found.by_position[i] else np.ravel(parameter)
        found.parameter[i] = streams.address(np.broadcast_to(values, shape), np.int32, keep)
    return found


def fastest(
    network: IntegerNetwork,
    batch: int = 1,
    lag: bool = False,
    reset_interval: int | None = None,
    reset_offset: int = 1,
    largest_input: int = 1,
) -> Simulator | NativeSimulator:
    """The simulator in the engine where there is one that can say this network, else the one in numpy.

    Arguments are those of :class:`snnface.hardware.integers.fixed_point.Simulator`, which raises.
    """
    engine = library()
    bounds = [Synapses(x, 1 if i else largest_input).bound for i, x in enumerate(network.layers)]
    if engine is None or max(bounds) >= STATE_LIMIT:
        return Simulator(network, batch, lag, reset_interval, reset_offset, largest_input)
    return NativeSimulator(engine, network, batch, lag, reset_interval, reset_offset)


class NativeSimulator:
    """Advances B clips as :class:`~snnface.hardware.integers.fixed_point.Simulator` does; no sum reaches 2²³."""

    def __init__(
        self,
        engine: ctypes.CDLL,
        network: IntegerNetwork,
        batch: int = 1,
        lag: bool = False,
        reset_interval: int | None = None,
        reset_offset: int = 1,
    ) -> None:
        self.network, self.batch = network, batch
        self._reset = reset_interval or 0, reset_offset
        self._steps, self._wraps, new, free = _functions(engine)
        keep: list[np.ndarray] = []
        plain = [x if x.delay is None else replace(x, weight=np.zeros_like(x.weight)) for x in network.layers]
        kept = (Neurons * len(plain))(*(neurons(x, True, keep) for x in plain))
        structures = streams.synapses(plain, network.input_shape, keep), kept
        shapes = [x.shape_out for x in network.layers]
        self._weights = streams.Weights(
            streams.functions(engine, "integer"), streams.Coding(), structures, shapes, np.int32
        )
        wires = [(_Wires * len(plain))(*(wire(x, keep) for x in network.layers)) for wire in (_delayed, _recurrent)]
        self._runs = [new(self._weights.handle, lag, *wires) for _ in range(batch)]
        for run in self._runs:
            if not run:
                raise MemoryError("the state of a simulation")
            # the finaliser holds the weights, so that they outlive the run
            weakref.finalize(self, _free, free, self._weights, run)

    def advance(self, x: np.ndarray, states: Collection[int] = ()) -> list[LayerTrace]:
        """Run T steps on integer input ``[T, B, *input_shape]``: one trace a layer, as the simulator's."""
        clips = self.each_clip(x, states)
        if self.batch == 1:
            return [LayerTrace(*(a[:, None] for a in _of(trace))) for trace in next(clips)]
        traces = [self._trace(i, (len(x), self.batch), i in states) for i in range(len(self.network.layers))]
        for b, own in enumerate(clips):
            for trace, found in zip(traces, own, strict=True):
                for to, values in zip(_of(trace), _of(found), strict=True):
                    to[:, b] = values
        return traces

    def each_clip(self, x: np.ndarray, states: Collection[int] = ()) -> Iterator[list[LayerTrace]]:
        """The same, one clip after another (rows of a run lie side by side): traces ``[T, *shape_out]``."""
        for b, run in enumerate(self._runs):
            own = [self._trace(i, (len(x),), i in states) for i in range(len(self.network.layers))]
            self._advance(run, x[:, b], own)
            yield own

    def _trace(self, layer: int, runs: tuple[int, ...], states: bool) -> LayerTrace:
        shape = *runs, *self.network.layers[layer].shape_out
        kept = shape if states else (0, *shape[1:])
        return LayerTrace(np.zeros(shape, bool), np.zeros(kept, np.int32), np.zeros(kept, np.int32))

    def _advance(self, run: int, x: np.ndarray, traces: list[LayerTrace]) -> None:
        at = np.flatnonzero(x)
        step, place = np.divmod(at, x[0].size if len(x) else 1)
        channel, position = np.divmod(place, math.prod(x.shape[2:]))
        order = np.lexsort((channel, position, step))
        first = np.searchsorted(step, np.arange(len(x) + 1)).astype(np.int64)
        value = x.reshape(-1)[at][order].astype(np.float32)
        arrays = first, position[order].astype(np.int32), channel[order].astype(np.int32), value
        states = [(_pointer * len(traces))(*(_at(getattr(t, name)) for t in traces)) for name in "uv"]
        spikes = streams.addresses([t.s for t in traces])
        answer = self._steps(run, len(x), *(a.ctypes.data for a in arrays), *self._reset, spikes, *states)
        if answer == streams.NO_MEMORY:
            raise MemoryError("a step of a simulation")

    @property
    def wraps(self) -> dict[str, int]:
        """How often currents wrapped, by layer; empty where none did."""
        total, found = (np.zeros(len(self.network.layers), np.int64) for _ in range(2))
        for run in self._runs:
            self._wraps(run, found.ctypes.data)
            total += found
        return {x.name: int(n) for x, n in zip(self.network.layers, total, strict=True) if n}


def _of(trace: LayerTrace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return trace.s, trace.u, trace.v


def _at(values: np.ndarray) -> int | None:
    return values.ctypes.data if values.size else None


def _delayed(layer: IntegerLayer, keep: list[np.ndarray]) -> _Wires:
    """All synapses of a layer with delays, from its input."""
    return _Wires() if layer.delay is None else _wires(layer.weight, layer.delay, keep)


def _recurrent(layer: IntegerLayer, keep: list[np.ndarray]) -> _Wires:
    """What a layer sends to itself arrives a step later."""
    if layer.recurrent is None:
        return _Wires()
    return _wires(layer.recurrent, np.ones_like(layer.recurrent), keep)


def _wires(weight: np.ndarray, delay: np.ndarray, keep: list[np.ndarray]) -> _Wires:
    source, output = np.nonzero(weight.T)
    first = np.searchsorted(source, np.arange(weight.shape[1] + 1))
    arrays = delay[output, source], output, weight[output, source]
    places = (streams.address(a, np.int32, keep) for a in arrays)
    return _Wires(streams.address(first, np.int64, keep), *places, weight.shape[1], int(delay.max()))


def _functions(engine: ctypes.CDLL) -> tuple[Any, ...]:
    types = {
        "steps": (_int, _pointer, _long, *[_pointer] * 4, _long, _long, *[_pointer] * 3),
        "wraps": (None, _pointer, _pointer),
        "new": (_pointer, _pointer, _int, _pointer, _pointer),
        "free": (None, _pointer),
    }
    found = []
    for name, (result, *arguments) in types.items():
        function = getattr(engine, f"snn_integer_run_{name}")
        function.restype, function.argtypes = result, arguments
        found.append(function)
    return tuple(found)


def _free(free: Any, weights: streams.Weights, run: int) -> None:
    free(run)

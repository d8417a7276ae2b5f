"""Streams in the compiled engine (``src/stream.h``, ``src/integer_stream.h``): weights once, any number of states."""

from __future__ import annotations

import ctypes
import math
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from snnface import input as input_
from snnface.network import Network, SynapticLayer

MODES = ("exact", "graded", "unary")
"""Input modes as the engine numbers them."""
REFUSED, NO_MEMORY = 1, 2
"""What a tick answers where its events are of another step or place, and where memory has run out."""

_Pair = ctypes.c_int32 * 2
_int, _pointer = ctypes.c_int32, ctypes.c_void_p


class Coding(ctypes.Structure):
    """How events enter: ``snn_stream_coding``."""

    _fields_ = [
        *((name, _int) for name in ("height", "width", "mode", "payload_one", "payload_max", "unit")),
        ("step_us", ctypes.c_int64),
        ("tau_us", ctypes.c_double),
    ]  # fmt: skip


class Synapses(ctypes.Structure):
    """One layer's synapses: ``snn_stream_synapses``."""

    _fields_ = [
        *((name, _int) for name in ("in_c", "in_h", "in_w", "out_c", "out_h", "out_w")),
        *((name, _Pair) for name in ("kernel", "stride", "padding", "dilation")),
        ("groups", _int),
        ("weight", _pointer),
    ]  # fmt: skip


class Lif(ctypes.Structure):
    """One layer's neurons: ``snn_stream_lif``."""

    _fields_ = [("spiking", _int), ("subtract", _int), *((n, _pointer) for n in ("alpha", "beta", "threshold"))]


class Functions(NamedTuple):
    """The C functions of one kind of stream, ``snn_NAME_*``; only integers have a range to keep."""

    network_new: Any
    network_free: Any
    new: Any
    free: Any
    bytes: Any
    tick: Any
    state_get: Any
    state_set: Any
    range: Any = None


class Weights:
    """A network's weights and parameters in the engine; streams share it.

    ``structures``: (synapses, neurons) of each layer, arrays of structures; ``shapes``: of each layer's neurons.
    Raises MemoryError where it does not fit.
    """

    def __init__(
        self,
        functions: Functions,
        coding: Coding,
        structures: tuple[Any, Any],
        shapes: Sequence[tuple[int, ...]],
        dtype: type[np.generic],
    ) -> None:
        self.functions, self.shapes, self.dtype = functions, list(shapes), dtype
        self.handle = functions.network_new(ctypes.byref(coding), len(shapes), *structures)
        if not self.handle:
            raise MemoryError("the network's weights")
        weakref.finalize(self, functions.network_free, self.handle)

    @property
    def state_bytes(self) -> int:
        """Bytes of the state of one stream."""
        return int(self.functions.bytes(self.handle))


class State:
    """The state of one stream of shared :class:`Weights`, silent at first."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.handle = weights.functions.new(weights.handle)
        if not self.handle:
            raise MemoryError("the state of a stream")
        # the finaliser holds the weights, so that they outlive the state
        weakref.finalize(self, _free, weights, self.handle)
        self.readout = np.zeros(math.prod(weights.shapes[-1]), weights.dtype)
        self.counts = np.empty(len(weights.shapes), np.int64)
        self._outputs = self.readout.ctypes.data, self.counts.ctypes.data

    def tick(self, events: np.ndarray) -> bool:
        """Take the events (``EVENT_DTYPE``) of the next step: ``readout`` and ``counts`` (spikes by layer) are its.

        False, with nothing changed, where an event is of another step or outside the input.
        """
        return self._tick(events)

    def _tick(self, events: np.ndarray, *more: Any) -> bool:
        """``more``: arguments that this kind of stream takes besides."""
        events = np.ascontiguousarray(events)
        answer = self.weights.functions.tick(self.handle, events.ctypes.data, len(events), *self._outputs, *more)
        if answer == NO_MEMORY:
            raise MemoryError("a step of a stream")
        return bool(answer != REFUSED)

    def get(self) -> tuple[int, tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Steps so far, and dense currents and membranes of every layer."""
        u, v = (tuple(np.zeros(shape, self.weights.dtype) for shape in self.weights.shapes) for _ in "uv")
        return int(self.weights.functions.state_get(self.handle, addresses(u), addresses(v))), u, v

    def set(self, step: int, u: Sequence[np.ndarray], v: Sequence[np.ndarray]) -> None:
        """Go on from there."""
        u, v = ([np.ascontiguousarray(a, self.weights.dtype) for a in arrays] for arrays in (u, v))
        self.weights.functions.state_set(self.handle, step, addresses(u), addresses(v))


def float_weights(engine: ctypes.CDLL, network: Network) -> Weights:
    """A float network in the engine, in single precision."""
    keep: list[np.ndarray] = []
    neurons = (Lif * len(network.layers))()
    for at, layer in zip(neurons, network.layers, strict=True):
        at.spiking, at.subtract = layer.spiking, layer.reset == "subtract"
        channels = layer.shape_out[0]
        at.alpha = address(np.broadcast_to(layer.alpha, channels), np.float64, keep)
        at.beta = address(np.broadcast_to(layer.beta, channels), np.float64, keep)
        at.threshold = address(np.broadcast_to(layer.threshold, channels), np.float32, keep)
    structures = synapses(network.layers, network.input_shape, keep), neurons
    code = coding(network, network.input_shape, unit=network.payload_one)
    shapes = [layer.shape_out for layer in network.layers]
    return Weights(functions(engine, "stream"), code, structures, shapes, np.float32)


def coding(how: input_.Coding, shape: tuple[int, ...], unit: int) -> Coding:
    """How events enter an input of this shape (2, H, W); payloads are divided by ``unit``."""
    mode, (height, width) = MODES.index(how.input_mode), shape[1:]
    return Coding(height, width, mode, how.payload_one, how.payload_max, unit, how.step_us, how.tau_syn_us)


def synapses(layers: Sequence[SynapticLayer | Any], shape: tuple[int, ...], keep: list[np.ndarray]) -> Any:
    """The layers' synapses as an array of structures; ``shape``: of the network's input. Weights go to ``keep``."""
    made = (Synapses * len(layers))()
    for at, layer in zip(made, layers, strict=True):
        at.in_c, at.in_h, at.in_w = _chw(shape)
        at.out_c, at.out_h, at.out_w = _chw(layer.shape_out)
        conv = layer.kind == "conv"
        at.kernel = _Pair(*(layer.weight.shape[2:] if conv else (at.in_h, at.in_w)))
        for name in ("stride", "padding", "dilation"):
            setattr(at, name, _Pair(*getattr(layer, name)))
        at.groups = layer.groups
        at.weight = address(layer.weight, np.float32, keep)
        shape = layer.shape_out
    return made


def address(values: Any, dtype: Any, keep: list[np.ndarray]) -> int:
    """Where a copy of the values lies, as long as ``keep`` lives."""
    keep.append(np.ascontiguousarray(values, dtype))
    return keep[-1].ctypes.data


def functions(engine: ctypes.CDLL, name: str) -> Functions:
    """The C functions ``snn_NAME_*`` of one kind of stream, with their types."""
    types: dict[str, tuple[Any, ...]] = {
        "network_new": (_pointer, _pointer, _int, _pointer, _pointer),
        "network_free": (None, _pointer),
        "new": (_pointer, _pointer),
        "free": (None, _pointer),
        "bytes": (ctypes.c_int64, _pointer),
        "tick": (_int, _pointer, _pointer, ctypes.c_int64, _pointer, _pointer),
        "state_get": (ctypes.c_int64, _pointer, _pointer, _pointer),
        "state_set": (None, _pointer, ctypes.c_int64, _pointer, _pointer),
    }
    if name == "integer":
        types["tick"] += (_pointer,)
        types["range"] = (_int, _pointer, _pointer)
    found = []
    for key, (result, *arguments) in types.items():
        function = getattr(engine, f"snn_{name}_{key}")
        function.restype, function.argtypes = result, arguments
        found.append(function)
    return Functions(*found)


def _free(weights: Weights, handle: int) -> None:
    weights.functions.free(handle)


def addresses(arrays: Sequence[np.ndarray]) -> Any:
    """Where arrays lie, as an array of pointers."""
    return (_pointer * len(arrays))(*(a.ctypes.data for a in arrays))


def _chw(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (shape[0], 1, 1)

"""The native engine as a backend: all layers and steps in one call, forward and back, where events and spikes are.

Float32 on a CPU. The kernels (``snnface/engine/src``) keep spikes as bits and the states at the beginning of each
32 steps; membranes are computed again on the way back.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from snnface.batch import EventBatch
from snnface.engine import library
from snnface.engine.streams import MODES
from snnface.errors import InputError
from snnface.forward import Layer, Trace, network_layers
from snnface.input import Coding, InputSpikes
from snnface.network import Network, conv_shape
from snnface.synapse import Conv

_SURROGATES = ("fast_sigmoid", "atan", "triangle")
#: Columns and channels of the input.
WIDEST = (1 << 16) - 1
_Pair = ctypes.c_int32 * 2


class _Layer(ctypes.Structure):
    """``snn_layer`` of ``engine/src/layer.h``."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("in_c", "in_h", "in_w", "out_c", "out_h", "out_w")),
        *((name, _Pair) for name in ("kernel", "stride", "padding", "dilation")),
        *((name, ctypes.c_int32) for name in ("groups", "spiking", "subtract", "surrogate", "detach_reset", "learn")),
        ("slope", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("weight", "alpha", "beta", "threshold")),
    )


class Spikes:
    """Spikes of one layer as the engine keeps them, a bit each; ``dense()`` gives the tensor."""

    def __init__(self, kept: _Kept, layer: int, shape: tuple[int, ...]) -> None:
        self._kept, self._layer, self.shape = kept, layer, torch.Size(shape)

    def dense(self) -> Tensor:
        """Float32 ``[T, B, C, H, W]`` or ``[T, B, N]``, 0 and 1, without gradients."""
        out = torch.empty(self.shape)
        self._kept.engine.snn_spikes(self._kept.handle, self._layer, _pointer(out))
        return out


class _Kept:
    """What the engine keeps of a run, given back with the last reference."""

    def __init__(self, engine: ctypes.CDLL, handle: int) -> None:
        self.engine, self.handle = engine, ctypes.c_void_p(handle)

    def __del__(self) -> None:
        self.engine.snn_free(self.handle)


@dataclass(frozen=True)
class _Events:
    """Events or ready cells as int64 columns; ``value`` where they are cells, whose ``t`` is their step."""

    t: Tensor
    x: Tensor
    y: Tensor
    p: Tensor
    offsets: Tensor
    value: Tensor | None
    shape: tuple[int, int, int, int, int]


def run(batch: EventBatch | InputSpikes, coding: Coding, layers: Sequence[Layer], steps: int | None = None) -> Trace:
    """Run a batch through layers, as :func:`snnface.forward.run_reference`; ``spikes`` are :class:`Spikes`,
    and so is the ``readout`` of a last layer that spikes.

    Raises
    ------
    InputError: the engine is not there, or it has no such layer (another device or dtype than float32 on a CPU).
    """
    engine = library.library()
    if engine is None:
        raise InputError("backend native", library.reason(), "Use the backend torch meanwhile")
    reason = unsupported(layers)
    if reason:
        raise InputError("backend native", reason, "Use the backend torch for it")
    events = _cells(batch) if isinstance(batch, InputSpikes) else _events(batch, coding, steps)
    if max(events.shape[2], events.shape[4]) > WIDEST:
        what = f"is {events.shape[4]} pixels wide with {events.shape[2]} channels, the engine counts to {WIDEST}"
        raise InputError("batch", what, "Use the backend torch for it")
    shapes = layer_shapes(events.shape[2:], layers)
    parameters = [
        tensor for layer in layers for tensor in (layer.weight, *(_channels(p, layer) for p in _neuron(layer)))
    ]
    kept: list[_Kept] = []
    readout, *rates = _Network.apply(engine, events, coding, layers, shapes, kept, *parameters)
    spikes = [
        Spikes(kept[0], i, (*events.shape[:2], *shapes[i + 1])) for i, layer in enumerate(layers) if layer.spiking
    ]
    return Trace(spikes, spikes[-1] if layers[-1].spiking else readout, rates)  # type: ignore[arg-type]


def run_network(network: Network, batch: EventBatch, steps: int | None = None) -> Trace:
    """Run a trained network on a batch of clips, without gradients; spikes are dense tensors."""
    with torch.no_grad():
        return run(batch, network, network_layers(network, torch.float32), steps).dense()


def unsupported(layers: Sequence[Layer]) -> str:
    """Why the engine cannot run these layers; empty where it can."""
    for layer in layers:
        if layer.weight.device.type != "cpu" or layer.weight.dtype != torch.float32:
            return f"it computes in float32 on a CPU, not in {layer.weight.dtype} on {layer.weight.device}"
        if layer.neuron.smooth:
            return "it computes spikes, not their smooth primitive"
        if layer.neuron.surrogate.name not in _SURROGATES:
            return f"it does not know the surrogate {layer.neuron.surrogate.name}"
    if len({layer.neuron.truncate for layer in layers}) > 1:
        return "it cuts the gradients of all layers at the same steps"
    return ""


def layer_shapes(input_shape: tuple[int, ...], layers: Sequence[Layer]) -> list[tuple[int, ...]]:
    """Shapes (C, H, W) or (N,) of the input and of every layer's output.

    Raises :class:`InputError` where a layer's weights do not fit what it takes.
    """
    shapes = [tuple(input_shape)]
    for i, layer in enumerate(layers):
        shape = tuple(layer.weight.shape)
        groups = layer.conv.groups if layer.conv else 1
        takes = shapes[-1][0] if layer.conv else math.prod(shapes[-1])
        if len(shape) != (4 if layer.conv else 2) or shape[1] * groups != takes or shape[0] % groups:
            what = f"has weights {shape} in {groups} groups, it takes {shapes[-1]}"
            raise InputError(f"layer {i}", what, "Give weights of that many inputs")
        if layer.conv:
            a = layer.conv
            shapes.append(conv_shape(shapes[-1], shape, a.stride, a.padding, a.dilation))
        else:
            shapes.append(shape[:1])
    return shapes


class _Network(torch.autograd.Function):
    """All layers at once. Tensors: weight, alpha, beta, threshold of each layer; out: readout, rates of each."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        engine: ctypes.CDLL,
        events: _Events,
        coding: Coding,
        layers: Sequence[Layer],
        shapes: list[tuple[int, ...]],
        kept: list[_Kept],
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        steps, clips = events.shape[:2]
        tensors = [p.detach().contiguous() for p in parameters]
        needs = ctx.needs_input_grad[6:]
        described = (_Layer * len(layers))(
            *(
                _describe(
                    layer, shapes[i], shapes[i + 1], tensors[4 * i : 4 * i + 4], any(needs[4 * i + 1 : 4 * i + 4])
                )
                for i, layer in enumerate(layers)
            )
        )
        spiking = [shapes[i + 1][0] for i, layer in enumerate(layers) if layer.spiking]
        rates = torch.empty(clips * sum(spiking))
        last = layers[-1].spiking
        readout = torch.empty(0) if last else torch.empty(steps, clips, math.prod(shapes[-1]))
        engine.snn_forward.restype = ctypes.c_void_p
        handle = engine.snn_forward(
            described,
            len(layers),
            *(_pointer(c) for c in (events.t, events.x, events.y, events.p, events.offsets)),
            None if events.value is None else _pointer(events.value),
            ctypes.c_int64(coding.step_us),
            ctypes.c_double(coding.tau_syn_us),
            MODES.index(coding.input_mode),
            coding.payload_one,
            coding.payload_max,
            clips,
            steps,
            library.threads(),
            int(any(needs)),
            _pointer(rates),
            None if last else _pointer(readout),
        )
        if not handle:
            raise MemoryError("not enough memory for the spikes of this batch: use fewer clips or steps")
        kept.append(_Kept(engine, handle))
        ctx.kept, ctx.spiking, ctx.last = kept[0], spiking, last
        ctx.shapes, ctx.truncate = [p.shape for p in parameters], layers[0].neuron.truncate or 0
        if last:
            ctx.mark_non_differentiable(readout)
        return readout, *(r.view(clips, -1) for r in rates.split([clips * c for c in spiking]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_readout: Tensor, *g_rates: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        gradients = [torch.empty(shape) for shape in ctx.shapes]
        learned = [torch.zeros(3, shape[0]) for shape in ctx.shapes[::4]]
        rates = torch.cat([g.flatten() for g in g_rates]) if g_rates else torch.zeros(0)
        readout = g_readout.contiguous()
        failed = ctx.kept.engine.snn_backward(
            ctx.kept.handle,
            _pointer(rates),
            None if ctx.last else _pointer(readout),
            ctx.truncate,
            _pointers(gradients[::4]),
            _pointers(learned),
        )
        if failed:
            raise MemoryError("not enough memory for the gradients of this batch: use fewer clips")
        for i, found in enumerate(learned):
            gradients[4 * i + 1 : 4 * i + 4] = found.unbind()
        wanted = ctx.needs_input_grad[6:]
        return *[None] * 6, *(g if need else None for g, need in zip(gradients, wanted, strict=True))


def _neuron(layer: Layer) -> tuple[float | Tensor, float | Tensor, float | Tensor]:
    return layer.neuron.alpha, layer.neuron.beta, layer.neuron.threshold


def _channels(value: float | Tensor, layer: Layer) -> Tensor:
    """One number for each output channel, float32 ``[O]``; gradients flow to where it came from."""
    if isinstance(value, Tensor) and value.dim() and value.shape != (len(layer.weight),):
        what = f"has {tuple(value.shape)} values for {len(layer.weight)} channels"
        raise InputError("a neuron's parameter", what, "Give one number, or one for each output channel")
    return torch.as_tensor(value, dtype=torch.float32).expand(len(layer.weight))


def _describe(
    layer: Layer, before: tuple[int, ...], after: tuple[int, ...], tensors: Sequence[Tensor], learn: bool
) -> _Layer:
    """A layer for the engine; a dense one is a convolution as large as its input."""
    before, after = (tuple(shape) + (1,) * (3 - len(shape)) for shape in (before, after))
    conv = layer.conv or Conv()
    kernel = layer.weight.shape[2:] if layer.conv else before[1:]
    surrogate = layer.neuron.surrogate
    return _Layer(
        *before,
        *after,
        *(_Pair(*pair) for pair in (kernel, conv.stride, conv.padding, conv.dilation)),
        conv.groups,
        int(layer.spiking),
        int(layer.neuron.reset == "subtract"),
        _SURROGATES.index(surrogate.name),
        int(layer.neuron.detach_reset),
        int(learn),
        surrogate.slope,
        *(t.data_ptr() for t in tensors),
    )


def _events(batch: EventBatch, coding: Coding, steps: int | None) -> _Events:
    steps = int(batch.steps(coding.step_us).max()) if steps is None else steps
    t, x, y, p, offsets = (c.contiguous() for c in (batch.t, batch.x, batch.y, batch.p, batch.offsets))
    for name, column, end in (("x", x, batch.width), ("y", y, batch.height), ("p", p, 2)):
        if len(column) and not 0 <= int(column.min()) <= int(column.max()) < end:
            what = f"has events with {name} = {int(column.min())} … {int(column.max())}, the sensor ends at {end - 1}"
            raise InputError("batch", what, "Give events within the batch's width and height")
    return _Events(t, x, y, p, offsets, None, (steps, batch.size, 2, batch.height, batch.width))


def _cells(spikes: InputSpikes) -> _Events:
    """Ready cells, clip by clip."""
    _, clips, channels, height, width = spikes.shape
    index = spikes.index
    clip = index // (channels * height * width) % clips
    order = torch.argsort(clip, stable=True)
    index = index[order]
    offsets = torch.searchsorted(clip[order], torch.arange(clips + 1))
    return _Events(
        index // (clips * channels * height * width),
        index % width,
        index // width % height,
        index // (height * width) % channels,
        offsets,
        spikes.value[order].float(),
        spikes.shape,
    )


def _pointer(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def _pointers(tensors: Sequence[Tensor]) -> Any:
    return (ctypes.c_void_p * len(tensors))(*(t.data_ptr() for t in tensors))

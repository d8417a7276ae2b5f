"""What stands between two layers of neurons in a NIR graph, put together as one convolution or one dense layer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snnface.hardware.nir_files.shapes import Shape, Window, spread, window
from snnface.hardware.nir_files.source import Graph, Node


@dataclass(frozen=True)
class Synapses:
    """A convolution (``weight`` ``[O, I/groups, kH, kW]``) or a dense layer (``[O, I]``, ``window`` None).

    ``shape_in``, ``shape_out``: without batch. ``bias``: ``[O]``. ``pooling``: nothing but pooling so far, which the
    weights that follow take in.
    """

    weight: np.ndarray
    shape_in: Shape
    shape_out: Shape
    window: Window | None
    groups: int = 1
    bias: np.ndarray | float = 0.0
    pooling: bool = False


def synapses(graph: Graph, nodes: list[Node], shape: Shape, shapes: dict[str, Shape]) -> Synapses:
    """The nodes of a chain between neurons, on an input of ``shape``.

    No nodes, or a Scale alone, are a depthwise 1×1 convolution (a diagonal matrix). Raises :class:`InputError` for
    what is no single convolution or dense layer: weights after weights, delays, pooling that cuts a border off.
    """
    found: Synapses | None = None
    scale = np.ones(shape)
    for node in nodes:
        out = shapes[node.name]
        if node.type == "Scale":
            scale, found = _scaled(graph, node, scale, found)
        elif node.type == "Flatten":
            if len(out) != 1:
                raise graph.refuse(node.name, f"flattens to {out}, not to one number a neuron", "Flatten all of it")
        elif node.type in ("SumPool2d", "AvgPool2d"):
            found = _pooled(graph, node, found, shapes)
        elif node.type in ("Affine", "Linear", "Conv2d"):
            if found is not None and not found.pooling:
                raise graph.refuse(
                    node.name, "comes after other weights without neurons between them", "Multiply the two together"
                )
            own = _weights(graph, node, shapes)
            found = own if found is None else _after_pooling(graph, node, found, own)
        else:
            raise graph.refuse(node.name, f"({node.type}) is none of our synapses", _fix(node.type))
    found = _identity(graph, nodes, shape) if found is None else found
    return replace(found, weight=_input_scaled(graph, nodes, found, scale), pooling=False)


def _fix(kind: str) -> str:
    return {
        "Delay": "Simulate the file with snnface simulate, or leave the delays out",
        "Conv1d": "Write it as a nir.Conv2d of height 1",
    }.get(kind, "Use Conv2d, Affine, Linear, pooling, Scale and Flatten")


def _weights(graph: Graph, node: Node, shapes: dict[str, Shape]) -> Synapses:
    shape_in, weight = shapes[node.before[0]], np.asarray(node.values["weight"], np.float64)
    bias = np.asarray(node.values.get("bias", 0.0), np.float64)
    if node.type == "Conv2d":
        groups = int(node.values["groups"])
        return Synapses(weight, shape_in, shapes[node.name], window(graph, node, 2), groups, bias)
    return Synapses(weight, shape_in, shapes[node.name], None, 1, bias)


def _pooled(graph: Graph, node: Node, before: Synapses | None, shapes: dict[str, Shape]) -> Synapses:
    if before is not None:
        raise graph.refuse(node.name, "pools what no neurons have sent", "Pool spikes, in front of the weights")
    w, shape_in = window(graph, node, 2), shapes[node.before[0]]
    share = 1.0 if node.type == "SumPool2d" else 1 / np.prod(w.kernel)
    weight = np.full((shape_in[0], 1, *w.kernel), share)
    return Synapses(weight, shape_in, shapes[node.name], w, shape_in[0], pooling=True)


def _after_pooling(graph: Graph, node: Node, pool: Synapses, own: Synapses) -> Synapses:
    """Pooling and the weights after it, as one: exact for windows that tile their input."""
    p, share = pool.window, pool.weight.flat[0]
    assert p is not None
    size = pool.shape_in[1:]
    tiles = (
        p.kernel == p.stride and p.padding == (0, 0) and all(n % k == 0 for n, k in zip(size, p.kernel, strict=True))
    )
    if not tiles:
        what = (
            f"follows pooling whose windows of {p.kernel} at a stride of {p.stride} do not tile the {size} before it"
        )
        raise graph.refuse(node.name, what, "Pool without padding, overlap and rest, or use a strided convolution")
    if own.window is None:
        inner = own.weight.reshape(-1, *pool.shape_out)
        weight = np.repeat(np.repeat(inner, p.kernel[0], 2), p.kernel[1], 3) * share
        return Synapses(weight.reshape(len(weight), -1), pool.shape_in, own.shape_out, None, 1, own.bias)
    w = own.window
    kernel = tuple((k - 1) * d * s + s for k, d, s in zip(w.kernel, w.dilation, p.stride, strict=True))
    weight = np.zeros((*own.weight.shape[:2], *kernel))
    for y in range(w.kernel[0]):
        for x in range(w.kernel[1]):
            rows = slice(y * w.dilation[0] * p.stride[0], y * w.dilation[0] * p.stride[0] + p.stride[0])
            columns = slice(x * w.dilation[1] * p.stride[1], x * w.dilation[1] * p.stride[1] + p.stride[1])
            weight[:, :, rows, columns] = own.weight[:, :, y, x, None, None] * share
    stride, padding = ((a[0] * p.stride[0], a[1] * p.stride[1]) for a in (w.stride, w.padding))
    moved = Window(kernel, stride, padding, (1, 1))
    return Synapses(weight, pool.shape_in, own.shape_out, moved, own.groups, own.bias)


def _scaled(
    graph: Graph, node: Node, scale: np.ndarray, found: Synapses | None
) -> tuple[np.ndarray, Synapses | None]:
    """A Scale in front of the weights goes into their columns, behind them into their rows."""
    if found is None:
        return scale.reshape(np.shape(scale)) * spread(graph, node, "scale", scale.shape), None
    rows = by_channel(graph, node.name, "scale", spread(graph, node, "scale", found.shape_out))
    weight = found.weight * rows.reshape(-1, *[1] * (found.weight.ndim - 1))
    return scale, replace(found, weight=weight, bias=found.bias * rows)


def _input_scaled(graph: Graph, nodes: list[Node], found: Synapses, scale: np.ndarray) -> np.ndarray:
    if (scale == 1).all():
        return found.weight
    if found.window is None:
        return found.weight * scale.reshape(1, -1)
    channels = by_channel(graph, nodes[0].name, "scale", scale).reshape(found.groups, -1)
    outputs = np.repeat(channels, len(found.weight) // found.groups, 0)
    return found.weight * outputs[:, :, None, None]


def _identity(graph: Graph, nodes: list[Node], shape: Shape) -> Synapses:
    if len(shape) == 3 and not any(node.type == "Flatten" for node in nodes):
        one = Window((1, 1), (1, 1), (0, 0), (1, 1))
        return Synapses(np.ones((shape[0], 1, 1, 1)), shape, shape, one, shape[0])
    inputs = int(np.prod(shape))
    return Synapses(np.eye(inputs), shape, (inputs,), None)


def by_channel(graph: Graph, node: str, field: str, values: np.ndarray) -> np.ndarray:
    """A parameter of every neuron ``[C, …]`` as one of each channel ``[C]``; refused where positions differ."""
    rows = values.reshape(len(values), -1)
    if (rows != rows[:, :1]).any():
        raise graph.refuse(
            node, f"has another {field} at other positions of a channel", "Give every channel one value"
        )
    return rows[:, 0]

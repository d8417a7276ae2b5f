"""Shapes along a NIR graph, worked out from the input and checked at every node.

NIR 1.0.8 takes the height of a kernel for its width and forgets groups when it infers shapes; this does not.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from snnface.hardware.nir_files.source import NEURONS, Graph, Node

Shape = tuple[int, ...]


class Window(NamedTuple):
    """How a convolution or pooling moves over its input, one number an axis."""

    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape

    def output(self, size: Shape) -> Shape:
        """Output size of an input of ``size``."""
        return tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        )


def shapes(graph: Graph) -> dict[str, Shape]:
    """Output shape of every node, without batch and time; raises :class:`InputError` where nodes do not fit."""
    found: dict[str, Shape] = {}
    for name, node in graph.nodes.items():
        if node.type == "Input":
            found[name] = graph.input_shape
            continue
        before = {
            source: _sent(graph, source) if (source, name) in graph.late else found[source] for source in node.before
        }
        if len(set(before.values())) > 1:
            what = "adds up " + " and ".join(f"{k} {v}" for k, v in before.items())
            raise graph.refuse(name, what, "Only equal shapes can be added")
        found[name] = _output(graph, node, next(iter(before.values())))
        if min(found[name], default=1) < 1:
            raise graph.refuse(name, f"leaves nothing of its input {before}", "Use a smaller kernel or more padding")
    return found


def _sent(graph: Graph, source: str) -> Shape:
    """Shape of what neurons send, from their own parameters: those in front of them come later in the order."""
    return max((value.shape for value in graph.nodes[source].values.values() if hasattr(value, "shape")), key=len)


def window(graph: Graph, node: Node, axes: int) -> Window:
    """The window of a convolution or pooling node over its ``axes`` last axes."""
    v = node.values
    kernel = v["weight"].shape[2:] if "weight" in v else _numbers(graph, node, "kernel_size", axes)
    stride = _numbers(graph, node, "stride", axes)
    dilation = _numbers(graph, node, "dilation", axes) if "dilation" in v else (1,) * axes
    if isinstance(v["padding"], str):
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if v["padding"] == "same" and (any(n % 2 for n in total) or set(stride) != {1}):
            raise graph.refuse(node.name, "pads unevenly ('same' with an even kernel or a stride)", "Use odd kernels")
        if v["padding"] not in ("same", "valid"):
            raise graph.refuse(node.name, f"has padding '{v['padding']}'", "Use numbers, 'same' or 'valid'")
        padding: Shape = tuple(n // 2 for n in total) if v["padding"] == "same" else (0,) * axes
    else:
        padding = _numbers(graph, node, "padding", axes)
    if min(*kernel, *stride, *dilation) < 1 or min(padding) < 0:
        raise graph.refuse(node.name, "has a kernel, stride, dilation or padding below its least", "Mend the numbers")
    return Window(tuple(kernel), stride, padding, dilation)


def _numbers(graph: Graph, node: Node, field: str, axes: int) -> Shape:
    values = np.ravel(node.values[field])
    if len(values) not in (1, axes):
        raise graph.refuse(node.name, f"has {len(values)} numbers as {field}", f"Give one, or {axes}")
    return tuple(int(n) for n in np.broadcast_to(values, axes))


def _output(graph: Graph, node: Node, shape: Shape) -> Shape:
    v, batch = node.values, ""
    if len(shape) > 1 and shape[0] == 1:
        batch = "; is the first number a batch? Export without it (snnTorch: ignore_dims=[0])"
    if node.type in ("Affine", "Linear"):
        weight = v["weight"]
        if weight.ndim != 2 or shape != weight.shape[1:]:
            what = f"({node.type}) has weights {weight.shape} on an input of shape {shape}{batch}"
            raise graph.refuse(node.name, what, "Put a nir.Flatten before it, or mend the weights")
        _check_bias(graph, node, weight.shape[0])
        return weight.shape[:1]
    if node.type in ("Conv1d", "Conv2d"):
        weight, axes, groups = v["weight"], int(node.type[4]), int(v["groups"])
        if weight.ndim != axes + 2 or len(shape) != axes + 1 or shape[0] != weight.shape[1] * groups:
            what = f"({node.type}) has weights {weight.shape} in {groups} groups on an input of shape {shape}{batch}"
            raise graph.refuse(node.name, what, "Mend the weights, or the input's shape")
        if groups < 1 or weight.shape[0] % groups:
            raise graph.refuse(node.name, f"shares {weight.shape[0]} channels in {groups} groups", "Mend the groups")
        _check_bias(graph, node, weight.shape[0])
        return (weight.shape[0], *window(graph, node, axes).output(shape[1:]))
    if node.type in ("SumPool2d", "AvgPool2d"):
        if len(shape) != 3:
            raise graph.refuse(
                node.name, f"pools an input of shape {shape}{batch}", "Give it channels, height, width"
            )
        return (shape[0], *window(graph, node, 2).output(shape[1:]))
    if node.type == "Flatten":
        start, end = (int(v[key]) for key in ("start_dim", "end_dim"))
        if not -len(shape) <= start < len(shape) or not -len(shape) <= end < len(shape):
            what = f"flattens {start}…{end} of an input of shape {shape}{batch}"
            raise graph.refuse(node.name, what, "Count dimensions without batch: start_dim 0, end_dim −1")
        start, end = start % len(shape), end % len(shape)
        return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
    if node.type in NEURONS or node.type in ("Scale", "Delay"):
        for field, value in v.items():
            if isinstance(value, np.ndarray) and field not in ("input_type", "output_type"):
                spread(graph, node, field, shape)
    return shape


def spread(graph: Graph, node: Node, field: str, shape: Shape) -> np.ndarray:
    """A neuron's parameter for every neuron, float64 ``shape``."""
    value = node.values[field]
    try:
        return np.broadcast_to(value if value.shape != (1,) else value[0], shape).astype(np.float64)
    except ValueError as e:
        what = f"({node.type}) has {field} of shape {value.shape} on an input of shape {shape}"
        raise graph.refuse(node.name, what, "Give one number a neuron") from e


def _check_bias(graph: Graph, node: Node, outputs: int) -> None:
    bias = node.values.get("bias")
    if bias is not None and bias.shape != (outputs,):
        raise graph.refuse(node.name, f"has {bias.size} biases for {outputs} outputs", "Give one an output")

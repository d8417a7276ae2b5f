"""A NIR graph step by step in float64, without layer lag, and its traces as HDF5."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from snnface.errors import InputError
from snnface.hardware.inputs import read_steps
from snnface.hardware.nir_files.neurons import Stepped, stepped
from snnface.hardware.nir_files.semantics import Semantics, resolve
from snnface.hardware.nir_files.shapes import Shape, shapes, window
from snnface.hardware.nir_files.source import NEURONS, Graph, Node, load
from snnface.hdf5 import new_file

_BLOCK = 64


class Layer(NamedTuple):
    """What one layer did, each ``[T, *shape]``: spikes (bool, or counts where neurons send many), currents and
    membranes after reset, float64."""

    s: np.ndarray
    u: np.ndarray
    v: np.ndarray


class Simulation:
    """Runs a graph in blocks of steps; state goes from block to block.

    ``layers``: the nodes with neurons, in order, and, where the output is not theirs, the node before the output
    (spikes: none; current and membrane: its value). Raises :class:`InputError` for graphs that do not fit together.
    """

    def __init__(self, graph: Graph, semantics: Semantics) -> None:
        self.graph, self.semantics, self.shapes = graph, semantics, shapes(graph)
        nodes = graph.nodes.values()
        self._state = {
            node.name: _State(stepped(graph, node, self.shapes[node.name], semantics), semantics)
            for node in nodes
            if node.type in NEURONS
        }
        self._late = {
            node.name: _Late(graph, node, self.shapes[node.name], semantics) for node in nodes if node.type == "Delay"
        }
        self._sent = {source: np.zeros((1, *self.shapes[source])) for source, _ in graph.late}
        last = next(node for node in nodes if node.type == "Output").before[0]
        self.layers = [*self._state, *(() if last in self._state else (last,))]

    @property
    def neurons(self) -> dict[str, Stepped]:
        """The layers of neurons by node."""
        return {name: state.neurons for name, state in self._state.items()}

    def advance(self, x: np.ndarray) -> list[Layer]:
        """Run the next steps on input ``[T, *input_shape]``; what each layer did."""
        if not self.graph.late:
            return self._advance(x)
        steps = [self._advance(x[t : t + 1]) for t in range(len(x))]
        return [Layer(*map(np.concatenate, zip(*layer, strict=True))) for layer in zip(*steps, strict=True)]

    def _advance(self, x: np.ndarray) -> list[Layer]:
        values: dict[str, np.ndarray] = {}
        traces = {}
        for name, node in self.graph.nodes.items():
            if node.type == "Input":
                values[name] = x.astype(np.float64)
                continue
            sources = [self._sent if (b, name) in self.graph.late else values for b in node.before]
            value = np.sum([source[b] for source, b in zip(sources, node.before, strict=True)], 0)
            if name in self._state:
                traces[name] = self._state[name].advance(value)
                value = traces[name].v if self._state[name].neurons.theta is None else traces[name].s.astype(float)
            elif name in self._late:
                value = self._late[name].advance(value)
            else:
                value = _applied(self.graph, node, value, self.shapes[name])
            values[name] = value
            if name in self.layers and name not in traces:
                traces[name] = Layer(np.zeros(value.shape, bool), value, value)
        self._sent = {source: values[source] for source, _ in self.graph.late}
        return [traces[name] for name in self.layers]


class _State:
    def __init__(self, neurons: Stepped, semantics: Semantics) -> None:
        self.neurons, self.semantics = neurons, semantics
        self.u, self.v = np.zeros(neurons.shape), neurons.start.copy()
        self.owed = np.zeros(neurons.shape)

    def advance(self, x: np.ndarray) -> Layer:
        n, rule = self.neurons, self.semantics
        many = rule.spikes == "many" and n.theta is not None
        s = np.zeros(x.shape, np.uint16 if many else bool)
        u, v = np.empty(x.shape), np.empty(x.shape)
        for t, step in enumerate(x):
            self.u = n.a * self.u + n.k * step
            self.v = n.b * self.v + n.g * self.u + n.c - self.owed
            if n.theta is not None:
                s[t] = self._fire(n.theta, many)
                if rule.reset == "value":
                    self.v = np.where(s[t] > 0, n.reset, self.v)
                elif rule.reset == "subtract":
                    self.v = self.v - n.theta * s[t]
                else:
                    self.owed = n.theta * s[t]
                if rule.floor is not None:
                    self.v = np.maximum(self.v, -rule.floor * n.theta)
            u[t] = self.u if n.current else step
            v[t] = self.v
        return Layer(s, u, v)

    def _fire(self, theta: np.ndarray, many: bool) -> np.ndarray:
        if many:
            return np.maximum(np.trunc(self.v / theta), 0)
        return self.v >= theta if self.semantics.fires == "at" else self.v > theta


class _Late:
    """A delay line; delays are rounded to steps, of which they have to be multiples."""

    def __init__(self, graph: Graph, node: Node, shape: Shape, semantics: Semantics) -> None:
        steps = np.broadcast_to(node.values["delay"], shape) / semantics.step
        self.steps = np.rint(steps).astype(np.int64)
        if (steps < 0).any() or (np.abs(steps - self.steps) > 1e-3).any():
            what = f"delays by {steps.min():g} to {steps.max():g} steps"
            raise graph.refuse(node.name, what, "Give a --dt of which the delays are multiples")
        self.line = np.zeros((int(self.steps.max(initial=0)), *shape))

    def advance(self, x: np.ndarray) -> np.ndarray:
        kept = len(self.line)
        line = np.concatenate([self.line, x])
        self.line = line[len(line) - kept :]
        index = kept + np.arange(len(x)).reshape(-1, *[1] * self.steps.ndim) - self.steps
        return np.take_along_axis(line, index, 0)


def _applied(graph: Graph, node: Node, x: np.ndarray, shape: Shape) -> np.ndarray:
    """The output ``[T, *shape]`` of a node without state."""
    v = node.values
    if node.type in ("Affine", "Linear"):
        return x @ v["weight"].T + v.get("bias", 0.0)
    if node.type == "Scale":
        return x * v["scale"]
    if node.type in ("Conv1d", "Conv2d"):
        w = window(graph, node, int(node.type[4]))
        run = F.conv1d if node.type == "Conv1d" else F.conv2d
        weight, bias = (torch.from_numpy(np.asarray(v[key], np.float64)) for key in ("weight", "bias"))
        return run(torch.from_numpy(x), weight, bias, w.stride, w.padding, w.dilation, int(v["groups"])).numpy()
    if node.type in ("SumPool2d", "AvgPool2d"):
        w = window(graph, node, 2)
        weight = torch.ones((shape[0], 1, *w.kernel), dtype=torch.float64)
        summed = F.conv2d(torch.from_numpy(x), weight, None, w.stride, w.padding, groups=shape[0]).numpy()
        return summed if node.type == "SumPool2d" else summed / np.prod(w.kernel)
    return x.reshape(len(x), *shape)


def read_input(path: str | Path, shape: Shape) -> np.ndarray:
    """A float input array ``[T, *shape]`` (or ``[T, N]``) from a .npy file."""
    x = read_steps(path, shape)
    if x.dtype.kind not in "biuf" or not np.isfinite(x).all():
        raise InputError(path, "holds values that are not finite numbers", "Give finite floats or integers")
    return x


def blocks(x: np.ndarray) -> Iterator[slice]:
    """Slices of a few steps each over ``[T, …]``."""
    return (slice(start, min(start + _BLOCK, len(x))) for start in range(0, len(x), _BLOCK))


def write_traces(path: str | Path, graph: Graph, semantics: Semantics, x: np.ndarray) -> tuple[list[str], list[int]]:
    """Simulate input ``[T, *input_shape]`` and write ``layer/i/{s,u,v}``; names of the layers, spikes of each.

    ``s``: bool (uint16 where neurons send many spikes a step), ``u``, ``v`` (after reset): float64 ``[T, *shape]``.
    """
    run = Simulation(graph, semantics)
    counts = np.zeros(len(run.layers), np.int64)
    with new_file(path) as (f, disk):
        for rows in blocks(x):
            for i, trace in enumerate(run.advance(x[rows])):
                counts[i] += int(trace.s.sum())
                for name, values in zip("suv", trace, strict=True):
                    key = f"layer/{i}/{name}"
                    if key not in f:
                        f.create_dataset(key, (len(x), *values.shape[1:]), values.dtype)
                    f[key][rows] = values
            disk.check()
        for i, name in enumerate(run.layers):
            f[f"layer/{i}"].attrs["name"] = name
    return run.layers, counts.tolist()


def simulate_file(path: Path, data: Path, out: Path, semantics: str | None, dt: float | None) -> dict[str, Any]:
    """``snnface simulate`` of a NIR file: its answer."""
    graph = load(path)
    stated = resolve(graph.where, graph.metadata, semantics, dt)
    names, spikes = write_traces(out, graph, stated, x := read_input(data, graph.input_shape))
    said = {key: value for key, value in vars(stated).items() if value not in (None, "", False)}
    return {
        "layers": len(names),
        "spikes": spikes,
        "steps": len(x),
        "nodes": names,
        "semantics": said,
        "out": str(out),
    }

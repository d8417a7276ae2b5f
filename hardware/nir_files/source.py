"""A NIR graph, from a file or from memory, as checked nodes in the order in which they run.

Files are read with h5py alone: what is wrong is said of the node that it is wrong with. Parameters are NumPy arrays.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snnface.errors import InputError

#: Fields that each node type has to have.
FIELDS: dict[str, tuple[str, ...]] = {
    "Input": ("shape",),
    "Output": ("shape",),
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Conv1d": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "Conv2d": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "SumPool2d": ("kernel_size", "stride", "padding"),
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "Flatten": ("start_dim", "end_dim"),
    "Scale": ("scale",),
    "Delay": ("delay",),
    "Threshold": ("threshold",),
    "I": ("r",),
    "IF": ("r", "v_threshold"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"),
}
#: Fields that may be words (padding), or are not used.
_UNCHECKED = ("padding", "input_type", "output_type", "input_shape")
#: Node types that hold a state or a threshold: the layers of a trace.
NEURONS = ("CubaLIF", "CubaLI", "LIF", "LI", "IF", "I", "Threshold")


@dataclass(frozen=True)
class Node:
    """One node: its name, NIR's type, its parameters by NIR's names, and the nodes before it."""

    name: str
    type: str
    values: dict[str, Any]
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """``nodes`` in the order in which they run, input first; ``late``: the connections (from, to) of recurrent
    networks over which spikes arrive a step after they were sent."""

    where: str
    nodes: dict[str, Node]
    metadata: dict[str, Any]
    late: frozenset[tuple[str, str]] = frozenset()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one step's input."""
        node = next(n for n in self.nodes.values() if n.type == "Input")
        return tuple(int(n) for n in np.ravel(node.values["shape"]))

    def refuse(self, node: str, what: str, fix: str) -> InputError:
        """The error that names a node of this graph."""
        return InputError(f"{self.where}, node {node}", what, fix)


def load(source: Any) -> Graph:
    """Read a NIR file, or take a ``nir.NIRGraph`` in memory (parameters may be torch tensors).

    Raises :class:`InputError` where it is not one, and, naming the node, where a node is of an unknown type, lacks a
    field or holds numbers that are not finite, or where the graph has not one input and one output, or a circle
    without neurons.
    """
    if isinstance(source, Graph):
        return source
    if not isinstance(source, (str, Path)):
        return _checked("NIR graph", *_of_memory(source))
    try:
        with h5py.File(source, "r") as f:
            return _checked(str(source), *_of_file(f, str(source)))
    except FileNotFoundError as e:
        raise InputError(source, "does not exist", "Check the path") from e
    except (OSError, KeyError, TypeError, RuntimeError, AttributeError, UnicodeDecodeError) as e:
        raise InputError(source, f"is not a NIR file ({e})", "Write it with nir.write") from e


def _of_file(f: h5py.File, where: str) -> tuple[dict[str, Any], list[tuple[str, str]], dict[str, Any]]:
    root = f["node"]
    if _text(root["type"][()]) != "NIRGraph":
        raise InputError(where, "holds a single node, not a graph", "Write a nir.NIRGraph with input and output")
    nodes = {}
    for name, group in root["nodes"].items():
        nodes[name] = {key: _content(item) for key, item in group.items()}
    edges = [(_text(a), _text(b)) for a, b in root["edges"][()]] if len(root["edges"].shape) == 2 else []
    metadata = _content(root["metadata"]) if "metadata" in root else {}
    return nodes, edges, metadata


def _content(item: h5py.Dataset | h5py.Group) -> Any:
    if isinstance(item, h5py.Group):
        return {key: _content(child) for key, child in item.items()}
    return _text(item[()])


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _of_memory(graph: Any) -> tuple[dict[str, Any], list[tuple[str, str]], dict[str, Any]]:
    try:
        nodes = {name: node if node is None else node.to_dict() for name, node in graph.nodes.items()}
        edges = [(str(a), str(b)) for a, b in graph.edges]
    except (AttributeError, TypeError, ValueError) as e:
        raise InputError(
            "NIR graph", f"is not a nir.NIRGraph ({e})", "Give a graph or the path of a .nir file"
        ) from e
    return nodes, edges, dict(graph.metadata) if isinstance(graph.metadata, Mapping) else {}


def _checked(where: str, found: dict[str, Any], edges: list[tuple[str, str]], metadata: dict[str, Any]) -> Graph:
    nodes = {}
    for name, values in found.items():
        before = tuple(a for a, b in dict.fromkeys(edges) if b == name)
        nodes[name] = _node(where, name, values, before)
    for a, b in edges:
        for end in {a, b} - nodes.keys():
            raise InputError(where, f"has an edge {a} → {b}, and no node {end}", "Name the edges after the nodes")
    for kind in ("Input", "Output"):
        ends = [name for name, node in nodes.items() if node.type == kind]
        if len(ends) != 1:
            what = f"has {len(ends)} {kind} nodes ({', '.join(ends) or 'none'})"
            raise InputError(where, what, f"Write graphs with one nir.{kind}")
    order, late = _order(where, nodes)
    return Graph(where, {name: nodes[name] for name in order}, metadata, late)


def _node(where: str, name: str, values: Any, before: tuple[str, ...]) -> Node:
    place = f"{where}, node {name}"
    if not isinstance(values, Mapping) or "type" not in values:
        raise InputError(
            place, "has no type: its writer could not express this module", "Replace it by one that NIR has"
        )
    kind = str(values["type"])
    if kind == "NIRGraph":
        raise InputError(place, "is a graph inside the graph", "Write its nodes into the graph itself")
    if kind not in FIELDS:
        raise InputError(place, f"is of the type {kind}, which NIR 1.0 does not have", f"Use {', '.join(FIELDS)}")
    plain = {key: _plain(value) for key, value in values.items() if key not in ("type", "metadata")}
    for field in FIELDS[kind]:
        if plain.get(field) is None:
            raise InputError(place, f"({kind}) lacks {field}", "Write it again with nir 1.0")
    for field, value in plain.items():
        if isinstance(value, (str, np.ndarray)) and field in _UNCHECKED:
            continue
        if isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype.kind not in "biuf"):
            raise InputError(place, f"({kind}) has a {field} that is not a number", "Write it again with nir 1.0")
        if isinstance(value, np.ndarray) and not np.isfinite(value).all():
            raise InputError(place, f"({kind}) has a {field} that is not finite", _finite_fix(field))
    if kind not in ("Input",) and not before:
        raise InputError(place, f"({kind}) gets no input", "Connect it, or leave it out")
    return Node(name, kind, plain, before)


def _finite_fix(field: str) -> str:
    if field in ("tau", "tau_mem", "tau_syn", "r", "w_in"):
        return "A decay of exactly 1 has no time constant: use a smaller one, or nir.IF"
    return "Train it again, or mend the numbers"


def _plain(value: Any) -> Any:
    """Numbers as arrays (float64 or int64), text as text, shapes of ports as they are."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if value is None or isinstance(value, (str, Mapping)):
        return value
    array = np.asarray(value)
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64) if array.dtype.kind in "biuf" else array


def _order(where: str, nodes: dict[str, Node]) -> tuple[list[str], frozenset[tuple[str, str]]]:
    """The order in which nodes run, and the connections whose spikes arrive a step late: those that close circles."""
    used = _reaching(nodes)
    late: set[tuple[str, str]] = set()
    for name in nodes:
        if name not in used:
            raise InputError(f"{where}, node {name}", "does not lead to the output", "Connect it, or leave it out")
    depth = _depths(nodes)
    while True:
        before = {name: [b for b in node.before if (b, name) not in late] for name, node in nodes.items()}
        try:
            return list(TopologicalSorter(before).static_order()), frozenset(late)
        except CycleError as e:
            circle = e.args[1]
            found = [(a, b) for a, b in itertools.pairwise(circle) if nodes[a].type in NEURONS]
            if not found:
                loop = " → ".join(circle)
                what = f"goes in a circle without neurons ({loop})"
                raise InputError(f"{where}, node {circle[0]}", what, "Put neurons into it") from e
            late.add(max(found, key=lambda edge: depth[edge[0]]))


def _depths(nodes: dict[str, Node]) -> dict[str, int]:
    """Least number of connections between the input and each node."""
    depth = {name: 0 for name, node in nodes.items() if node.type == "Input"}
    for _ in nodes:
        for name, node in nodes.items():
            known = [depth[b] + 1 for b in node.before if b in depth]
            if known:
                depth[name] = min([depth.get(name, len(nodes)), *known])
    return {name: depth.get(name, 0) for name in nodes}


def _reaching(nodes: dict[str, Node]) -> set[str]:
    """Nodes from which the output can be reached."""
    found: set[str] = set()
    waiting = [name for name, node in nodes.items() if node.type == "Output"]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += nodes[name].before
    return found

"""NIR files: written so that other libraries read them exactly, read with what their writers leave unsaid stated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snnface.errors import InputError
from snnface.hardware.nir_files.network import SAID, to_network
from snnface.hardware.nir_files.semantics import Semantics, resolve
from snnface.hardware.nir_files.source import Graph, load
from snnface.hardware.nir_files.write import refusals, to_graph, write
from snnface.network import Network

if TYPE_CHECKING:
    from snnface.stream import Stream

__all__ = [
    "Graph",
    "Semantics",
    "load",
    "of_events",
    "open_graph",
    "open_stream",
    "quantised",
    "read",
    "refusals",
    "to_graph",
    "write",
]


def open_graph(
    source: Any, semantics: str | Semantics | None = None, dt: float | None = None
) -> tuple[Graph, Semantics]:
    """A NIR file or graph, and how its neurons step: as given, else as the file's metadata says."""
    graph = load(source)
    return graph, resolve(graph.where, graph.metadata, semantics, dt)


def read(
    source: Any,
    semantics: str | Semantics | None = None,
    dt: float | None = None,
    biases: dict[str, np.ndarray] | None = None,
) -> Network:
    """A :class:`~snnface.network.Network` from a NIR file (or a ``nir.NIRGraph``).

    ``semantics``: ``WRITER[,KEY=VALUE…]`` or :class:`Semantics`; ``dt``: length of a step in seconds. Files that
    snnface wrote need neither. ``biases``: gets those of neurons without a synaptic current, which a chip has and our
    networks do not (:func:`snnface.hardware.nir_files.biases.with_biases`); without it they are refused. Raises
    :class:`InputError`, naming the node, for what cannot be said as a network.
    """
    return to_network(*open_graph(source, semantics, dt), biases)


def of_events(path: str | Path, semantics: str | None = None) -> Network:
    """The network of a NIR file whose metadata say how events become its input, as snnface writes them.

    ``semantics`` says it in their place: one spike for a pixel and step that has events. Raises :class:`InputError`
    naming what the metadata lack, or where the input is not that of a camera, ``[2, H, W]``.
    """
    graph = load(path)
    lacking = [name for name in SAID if name not in graph.metadata]
    if lacking and semantics is None:
        raise InputError(
            path,
            f"does not say how events become its input: its metadata lack {', '.join(lacking)}",
            f"Say it: snnface export {path} --to nir --semantics WRITER,step_us=STEP --out NEW.nir (docs/nir.md)",
        )
    network = read(graph, semantics)
    if network.input_shape[0] != 2:
        what = f"takes input of shape {graph.input_shape}, and events are (2, height, width): off and on"
        raise InputError(path, what, "Give a network of a camera's two polarities")
    return network


def open_stream(path: str | Path) -> Stream:
    """A stream of a NIR file (see :func:`of_events`)."""
    from snnface.stream import Stream

    return Stream(of_events(path))

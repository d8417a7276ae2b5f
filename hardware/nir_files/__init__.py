"""NIR files: written so that other libraries read them exactly, read with what their writers leave unsaid stated."""

from __future__ import annotations

from typing import Any

from snnface.hardware.nir_files.network import to_network
from snnface.hardware.nir_files.semantics import Semantics, resolve
from snnface.hardware.nir_files.source import Graph, load
from snnface.hardware.nir_files.write import refusals, to_graph, write
from snnface.network import Network

__all__ = ["Graph", "Semantics", "load", "open_graph", "read", "refusals", "to_graph", "write"]


def open_graph(
    source: Any, semantics: str | Semantics | None = None, dt: float | None = None
) -> tuple[Graph, Semantics]:
    """A NIR file or graph, and how its neurons step: as given, else as the file's metadata says."""
    graph = load(source)
    return graph, resolve(graph.where, graph.metadata, semantics, dt)


def read(source: Any, semantics: str | Semantics | None = None, dt: float | None = None) -> Network:
    """A :class:`~snnface.network.Network` from a NIR file (or a ``nir.NIRGraph``).

    ``semantics``: ``WRITER[,KEY=VALUE…]`` or :class:`Semantics`; ``dt``: length of a step in seconds. Files that
    snnface wrote need neither. Raises :class:`InputError`, naming the node, for what cannot be said as a network.
    """
    return to_network(*open_graph(source, semantics, dt))

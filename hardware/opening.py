"""A network file opened for counting: what a backend runs, its shapes, and the backend's name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from snnface import checkpoint
from snnface.hardware.geometry import geometry
from snnface.hardware.integer import IntegerNetwork
from snnface.network import Network


@dataclass(frozen=True)
class Opened:
    """``runnable`` by ``backend``; ``network`` has its shapes."""

    runnable: Network | IntegerNetwork
    network: Network
    backend: str


def open_network(model: Path) -> Opened:
    """A checkpoint, or a netx file with its manifest; raises :class:`InputError` as their readers do."""
    if model.suffix == ".net":
        from snnface.hardware.manifest import load

        integer = load(model)
        return Opened(integer, geometry(integer, model), "fixed")
    network = checkpoint.load(model)[0].to_network()
    return Opened(network, network, "torch")

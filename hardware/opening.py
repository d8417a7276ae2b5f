"""Network files opened by their suffix: as plain numbers, and as what a backend runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from snnface import checkpoint
from snnface.batch import EventBatch
from snnface.errors import InputError
from snnface.hardware.integers.network import IntegerNetwork
from snnface.hardware.nir_files.biases import with_biases
from snnface.hardware.profiling.geometry import geometry
from snnface.hardware.quantising.grid import BITS_MOST, Grid, trained_grid
from snnface.hardware.quantising.quantise import quantise
from snnface.network import Network


@dataclass(frozen=True)
class Plain:
    """A float network, ``grid`` of the chip's numbers that it was trained in (None: it was not), and ``biases`` of a
    NIR file (:func:`snnface.hardware.nir_files.read`)."""

    network: Network
    grid: Grid | None
    biases: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def bits(self) -> int:
        """Bits of a weight: those that it was trained with, else the chip's most."""
        return self.grid.bits if self.grid else BITS_MOST

    def quantised(self, calibration: EventBatch | None, mode: str | None, bits: int) -> IntegerNetwork:
        """:func:`snnface.hardware.quantising.quantise.quantise`, with the biases."""
        return with_biases(quantise(self.network, calibration, mode, bits, self.grid), self.biases)


def open_float(path: Path, semantics: str | None = None, biases: bool = False) -> Plain:
    """A checkpoint or a NIR file; raises :class:`InputError` as their readers do.

    ``biases``: take those of a NIR file, which are refused otherwise.
    """
    if path.suffix == ".nir":
        from snnface.hardware.nir_files import read

        found: dict[str, np.ndarray] = {}
        return Plain(read(path, semantics, biases=found if biases else None), None, found)
    encoder, meta = checkpoint.load(path)
    return Plain(encoder.to_network(), trained_grid(meta, path))


@dataclass(frozen=True)
class Opened:
    """``runnable`` by ``backend``; ``network`` has its shapes."""

    runnable: Network | IntegerNetwork
    network: Network
    backend: str


def open_network(model: Path, semantics: str | None = None) -> Opened:
    """A checkpoint, a netx file with its manifest, or a NIR file that takes events
    (:func:`snnface.hardware.nir_files.of_events`); raises :class:`InputError` as their readers do."""
    if model.suffix == ".nir":
        from snnface.hardware.nir_files import of_events

        network = of_events(model, semantics)
        return Opened(network, network, "torch")
    if semantics is not None:
        raise InputError(model, "is no NIR file, which alone leaves semantics open", "Leave --semantics out")
    if model.suffix == ".net":
        from snnface.hardware.netx_files.manifest import load

        integer = load(model)
        return Opened(integer, geometry(integer, model), "fixed")
    network = open_float(model).network
    return Opened(network, network, "torch")

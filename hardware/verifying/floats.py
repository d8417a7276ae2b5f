"""Certificates of float implementations: our float64 reference against snnTorch or Norse, layer by layer.

Both sides run whole: every layer takes its own side's spikes of the layer before. They share the synaptic sums' code,
not their values. (Where the other library reads a file by itself, see :mod:`snnface.hardware.verifying.nir`.)
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnface import __version__
from snnface.errors import InputError
from snnface.files import file_sha256
from snnface.forward import network_layers
from snnface.hardware.inputs import read_clips
from snnface.hardware.verifying.certificate import certificate, new_row, tally
from snnface.input import coded
from snnface.network import Network
from snnface.neuron import Lif, LifState, integrate, lif
from snnface.synapse import from_spikes

#: States that are further apart than this times the larger of 1 and the largest differ: float64 in another order.
TOLERANCE = 1e-9
_BLOCK = 32

#: Spikes, currents and membranes after reset ``[1, ...]``, step by step.
Steps = Iterator[tuple[Tensor, Tensor, Tensor]]


def against_float(
    path: Path, network: Network, peer: str, data: str | Path | None, clips: int
) -> tuple[dict[str, Any], list[str]]:
    """Compare our float64 reference with snnTorch or Norse in float64, on the first test clips of a data set.

    ``path``: the file that ``network`` was read from. Clips are compared one after the other, and steps are counted
    through all of them. Raises :class:`InputError` where there are no events, or the peer cannot express the network.
    """
    if data is None or Path(data).suffix == ".npy":
        raise InputError("verify", f"against {peer} needs events", "Give --data DATA.h5")
    inputs = coded(read_clips(data, clips), network, None, torch.float64)
    total, count = inputs.shape[:2]
    rows = [new_row(layer.name, layer.spiking, layer.neurons) for layer in network.layers]
    for clip, events in enumerate(inputs.dense().unbind(1)):
        first = clip * total
        ours = theirs = events[:, None]
        for row, layer, described in zip(rows, network_layers(network, torch.float64), network.layers, strict=True):
            sums = [from_spikes(spikes, layer.weight, layer.conv) for spikes in (ours, theirs)]
            if not layer.spiking:
                mine, other = (integrate(x, layer.neuron)[0][:, 0].numpy() for x in sums)
                nothing, every = np.zeros(mine.shape, bool), first + np.arange(total)
                tally(row, every, every, (nothing, None, mine), (nothing, None, other), TOLERANCE)
                continue
            about = {"threshold": float(np.max(described.threshold))}
            runs = _reference(sums[0], layer.neuron), _peer(peer)(sums[1], layer.neuron)
            ours, theirs = _compared(row, first, *runs, about)
    return certificate(
        {
            "against": peer,
            "what": f"our reference and {peer}'s neurons on the same weights and events, both in float64",
            "compared": [
                "every spike of every layer and step",
                f"every current and membrane to {TOLERANCE:g} of the larger of 1 and the largest",
            ],
            "not_compared": ["synaptic sums and readout: both sides call the same code"],
            "versions": {"snnface": __version__, "torch": torch.__version__, peer: version(peer)},
            "patches": [],
            "data": str(data),
            "input": network.input_mode,
            "network": str(path),
            "clips": count,
            "steps": total,
            "neuron_steps": network.neurons * total * count,
            "sha256": {"network": file_sha256(path), "input": file_sha256(data)},
        },
        rows,
    )


def _compared(
    row: dict[str, Any], first: int, ours: Steps, theirs: Steps, about: dict[str, float]
) -> tuple[Tensor, Tensor]:
    """Run both sides through a layer, block by block, and tally them; the spikes of each, ``[T, 1, ...]``."""
    spikes: tuple[list[Tensor], list[Tensor]] = ([], [])
    pairs = zip(ours, theirs, strict=True)
    with torch.no_grad():
        while block := list(itertools.islice(pairs, _BLOCK)):
            sides = []
            for side, steps in zip(spikes, zip(*block, strict=True), strict=True):
                s, u, v = (torch.cat(values) for values in zip(*steps, strict=True))
                side += [s[:, None]]
                sides.append((s.numpy() > 0, u.numpy(), v.numpy()))
            at = first + np.arange(len(block))
            first += len(block)
            tally(row, at, at, sides[0], sides[1], TOLERANCE, **about)
    return torch.cat(spikes[0]), torch.cat(spikes[1])


def _reference(x: Tensor, neuron: Lif) -> Steps:
    state = LifState(torch.zeros_like(x[0]), torch.zeros_like(x[0]))
    for step in x:
        spikes, state = lif(step[None], neuron, state)
        yield spikes[0], state.u, state.v


def _peer(name: str) -> Any:
    try:
        return importlib.import_module(f"snnface.backends.{name}").steps
    except ImportError as e:
        raise InputError(f"backend {name}", f"cannot be imported ({e})", f"Install it: pip install {name}") from e

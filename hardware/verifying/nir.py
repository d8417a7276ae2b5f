"""Certificates of NIR files: our float64 simulation against another library that reads the file by itself."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snnface import __version__
from snnface.errors import InputError
from snnface.files import file_sha256
from snnface.hardware.inputs import read_clips
from snnface.hardware.nir_files import open_graph, write
from snnface.hardware.nir_files.network import NEURON, to_network
from snnface.hardware.nir_files.readers import Running, versions
from snnface.hardware.nir_files.semantics import Semantics
from snnface.hardware.nir_files.simulate import Simulation, blocks, read_input
from snnface.hardware.nir_files.source import Graph
from snnface.hardware.verifying.certificate import certificate, new_row, tally
from snnface.input import coded
from snnface.network import Network

#: Importers hold float32 parameters: states within this, times the larger of 1 and the largest, count as equal.
TOLERANCE = 1e-5
#: Density of the random input where no data is given.
_DENSITY = 0.1


def against_reader(
    path: Path,
    reader: str,
    data: str | Path | None = None,
    clips: int = 3,
    semantics: str | None = None,
    dt: float | None = None,
    seed: int = 0,
    single: bool = False,
    steps: int = 64,
) -> tuple[dict[str, Any], list[str]]:
    """Compare our simulation of a NIR file with ``reader``'s ("snntorch", "norse", "spikingjelly").

    ``data``: a data set (files that snnface wrote), a float array ``[T, *input_shape]`` (.npy) or None for
    ``steps`` of random spikes. Every clip starts at rest. ``single``: the other library computes in float32, as it
    does by itself. Raises :class:`InputError` where the reader is absent or cannot read the file.
    """
    found = versions(reader)
    graph, stated = open_graph(path, semantics, dt)
    x, source = _input(graph, stated, data, clips, steps, seed)
    ours = Simulation(graph, stated)
    neurons = ours.neurons
    rows = [new_row(name.removesuffix(NEURON), n.spiking, int(np.prod(n.shape))) for name, n in neurons.items()]
    dtype = torch.float32 if single else torch.float64
    for number, clip in enumerate(x):
        ours, theirs = Simulation(graph, stated), Running(reader, path, list(neurons), stated.step, dtype)
        for block in blocks(clip):
            at = number * len(clip) + np.arange(block.start, block.stop)
            pairs = zip(ours.advance(clip[block]), theirs.advance(clip[block]), strict=False)
            for row, n, (a, b) in zip(rows, neurons.values(), pairs, strict=False):
                about = {} if n.theta is None else {"threshold": float(n.theta.max())}
                u = None if np.isnan(b.u).any() else b.u
                tally(row, at, at, a, (b.s, u, b.v), TOLERANCE, **about)
    return certificate(
        {
            "against": f"nir:{reader}",
            "what": f"our simulation in float64 and {reader}'s own NIR importer, in float{32 if single else 64}",
            "compared": [
                "every spike of every layer and step",
                f"every current and membrane to {TOLERANCE:g} of the larger of 1 and the largest: the importer's "
                "parameters are float32",
            ],
            "not_compared": [],
            "semantics": {key: value for key, value in vars(stated).items() if value not in (None, "", False)},
            "versions": {"snnface": __version__, "torch": torch.__version__, **found},
            "patches": [],
            "data": source,
            "input": str(graph.metadata.get("input_mode", "as given")),
            "network": str(path),
            "clips": len(x),
            "steps_per_clip": x.shape[1],
            "steps": x.shape[0] * x.shape[1],
            "neuron_steps": sum(row["neurons"] for row in rows) * x.shape[0] * x.shape[1],
            "sha256": {"network": file_sha256(path), "input": hashlib.sha256(x.astype("<f8").tobytes()).hexdigest()},
        },
        rows,
    )


def _input(
    graph: Graph, stated: Semantics, data: str | Path | None, clips: int, steps: int, seed: int
) -> tuple[np.ndarray, str]:
    """Input of N clips ``[N, T, *input_shape]`` and where it comes from."""
    if data is None:
        rng = np.random.default_rng(seed)
        spikes = rng.random((clips, steps, *graph.input_shape)) < _DENSITY
        return spikes.astype(np.float64), f"random spikes, seed {seed}"
    if Path(data).suffix == ".npy":
        return read_input(data, graph.input_shape)[None].astype(np.float64), str(data)
    if "snnface" not in graph.metadata:
        raise InputError(graph.where, "does not say how events become its input", "Give --data INPUT.npy")
    inputs = coded(read_clips(data, clips), to_network(graph, stated), None, torch.float64)
    return inputs.dense().transpose(0, 1).numpy(), str(data)


@contextmanager
def nir_file(path: Path, network: Network | None) -> Iterator[Path]:
    """The NIR file to verify: ``path`` itself, or ``network`` written to a temporary folder."""
    if network is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="snnface-verify-") as folder:
        file = Path(folder) / f"{path.stem}.nir"
        write(file, network)
        yield file

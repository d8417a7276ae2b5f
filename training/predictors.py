"""A network of any kind as a predictor: float backends, the integer network, the CNN baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnface import backends, checkpoint
from snnface.batch import EventBatch
from snnface.errors import InputError
from snnface.facs import AUS, EXPRESSIONS
from snnface.files import read_json
from snnface.hardware.integers.network import IntegerNetwork
from snnface.hardware.opening import open_network
from snnface.hardware.quantising.grid import trained_grid
from snnface.hardware.quantising.rounded import as_it_runs
from snnface.heads import decode
from snnface.network import Head, Network
from snnface.training.baselines import MatchedCnn
from snnface.training.evaluate import Predictor

#: Heads that an evaluation measures, and their sizes.
MEASURED = {"au": len(AUS), "expression": len(EXPRESSIONS), "landmarks": 2 * 68}


def of_network(network: Network | IntegerNetwork, heads: Mapping[str, Head], backend: str | None = None) -> Predictor:
    """Run plain numbers on a backend, the fastest for float ones by default."""
    run = backends.get(backend or backends.fastest())

    def predict(batch: EventBatch) -> Any:
        trace = run(network, batch)
        return decode(trace.readout, heads), trace

    return predict


def of_model(model: nn.Module) -> Predictor:
    """A torch model as it is (the CNN baselines)."""
    return torch.no_grad()(model)


@dataclass(frozen=True)
class Opened:
    """A network of any kind: ``step_us`` between its answers, ``mean_shape`` ``[68, 2]`` of its training frames where
    its file holds it, ``network`` with the shapes that synaptic operations are counted from (None for a CNN)."""

    predict: Predictor
    step_us: int
    mean_shape: torch.Tensor | None
    network: Network | None


def open_predictor(path: str | Path, backend: str | None = None) -> Opened:
    """Open a checkpoint, a netx file or a NIR file.

    Raises :class:`InputError` where file and backend do not go together, or a head that is measured is not there.
    """
    path = Path(path)
    if path.suffix == ".net":
        if backend not in (None, "fixed"):
            raise InputError(f"--backend {backend}", "cannot run an integer network", "Use --backend fixed")
        backend = "fixed"
    elif backend == "fixed":
        raise InputError("--backend fixed", "needs an integer network", "Export the checkpoint first: snnface export")
    if path.suffix in (".net", ".nir"):
        opened = open_network(path)
        return _of_network(path, opened.runnable, opened.network, None, backend)
    description = path.with_suffix(".json")
    if description.is_file() and "matched_cnn" in read_json(description):
        cnn, meta = checkpoint.load(path, "matched_cnn", MatchedCnn)
        return Opened(of_model(cnn), MatchedCnn.step_us, torch.tensor(meta["mean_shape"]), None)
    encoder, meta = checkpoint.load(path)
    network, grid = encoder.to_network(), trained_grid(meta, path)
    if grid is not None:
        network = as_it_runs(network, grid)
    shape = torch.tensor(meta["mean_shape"]) if "mean_shape" in meta else None
    return _of_network(path, network, network, shape, backend)


def _of_network(
    path: Path,
    runnable: Network | IntegerNetwork,
    network: Network,
    mean_shape: torch.Tensor | None,
    backend: str | None,
) -> Opened:
    sizes = {name: head.stop - head.start for name, head in network.heads.items()}
    lacking = [f"'{name}' of {size} rows" for name, size in MEASURED.items() if sizes.get(name) != size]
    if lacking:
        what = f"has no head {', '.join(lacking)}"
        raise InputError(
            path, what, "Evaluate what snnface train made, or name the rows of a readout (docs/nir.md, Heads)"
        )
    return Opened(of_network(runnable, network.heads, backend), network.step_us, mean_shape, network)

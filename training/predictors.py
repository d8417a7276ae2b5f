"""A network of any kind as a predictor: float backends, the integer network, the CNN baselines."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnface import backends, checkpoint
from snnface.batch import EventBatch
from snnface.errors import InputError
from snnface.files import read_json
from snnface.hardware.grid import trained_grid
from snnface.hardware.rounded import as_it_runs
from snnface.heads import decode
from snnface.network import Network
from snnface.training.baselines import MatchedCnn
from snnface.training.evaluate import Predictor


def of_network(network: Network, backend: str | None = None) -> Predictor:
    """Run plain numbers on a float backend, the fastest by default."""
    run = backends.get(backend or backends.fastest())

    def predict(batch: EventBatch) -> Any:
        trace = run(network, batch)
        return decode(trace.readout, network.heads), trace

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
    """Open a checkpoint or a netx file.

    Raises :class:`InputError` where file and backend do not go together.
    """
    path = Path(path)
    if path.suffix == ".net":
        if backend not in (None, "fixed"):
            raise InputError(f"--backend {backend}", "cannot run an integer network", "Use --backend fixed")
        return _open_net(path)
    if backend == "fixed":
        raise InputError("--backend fixed", "needs an integer network", "Export the checkpoint first: snnface export")
    description = path.with_suffix(".json")
    if description.is_file() and "matched_cnn" in read_json(description):
        cnn, meta = checkpoint.load(path, "matched_cnn", MatchedCnn)
        return Opened(of_model(cnn), MatchedCnn.step_us, torch.tensor(meta["mean_shape"]), None)
    encoder, meta = checkpoint.load(path)
    network, grid = encoder.to_network(), trained_grid(meta, path)
    if grid is not None:
        network = as_it_runs(network, grid)
    shape = torch.tensor(meta["mean_shape"]) if "mean_shape" in meta else None
    return Opened(of_network(network, backend), network.step_us, shape, network)


def _open_net(path: Path) -> Opened:
    run = backends.get("fixed")
    (geometry,) = (e.load() for e in entry_points(group="snnface.geometries", name="net"))
    network = geometry(path)

    def predict(batch: EventBatch) -> Any:
        trace = run(path, batch)
        return decode(trace.readout, network.heads), trace

    return Opened(predict, network.step_us, None, network)

"""A network of any kind as a predictor: float backends, the integer network, the CNN baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from snnface import backends, checkpoint
from snnface.batch import EventBatch
from snnface.errors import InputError
from snnface.files import read_json
from snnface.heads import decode
from snnface.network import Head, Network
from snnface.training.baselines import MatchedCnn
from snnface.training.evaluate import Predictor


def of_network(network: Network, backend: str = "torch") -> Predictor:
    """Run plain numbers on a float backend."""
    run = backends.get(backend)

    def predict(batch: EventBatch) -> Any:
        trace = run(network, batch)
        return decode(trace.readout, network.heads), trace

    return predict


def of_model(model: nn.Module) -> Predictor:
    """A torch model as it is (the CNN baselines)."""
    return torch.no_grad()(model)


def open_predictor(path: str | Path, backend: str | None = None) -> tuple[Predictor, int, torch.Tensor | None]:
    """A checkpoint or a netx file: its predictor, the time between its answers (µs), and its mean training shape.

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
        return of_model(cnn), MatchedCnn.step_us, torch.tensor(meta["mean_shape"])
    encoder, meta = checkpoint.load(path)
    network = encoder.to_network()
    shape = torch.tensor(meta["mean_shape"]) if "mean_shape" in meta else None
    return of_network(network, backend or "torch"), network.step_us, shape


def _open_net(path: Path) -> tuple[Predictor, int, None]:
    run = backends.get("fixed")
    manifest = read_json(path.with_name(path.name + ".json"))
    heads = {
        name: Head(h["start"], h["stop"], np.asarray(h["scale"], np.float32), np.asarray(h["offset"], np.float32))
        for name, h in manifest["heads"].items()
    }

    def predict(batch: EventBatch) -> Any:
        trace = run(path, batch)
        return decode(trace.readout, heads), trace

    return predict, int(manifest["step_us"]), None

"""What a model card is made of: training, data and people, work on a chip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from snnface import checkpoint
from snnface.backends import get as get_backend
from snnface.datasets.store import Store
from snnface.files import file_sha256, read_json
from snnface.hardware.inputs import read_clips
from snnface.hardware.integers.network import IntegerNetwork
from snnface.hardware.profiling.geometry import geometry

#: Clips whose work is counted.
_COUNTED = 8
_METRICS = ("au_top1", "au_top3", "au_top5", "expression_acc", "nme", "nme_mean_shape", "clips", "identities")


def of_checkpoint(path: Path) -> dict[str, Any]:
    """Where the weights come from: hashes, validation metrics, the recipe's seed where its run folder is there."""
    meta = _meta(path)
    run = path.with_name("run.json")
    described = read_json(run) if run.is_file() else {}
    metrics = meta.get("metrics") or {}
    return {
        "file": path.name,
        "sha256": file_sha256(path.with_suffix(path.suffix or ".safetensors")),
        "training_data_sha256": meta.get("data_sha256"),
        "validation": {k: metrics[k] for k in _METRICS if k in metrics},
        "seed": described.get("recipe", {}).get("training", {}).get("seed"),
        "epochs": described.get("recipe", {}).get("training", {}).get("epochs"),
        "teacher": bool(described.get("recipe", {}).get("teacher")) if described else None,
        "versions": described.get("versions"),
    }


def _meta(path: Path) -> dict[str, Any]:
    """What a checkpoint says of its training; nothing for a network of another library."""
    return {} if path.suffix == ".nir" else checkpoint.load(path)[1]


def of_data(path: Path, clips: int, source: Path) -> dict[str, Any]:
    """A data set: what made it, its people by split, and whether the checkpoint was trained on it."""
    store = Store(path)
    settings = store.generator.get("settings", {})
    people = {
        name: len(np.unique(store.identity[store.split == i]))
        for i, name in enumerate(("train", "validation", "test"))
    }
    trained = _meta(source).get("data_sha256")
    return {
        "file": path.name,
        "sha256": file_sha256(path),
        "clips": len(store),
        # as read_clips chooses: of those to train on, of all where there are none
        "calibration_clips": min(clips, int((store.split == 0).sum()) or len(store)),
        "people": people,
        "generator": store.generator.get("name"),
        "synthetic": "code" in settings and "layout" not in settings,
        "sensor": settings.get("sensor"),
        "seed": settings.get("seed"),
        "is_training_data": trained is not None and store.content_sha256() == trained,
    }


def of_work(network: IntegerNetwork, net: Path, data: Path) -> dict[str, Any]:
    """Operations, energy, latency and cores by chip, counted in the chip's arithmetic on some clips of a data set."""
    from snnface.hardware.profiling.profile import CHIPS, profile

    batch = read_clips(data, _COUNTED, split=0)
    found = profile(geometry(network, net), [(batch, get_backend("fixed")(network, batch))], CHIPS)
    return {"clips": batch.size, "data": data.name} | {
        k: found[k] for k in ("seconds", "synops", "spikes", "updates", "neurons", "synops_per_s", "chips")
    }

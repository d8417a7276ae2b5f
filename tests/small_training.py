"""Short training runs on the tiny data set, and what their folders hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from snnface.training import recipe as recipes

SMALL = (
    "network.conv=[{channels=4}, {channels=6}]",
    "network.dense=[{features=12}]",
    "training.batch=5",
    "training.epochs=3",
)
#: Batches in a pass over the 12 training clips.
PER_EPOCH = 3
#: Everything at once and unchanged, for runs that are to learn these clips by heart.
BY_HEART = (
    "training.batch=12", "training.epochs=12", "training.lr=2e-2", "augment.flip=false", "augment.shift_pixels=0",
    "augment.scale=0.0", "augment.turn_degrees=0.0", "augment.drop_events=0.0", "losses.landmarks=1.0",
)  # fmt: skip


def settings(data: Path, *extra: str, name: str = "student") -> recipes.Recipe:
    return recipes.load(name, [*SMALL, f"data.train={data}", *extra])


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return load_file(run / f"{name}.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def log(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]

"""Networks of lava-dl's training library, written by its own exporter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from snnface.hardware.lava.shims import import_slayer

SHAPE, STEPS = (2, 9, 13), 24
NAMES = ("layers", "parameters")


def spikes(seed: int = 0) -> np.ndarray:
    """Input ``[T, 2, 9, 13]``."""
    return (np.random.default_rng(seed).random((STEPS, *SHAPE)) < 0.3).astype(np.int64)


def export(name: str, path: Path) -> None:
    """Build one of :data:`NAMES`, run it once, as the exporter needs, and write it; ImportError without lava-dl.

    "layers": grouped convolutions, delays, a recurrent layer, weight normalisation; no input layer. "parameters": an
    input layer, decays of each neuron, and an affine layer without spikes.
    """
    slayer = import_slayer()
    torch.manual_seed(7)
    with torch.no_grad():
        blocks = {"layers": _layers, "parameters": _parameters}[name](slayer.block.cuba)
        x = torch.from_numpy(spikes()).float().permute(1, 2, 3, 0)[None]
        for block in blocks:
            x = block(x)
        with h5py.File(path, "w") as f:
            for i, block in enumerate(blocks):
                if getattr(block, "delay", None) is not None:  # it has its shape after the first run
                    block.delay.delay.copy_(torch.arange(block.delay.delay.numel()).view_as(block.delay.delay) % 5)
                block.export_hdf5(f.create_group(f"layer/{i}"))


def _layers(cuba: Any) -> list[Any]:
    neuron = {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.03}
    return [
        cuba.Conv(neuron, 2, 6, 3, stride=2, padding=1, weight_scale=3),
        cuba.Conv(neuron, 6, 8, (3, 2), padding=(1, 0), groups=2, weight_scale=3),
        cuba.Flatten(),
        cuba.Dense(neuron, 8 * 5 * 6, 12, weight_scale=3, delay=True),
        cuba.Recurrent(neuron, 12, 8, weight_scale=4),
        cuba.Dense(neuron, 8, 5, weight_norm=True, weight_scale=4),
    ]


def _parameters(cuba: Any) -> list[Any]:
    own = {"threshold": 1.0, "current_decay": (0.1, 1.0), "voltage_decay": (0.0, 0.5), "shared_param": False}
    neuron = {"threshold": 0.8, "current_decay": 1.0, "voltage_decay": 0.1}
    return [
        cuba.Input(None, delay_shift=False),
        cuba.Conv(neuron, 2, 5, (2, 3), stride=(2, 1), dilation=(1, 2), weight_scale=3),
        cuba.Flatten(),
        cuba.Dense(own, 5 * 4 * 9, 10, weight_scale=3),
        cuba.Affine(neuron, 10, 4, weight_scale=3),
    ]

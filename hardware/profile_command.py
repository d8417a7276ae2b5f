"""The command ``snnface profile``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from snnface import checkpoint
from snnface.backends import get as get_backend
from snnface.batch import EventBatch, collate_events
from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.hardware.baseline_macs import baselines
from snnface.hardware.geometry import geometry
from snnface.hardware.integer import IntegerNetwork
from snnface.hardware.profile import CHIPS
from snnface.hardware.profile import profile as profile_network
from snnface.network import Network
from snnface.progress import track

SPLITS = {"train": 0, "validation": 1, "test": 2}
#: Clips that are run at a time: their spikes at every step stand in memory together.
BATCH = 4


def profile(
    model: Annotated[Path, typer.Argument(help="A checkpoint (.safetensors) or a netx network (.net).")],
    data: Annotated[Path, typer.Option(help="Data set whose events are counted (.h5).")],
    chip: Annotated[list[str] | None, typer.Option(help=f"{', '.join(CHIPS)} (all), or a chip's .toml file.")] = None,
    split: Annotated[str | None, typer.Option(help="train, validation or test; all clips without it.")] = None,
) -> dict[str, Any]:
    """Count what a network does on a data set; energy, latency and cores by chip, CNNs beside it.

    Energies are models with their source, in µJ per second of recording.

    Example: snnface profile out/demo/model.safetensors --data out/demo/test.h5 --chip loihi2 --chip cmos45
    """
    runnable, network, backend = _open(model)
    batches = _batches(data, split, network.input_shape)
    run = get_backend(backend)
    runs = ((batch, run(runnable, batch)) for batch in batches)
    return profile_network(network, runs, chip or CHIPS, baselines(network))


def _open(model: Path) -> tuple[Network | IntegerNetwork, Network, str]:
    """What the backend runs, its shapes as a :class:`Network`, and the backend's name."""
    if model.suffix == ".net":
        from snnface.hardware.manifest import load

        integer = load(model)
        return integer, geometry(integer, model), "fixed"
    network = checkpoint.load(model)[0].to_network()
    return network, network, "torch"


def _batches(data: Path, split: str | None, shape: tuple[int, int, int]) -> Iterator[EventBatch]:
    if split is not None and split not in SPLITS:
        raise InputError("--split", f"{split} is unknown", f"Use one of {', '.join(SPLITS)}")
    store = Store(data)
    if (store.height, store.width) != shape[1:]:
        raise InputError(
            data,
            f"holds {store.width}x{store.height} pixels, the network takes {shape[2]}x{shape[1]}",
            "Convert it with snnface convert --size",
        )
    chosen = np.flatnonzero(store.split == SPLITS[split]) if split else np.arange(len(store.split))
    if len(chosen) == 0:
        raise InputError(data, f"has no {split or ''} clips", "Choose another split")
    groups = [chosen[i : i + BATCH] for i in range(0, len(chosen), BATCH)]
    for group in track(groups, "profile"):
        yield collate_events(
            [store.events(int(i)) for i in group],
            [int(store.duration_us[i]) for i in group],
            store.width,
            store.height,
        )

"""The command ``snnface neurobench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from snnface.batch import EventBatch
from snnface.errors import InputError
from snnface.facs import AU_INDEX
from snnface.files import file_sha256, write_json
from snnface.hardware.inputs import collated, split_of
from snnface.hardware.integers.network import IntegerNetwork
from snnface.hardware.opening import open_network


def neurobench(
    model: Annotated[Path, typer.Argument(help="A checkpoint (.safetensors), a netx (.net) or a NIR file (.nir).")],
    data: Annotated[Path, typer.Option(help="Data set (.h5); clips with an action unit are used.")],
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    clips: Annotated[int, typer.Option(min=1, help="How many clips, spread over the set.")] = 16,
    out: Annotated[Path | None, typer.Option(help="Write the answer here (.json).")] = None,
) -> dict[str, Any]:
    """Measure a network with NeuroBench's own harness; compare its counts with ours.

    Footprint (bytes), connection and activation sparsity, synaptic operations a clip (multiply-accumulates where the
    input carries payloads, accumulates elsewhere), accuracy of the action unit. Example:

    snnface neurobench out/demo/model.net --data out/demo/test.h5 --clips 16 --out out/demo/neurobench.json
    """
    from snnface.hardware.neurobench.harness import run

    network = open_network(model).runnable
    chosen, labels = _clips(data, split, clips, network.input_shape)
    answer = run(network, chosen, labels) | {
        "network": model.name,
        "sha256": file_sha256(model if model.suffix in (".net", ".nir") else model.with_suffix(".safetensors")),
        "data": data.name,
        "split": split,
        "arithmetic": "8 bit" if isinstance(network, IntegerNetwork) else "float32",
    }
    if out is not None:
        write_json(out, answer)
    return answer


def _clips(data: Path, split: str, most: int, shape: tuple[int, ...]) -> tuple[list[EventBatch], list[int]]:
    """Clips with an action unit, each a batch of its own, and their classes."""
    store, chosen = split_of(data, split, shape)
    labels = np.array([AU_INDEX.get(int(au), -1) for au in store.au])
    chosen = chosen[labels[chosen] >= 0]
    if len(chosen) == 0:
        raise InputError(data, f"has no {split} clips with an action unit", "Choose another split")
    # spread over the set: a person's clips follow one another
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(most, len(chosen))).astype(int)]
    return [collated(store, [i]) for i in chosen], labels[chosen].tolist()

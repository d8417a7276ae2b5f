"""Certificates: run a network twice, in two implementations, on the same input, and compare everything."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from snnface import __version__
from snnface.errors import InputError
from snnface.files import file_sha256
from snnface.hardware import golden, manifest
from snnface.hardware.certificate import compare, shortcomings, state_steps
from snnface.hardware.inputs import Clips, read_clips

OBSERVATION = (
    "u and v are copied by Lava's own LIF models after each of their steps (subclasses that only observe); "
    "spikes are received from the layers' output ports"
)


def against_lava(
    net: Path, clips: Clips, time_limit_s: float, record: Path | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Compare the integer simulator with real Lava; returns the certificate and its shortcomings.

    Clips run back to back: netx resets layer i at the step that its first input reaches, and the run is as many
    steps longer as there are layers, so that the last clip's end arrives everywhere.
    """
    from snnface.hardware.lava import process

    network = manifest.load(net)
    count, length = clips.x.shape[:2]
    x = np.concatenate([*clips.x, np.zeros((len(network.layers), *network.input_shape), np.int32)])
    interval = length if count > 1 else None
    kept = state_steps(network, len(x), [length * (i + 1) - 1 for i in range(count)])
    graded = clips.mode == "graded"
    with process.run(net, x, kept, graded, interval, 1, time_limit_s) as (recording, answer):
        layers = compare(network, x, recording, interval)
        about = {
            "against": "lava",
            "what": "spike-exact comparison with Lava's fixed-point simulation (no chip was used)",
            "versions": {"snnface": __version__, **answer["versions"]},
            "patches": answer["patches"],
            "observation": OBSERVATION,
            "lava_wall_s": round(answer["wall_s"], 2),
            "data": clips.source,
            "input": clips.mode,
        }
        if record is not None:
            stored = golden.Golden(file_sha256(net), x.astype(np.uint8), interval, 1, recording, about)
            golden.save(record, stored)
    return _certificate(about, net, x, layers, kept, count, length, len(network.layers))


def against_golden(net: Path, golden_path: Path) -> tuple[dict[str, Any], list[str]]:
    """Compare the integer simulator with a stored recording of real Lava, on that recording's input."""
    stored = golden.load(golden_path)
    if stored.network_sha256 != file_sha256(net):
        raise InputError(
            golden_path, f"was recorded from another network than {net}", "Give the network it belongs to"
        )
    network = manifest.load(net)
    x = stored.input.astype(np.int32)
    if len(stored.recording.s) != len(network.layers) or x.shape[1:] != network.input_shape:
        raise InputError(golden_path, "does not fit this network", "Record it again")
    layers = compare(network, x, stored.recording, stored.reset_interval, stored.reset_offset)
    length = stored.reset_interval or len(x) - len(network.layers)
    about = stored.about | {"against": f"golden:{golden_path}"}
    kept = stored.recording.state_steps.tolist()
    return _certificate(
        about, net, x, layers, kept, (len(x) - len(network.layers)) // length, length, len(network.layers)
    )


def _certificate(
    about: dict[str, Any],
    net: Path,
    x: np.ndarray,
    layers: list[dict[str, Any]],
    kept: list[int],
    clips: int,
    length: int,
    lag: int,
) -> tuple[dict[str, Any], list[str]]:
    found = shortcomings(layers)
    certificate = about | {
        "network": str(net),
        "clips": clips,
        "steps_per_clip": length,
        "steps": len(x),
        "latency_steps": lag,
        "neuron_steps": sum(row["neurons"] for row in layers) * len(x),
        "states_compared": "every step" if len(kept) == len(x) else f"{len(kept)} of {len(x)} steps",
        "layers": layers,
        **{f"differing_{k}": sum(row[f"differing_{k}"] for row in layers) for k in ("spikes", "u", "v")},
        "sha256": {"network": file_sha256(net), "input": hashlib.sha256(x.astype("<i4").tobytes()).hexdigest()},
        "found": found,
        "passed": not found,
    }
    return certificate, found


@contextmanager
def network_file(path: Path, mode: str | None, data: str | Path | None, clips: int) -> Iterator[Path]:
    """The netx file to verify: the variant for ``mode``, or a checkpoint's quantisation in a temporary folder."""
    if path.suffix != ".safetensors":
        yield path if mode is None else manifest.variant(path, mode)
        return
    from snnface import checkpoint as checkpoints
    from snnface.hardware.quantise import quantise

    network = checkpoints.load(path)[0].to_network()
    calibration = None if data is None or Path(data).suffix == ".npy" else read_clips(data, clips)
    with tempfile.TemporaryDirectory(prefix="snnface-verify-") as folder:
        net = Path(folder) / f"{path.stem}.net"
        manifest.save(net, quantise(network, calibration, mode), {"checkpoint": str(path)})
        yield net

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
from snnface.files import file_sha256, write_json
from snnface.hardware.inputs import Clips, chip_input, read_clips, shape_of_data
from snnface.hardware.netx_files import manifest
from snnface.hardware.opening import open_float
from snnface.hardware.verifying import golden
from snnface.hardware.verifying.certificate import certificate, compare, state_steps

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

    count, length = clips.x.shape[:2]
    network = manifest.load(net, clips.x.shape[2:])
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
    return certificate(_facts(about, net, x, layers, kept, count, length), layers)


def against_golden(net: Path, golden_path: Path) -> tuple[dict[str, Any], list[str]]:
    """Compare the integer simulator with a stored recording of real Lava, on that recording's input."""
    stored = golden.load(golden_path)
    if stored.network_sha256 != file_sha256(net):
        raise InputError(
            golden_path, f"was recorded from another network than {net}", "Give the network it belongs to"
        )
    x = stored.input.astype(np.int32)
    network = manifest.load(net, x.shape[1:])
    if len(stored.recording.s) != len(network.layers) or x.shape[1:] != network.input_shape:
        raise InputError(golden_path, "does not fit this network", "Record it again")
    layers = compare(network, x, stored.recording, stored.reset_interval, stored.reset_offset)
    length = stored.reset_interval or len(x) - len(network.layers)
    about = stored.about | {"against": f"golden:{golden_path}"}
    kept = stored.recording.state_steps.tolist()
    count = (len(x) - len(network.layers)) // length
    return certificate(_facts(about, net, x, layers, kept, count, length), layers)


def certify(net: Path, time_limit_s: float = 600) -> Path:
    """Compare an exported network with Lava on one clip of random spikes or payloads.

    Returns the certificate's path, which is the network's with ``.certificate.json`` behind it. Raises
    :class:`InputError` where Lava is absent.
    """
    certificate, _ = against_lava(net, chip_input(manifest.load(net), None, 1), time_limit_s)
    path = Path(f"{net}.certificate.json")
    write_json(path, certificate | {"network": net.name})
    return path


def _facts(
    about: dict[str, Any],
    net: Path,
    x: np.ndarray,
    layers: list[dict[str, Any]],
    kept: list[int],
    clips: int,
    length: int,
) -> dict[str, Any]:
    states = "every step" if len(kept) == len(x) else f"{len(kept)} of {len(x)} steps"
    return about | {
        "compared": ["every spike of every layer and step", f"every current and voltage at {states}"],
        "not_compared": ["any chip: Lava's fixed-point simulation stands for it"],
        "network": str(net),
        "clips": clips,
        "steps_per_clip": length,
        "steps": len(x),
        "latency_steps": len(layers),
        "neuron_steps": sum(row["neurons"] for row in layers) * len(x),
        "states_compared": states,
        "sha256": {"network": file_sha256(net), "input": hashlib.sha256(x.astype("<i4").tobytes()).hexdigest()},
    }


def verify(
    path: Path,
    against: str,
    data: Path | None,
    clips: int,
    mode: str | None,
    record: Path | None,
    time_limit_s: float,
    seed: int,
    semantics: str | None,
    step_us: int | None,
) -> tuple[dict[str, Any], list[str]]:
    """Run a network file in two implementations, the one that ``against`` names and ours; as ``snnface verify``.

    Returns the certificate and its shortcomings. Raises :class:`InputError` where file and implementation do not go
    together.
    """
    is_nir, is_float = path.suffix == ".nir", path.suffix in (".safetensors", ".nir")
    if against.startswith("nir:"):
        from snnface.hardware.verifying.nir import against_reader, nir_file

        if not is_float:
            raise InputError(path, f"is not a network that --against {against} takes", "Give a checkpoint or .nir")
        with nir_file(path, None if is_nir else open_float(path).network) as file:
            return against_reader(file, against.removeprefix("nir:"), data, clips, semantics, seed=seed)
    if against in ("snntorch", "norse"):
        from snnface.hardware.verifying.floats import against_float

        if not is_float:
            what = f"is not a checkpoint, which --against {against} needs"
            raise InputError(path, what, "Give NAME.safetensors or NAME.nir")
        return against_float(path, open_float(path, semantics).network, against, data, clips)
    if against.startswith("golden:"):
        if is_float:
            raise InputError(path, "is no netx file, and golden files belong to one", "Give NAME.net")
        return against_golden(path, Path(against.removeprefix("golden:")))
    if against == "lava":
        with _network_file(path, mode, data, clips, semantics) as net:
            taken = chip_input(manifest.load(net, shape_of_data(data)), data, clips, mode, seed, step_us)
            return against_lava(net, taken, time_limit_s, record)
    known = "lava, snntorch, norse, golden:FILE or nir:READER"
    raise InputError("--against", f"does not know '{against}'", f"Use {known}")


@contextmanager
def _network_file(
    path: Path, mode: str | None, data: str | Path | None, clips: int, semantics: str | None
) -> Iterator[Path]:
    """The netx file to verify: the variant for ``mode``, or, in a temporary folder, what export makes of a checkpoint
    or a NIR file."""
    if path.suffix not in (".safetensors", ".nir"):
        yield path if mode is None else manifest.variant(path, mode)
        return
    calibration = None if data is None or Path(data).suffix == ".npy" else read_clips(data, clips)
    with tempfile.TemporaryDirectory(prefix="snnface-verify-") as folder:
        net = Path(folder) / f"{path.stem}.net"
        plain = open_float(path, semantics, biases=True)
        manifest.save(net, plain.quantised(calibration, mode, plain.bits), {"checkpoint": str(path)})
        yield net

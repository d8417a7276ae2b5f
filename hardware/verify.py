"""Certificates: run a network twice, in two implementations, on the same input, and compare everything."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snnface import __version__
from snnface.errors import InputError
from snnface.files import file_sha256
from snnface.hardware import golden, manifest
from snnface.hardware.certificate import compare, shortcomings, state_steps
from snnface.hardware.fixed_point import payloads
from snnface.hardware.integer import IntegerNetwork

if TYPE_CHECKING:
    from snnface.batch import EventBatch

#: Steps and density of the random input where no data is given.
_RANDOM_STEPS, _RANDOM_DENSITY = 64, 0.05
OBSERVATION = (
    "u and v are copied by Lava's own LIF models after each of their steps (subclasses that only observe); "
    "spikes are received from the layers' output ports"
)


@dataclass(frozen=True)
class Clips:
    """Integer input of N clips of the same length, int32 ``[N, T, *input_shape]``, and where it comes from."""

    x: np.ndarray
    source: str
    mode: str


def read_clips(path: str | Path, clips: int, split: int = 2) -> EventBatch:
    """The first clips of a split (0 train, 1 validation, 2 test) of a data set, of all of it where it is empty."""
    from snnface.batch import collate_events
    from snnface.datasets.store import Store

    store = Store(path)
    chosen = np.flatnonzero(np.asarray(store.split) == split)
    chosen = (chosen if len(chosen) else np.arange(len(store)))[:clips]
    if len(chosen) == 0:
        raise InputError(path, "holds no clips", "Give a data set with clips")
    events = [store.events(int(i)) for i in chosen]
    return collate_events(events, [int(store.duration_us[i]) for i in chosen], store.width, store.height)


def chip_input(
    network: IntegerNetwork, data: str | Path | None, clips: int, mode: str, seed: int, where: str | Path = "input"
) -> Clips:
    """Integer input of a verification: a data set, an array of spikes or payloads, or (None) random spikes."""
    if data is None:
        rng = np.random.default_rng(seed)
        shape = (clips, _RANDOM_STEPS, *network.input_shape)
        payload = rng.integers(1, 32, shape) if mode == "graded" else 1
        x = (rng.random(shape) < _RANDOM_DENSITY) * payload
        return Clips(x.astype(np.int32), f"random, seed {seed}", mode)
    if Path(data).suffix == ".npy":
        x = read_spikes(data, network.input_shape)
        return Clips(x[None], str(data), "graded" if x.max(initial=0) > 1 else mode)
    if network.host is None:
        raise InputError(
            where, "has no manifest, so events cannot be turned into its input", "Give --data SPIKES.npy"
        )
    blocks = [block.astype(np.int32) for block in payloads(network, read_clips(data, clips))]
    return Clips(np.concatenate(blocks).swapaxes(0, 1), str(data), network.host.input_mode)


def read_spikes(path: str | Path, input_shape: tuple[int, ...]) -> np.ndarray:
    """An input array ``[T, *input_shape]`` (or ``[T, N]``) of non-negative integers, int32."""
    try:
        x = np.load(path, allow_pickle=False)
    except FileNotFoundError as e:
        raise InputError(path, "does not exist", "Check the path") from e
    except (OSError, ValueError, EOFError) as e:
        raise InputError(path, f"is not a readable .npy array ({e})", "Write it with numpy.save") from e
    if not isinstance(x, np.ndarray) or x.ndim < 2 or len(x) == 0 or x[0].size != np.prod(input_shape):
        raise InputError(
            path,
            f"has shape {getattr(x, 'shape', '?')}, the network takes {('T', *input_shape)}",
            "Give one step a row: [T, C, H, W] or [T, N]",
        )
    if x.dtype.kind not in "biuf" or not np.array_equal(x, whole := x.astype(np.int64)):
        raise InputError(path, "holds values that are not integers", "Give spikes (0 and 1) or integer payloads")
    if whole.min() < 0 or whole.max() > 255:
        raise InputError(path, "holds payloads outside 0..255", "Payloads have 8 bits")
    return whole.reshape(len(x), *input_shape).astype(np.int32)


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
    return _certificate(about, net, x, layers, kept, len(x) // length, length, len(network.layers))


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


def against_float(
    checkpoint: Path, peer: str, data: str | Path | None, clips: int
) -> tuple[dict[str, Any], list[str]]:
    """Compare our float64 reference with another float64 backend (snnTorch, Norse) on a checkpoint."""
    import torch

    from snnface import backends, checkpoint as checkpoints

    if data is None or Path(data).suffix == ".npy":
        raise InputError("verify", f"against {peer} needs events", "Give --data DATA.h5")
    network = checkpoints.load(checkpoint)[0].to_network()
    batch = read_clips(data, clips)
    ours, theirs = (backends.get(n)(network, batch, dtype=torch.float64) for n in ("torch", peer))
    layers = []
    for layer, a, b in zip(network.layers, [*ours.spikes, None], [*theirs.spikes, None], strict=False):
        row: dict[str, Any] = {"name": layer.name, "spiking": layer.spiking, "neurons": layer.neurons}
        if a is None or b is None:
            gap = (ours.readout - theirs.readout).abs()
            limit = 1e-9 * float(ours.readout.abs().max().clamp(min=1))
            row |= {"spikes": 0, "rate": 0.0, "differing_spikes": 0, "differing_u": None}
            row |= {"differing_v": int((gap > limit).sum()), "largest_gap": float(gap.max())}
        else:
            row |= {"spikes": int(a.sum()), "rate": float(a.to(torch.float64).mean())}
            row |= {"differing_spikes": int((a != b).sum()), "differing_u": None, "differing_v": None}
        layers.append(row)
    steps, count = ours.readout.shape[:2]
    found = shortcomings([{k: v or 0 if k.startswith("differing") else v for k, v in row.items()} for row in layers])
    return {
        "against": peer,
        "what": "spikes of every step in float64; backends keep currents and membranes of spiking layers to themselves",
        "versions": {"snnface": __version__, "torch": torch.__version__, peer: _version(peer)},
        "data": str(data),
        "input": network.input_mode,
        "network": str(checkpoint),
        "clips": count,
        "steps": steps,
        "neuron_steps": sum(row["neurons"] for row in layers) * steps * count,
        "layers": layers,
        "differing_spikes": sum(row["differing_spikes"] for row in layers),
        "sha256": {"network": file_sha256(checkpoint.with_suffix(".safetensors")), "input": file_sha256(data)},
        "found": found,
        "passed": not found,
    }, found


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


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

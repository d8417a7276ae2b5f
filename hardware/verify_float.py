"""Certificates of float backends: our float64 reference against snnTorch or Norse, on a checkpoint."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from snnface import __version__
from snnface.errors import InputError
from snnface.files import file_sha256
from snnface.hardware.certificate import shortcomings
from snnface.hardware.inputs import read_clips


def against_float(
    checkpoint: Path, peer: str, data: str | Path | None, clips: int
) -> tuple[dict[str, Any], list[str]]:
    """Compare our float64 reference with another float64 backend (snnTorch, Norse) on a checkpoint."""
    from snnface import backends
    from snnface import checkpoint as checkpoints

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
        "what": "spikes of every step in float64; u and v of spiking layers stay inside the backends",
        "versions": {"snnface": __version__, "torch": torch.__version__, peer: version(peer)},
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

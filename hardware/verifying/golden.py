"""Golden files: recordings of real Lava, small enough to keep, for comparisons where Lava is absent.

HDF5: ``input`` ``[T, *input_shape]``, ``state_steps`` ``[K]``, ``layer/i/{s,u,v}`` in torch's order; attributes
``network_sha256``, ``reset_interval`` (0: none), ``reset_offset`` and ``about`` (JSON: versions, patches, input).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snnface.errors import InputError
from snnface.hardware.verifying.certificate import Recording
from snnface.hdf5 import new_file


@dataclass(frozen=True)
class Golden:
    """One recording with the input it belongs to."""

    network_sha256: str
    input: np.ndarray
    reset_interval: int | None
    reset_offset: int
    recording: Recording
    about: dict[str, Any]


def save(path: str | Path, golden: Golden) -> None:
    """Write a golden file atomically."""
    recording = golden.recording
    with new_file(path, libver="latest") as (f, _):
        f.attrs["network_sha256"] = golden.network_sha256
        f.attrs["reset_interval"] = golden.reset_interval or 0
        f.attrs["reset_offset"] = golden.reset_offset
        f.attrs["about"] = json.dumps(golden.about)
        _store(f, "input", golden.input)
        _store(f, "state_steps", recording.state_steps)
        for i, arrays in enumerate(zip(recording.s, recording.u, recording.v, strict=True)):
            for name, array in zip("suv", arrays, strict=True):
                _store(f, f"layer/{i}/{name}", array)


def _store(f: h5py.File, name: str, array: np.ndarray) -> None:
    """One compressed chunk a dataset: many small chunks would need more space for their index than for values."""
    f.create_dataset(name, data=array, chunks=array.shape, compression="gzip", compression_opts=9, shuffle=True)


def load(path: str | Path) -> Golden:
    """Read a golden file; raises :class:`InputError` where it is absent or broken."""
    try:
        with h5py.File(path, "r") as f:
            layers = [f[f"layer/{i}"] for i in range(len(f["layer"]))]
            s, u, v = ([layer[name][()] for layer in layers] for name in "suv")
            return Golden(
                str(f.attrs["network_sha256"]),
                f["input"][()],
                int(f.attrs["reset_interval"]) or None,
                int(f.attrs["reset_offset"]),
                Recording(s, u, v, f["state_steps"][()]),
                json.loads(f.attrs["about"]),
            )
    except FileNotFoundError as e:
        raise InputError(path, "does not exist", "Record it with snnface verify --record") from e
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as e:
        raise InputError(path, f"is not a golden file ({e})", "Record it with snnface verify --record") from e

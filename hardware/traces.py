"""Traces of a simulation as HDF5: ``layer/i/{s,u,v}``, synaptic layers in order, one row a step."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnface.hardware.integer import IntegerNetwork
from snnface.hardware.native import fastest
from snnface.hdf5 import new_file

_BLOCK = 64


def write_traces(
    path: str | Path, network: IntegerNetwork, x: np.ndarray, reset_interval: int | None, reset_offset: int
) -> tuple[list[int], dict[str, int]]:
    """Simulate integer input ``[T, *input_shape]`` in Lava's timing and write every step.

    ``s`` is bool, ``u`` and ``v`` (after reset) int32, each ``[T, *shape]``. Returns the number of spikes of
    each layer, and of wrapped currents by layer name.
    """
    sim = fastest(
        network,
        lag=True,
        reset_interval=reset_interval,
        reset_offset=reset_offset,
        largest_input=max(1, int(x.max(initial=1))),
    )
    counts = np.zeros(len(network.layers), np.int64)
    with new_file(path) as (f, disk):
        for i, layer in enumerate(network.layers):
            for name, dtype in (("s", np.bool_), ("u", np.int32), ("v", np.int32)):
                f.create_dataset(f"layer/{i}/{name}", (len(x), *layer.shape_out), dtype)
            f[f"layer/{i}"].attrs["name"] = layer.name
        for start in range(0, len(x), _BLOCK):
            rows = slice(start, min(start + _BLOCK, len(x)))
            for i, trace in enumerate(sim.advance(x[rows, None], states=range(len(counts)))):
                counts[i] += trace.s.sum()
                for name in "suv":
                    f[f"layer/{i}/{name}"][rows] = getattr(trace, name)[:, 0]
            disk.check()
    return counts.tolist(), sim.wraps

"""Traces of a simulation as HDF5: ``layer/i/{s,u,v}``, synaptic layers in order, one row a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from snnface.errors import InputError
from snnface.hardware.inputs import read_spikes, shape_of
from snnface.hardware.integers.native import fastest
from snnface.hardware.integers.network import IntegerNetwork
from snnface.hardware.netx_files.read import read_net
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


def simulate_file(
    net: Path, spikes: Path, out: Path, interval: int | None, offset: int, dt: float | None, semantics: str | None
) -> dict[str, Any]:
    """``snnface simulate`` of a netx file, or of a NIR file, which has ``dt`` and ``semantics``: its answer."""
    if net.suffix == ".nir":
        from snnface.hardware.nir_files.simulate import simulate_file as simulate_nir

        if interval is not None:
            raise InputError(net, "is a NIR file, which starts at rest once", "Leave --reset-interval out")
        return simulate_nir(net, spikes, out, semantics, dt)
    if dt is not None or semantics is not None:
        raise InputError(net, "is a netx file, whose steps have no length", "Leave --dt and --semantics out")
    network = read_net(net, shape_of(spikes))
    x = read_spikes(spikes, network.input_shape)
    counts, wraps = write_traces(out, network, x, interval, offset)
    answer = {"layers": len(network.layers), "spikes": counts, "steps": len(x), "wraps": wraps}
    return answer | {"warnings": list(network.warnings), "out": str(out)}

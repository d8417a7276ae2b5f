"""Comparing the integer simulator, value by value, with what another implementation recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from snnface.hardware.fixed_point import Simulator
from snnface.hardware.integer import IntegerNetwork

#: Share of its neuron-steps in which every layer but a readout has to spike for a comparison to mean something.
RATES = (0.001, 0.2)
#: Steps from the start at each of which currents and voltages are compared at least.
PREFIX = 32
#: Above this many bytes of recorded states, only the prefix and the ends of clips are recorded.
STATE_BYTES = 1 << 30
_BLOCK = 32


@dataclass(frozen=True)
class Recording:
    """What an implementation did, per synaptic layer, in Lava's timing.

    ``s``: bool ``[T, *shape]``; ``u``, ``v``: int32 ``[K, *shape]`` after the steps ``state_steps`` (from 0).
    """

    s: list[np.ndarray]
    u: list[np.ndarray]
    v: list[np.ndarray]
    state_steps: np.ndarray


def state_steps(network: IntegerNetwork, steps: int, clip_ends: list[int]) -> list[int]:
    """The steps at which to compare states: all where that fits :data:`STATE_BYTES`, else prefix and clip ends.

    A clip's last step reaches layer i after i + 1 further steps, so an end stands for as many steps as layers.
    """
    if network.neurons * steps * 8 <= STATE_BYTES:
        return list(range(steps))
    ends = {end + i for end in clip_ends for i in range(len(network.layers) + 1)}
    return sorted(t for t in ends | set(range(PREFIX)) if t < steps)


def compare(
    network: IntegerNetwork, x: np.ndarray, recording: Recording, reset_interval: int | None, reset_offset: int = 1
) -> list[dict[str, Any]]:
    """Simulate integer input ``[T, *input_shape]`` and compare every recorded spike, current and voltage.

    One dict a layer: ``name``, ``spiking``, ``neurons``, ``spikes``, ``rate``, ``differing_spikes``, ``_u``,
    ``_v`` and ``first`` (field, step, neuron index, both values of the first difference, or None).
    """
    sim = Simulator(
        network,
        lag=True,
        reset_interval=reset_interval,
        reset_offset=reset_offset,
        largest_input=max(1, int(np.abs(x).max(initial=1))),
    )
    rows: list[dict[str, Any]] = [
        {"name": x.name, "spiking": x.spiking, "neurons": x.neurons, "spikes": 0}
        | {f"differing_{kind}": 0 for kind in ("spikes", "u", "v")}
        | {"first": None}
        for x in network.layers
    ]
    for start in range(0, len(x), _BLOCK):
        traces = sim.advance(x[start : start + _BLOCK, None], states=range(len(rows)))
        stop = start + len(traces[0].s)
        low, high = np.searchsorted(recording.state_steps, (start, stop))
        kept = recording.state_steps[low:high] - start
        for i, (row, trace) in enumerate(zip(rows, traces, strict=True)):
            row["spikes"] += int(trace.s.sum())
            pairs = (
                ("spikes", trace.s[:, 0], recording.s[i][start:stop], np.arange(start, stop)),
                ("u", trace.u[kept, 0], recording.u[i][low:high], kept + start),
                ("v", trace.v[kept, 0], recording.v[i][low:high], kept + start),
            )
            for kind, ours, theirs, steps in pairs:
                different = ours != theirs
                count = int(different.sum())
                row[f"differing_{kind}"] += count
                if count and row["first"] is None:
                    at = tuple(int(n) for n in np.argwhere(different)[0])
                    row["first"] = {
                        "field": kind,
                        "step": int(steps[at[0]]),
                        "neuron": list(at[1:]),
                        "simulator": int(ours[at]),
                        "other": int(theirs[at]),
                    }
    for row in rows:
        row["rate"] = row["spikes"] / (row["neurons"] * len(x))
    return rows


def shortcomings(layers: list[dict[str, Any]]) -> list[str]:
    """Why a comparison proves nothing or fails; empty where every layer agrees and spikes as it should."""
    found = []
    for row in layers:
        differing = {k: row[f"differing_{k}"] for k in ("spikes", "u", "v") if row[f"differing_{k}"]}
        if differing:
            found.append(f"layer {row['name']} differs: " + ", ".join(f"{n:,} {k}" for k, n in differing.items()))
        if row["spiking"] and not RATES[0] <= row["rate"] <= RATES[1]:
            found.append(
                f"layer {row['name']} spikes in {row['rate']:.3%} of its neuron-steps, "
                f"outside {RATES[0]:.1%}-{RATES[1]:.0%}"
            )
    return found

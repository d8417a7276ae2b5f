"""Comparing one of our simulators, value by value, with what another implementation did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnface.hardware.integers.native import fastest
from snnface.hardware.integers.network import IntegerNetwork

#: Share of its neuron-steps in which every layer but a readout has to spike for a comparison to mean something.
RATES = (0.001, 0.2)
#: Steps from the start at each of which currents and voltages are compared at least.
PREFIX = 32
#: Above this many bytes of recorded states, only the prefix and the ends of clips are recorded.
STATE_BYTES = 1 << 30
_BLOCK = 32
#: Spikes ``[T, …]``, currents and membranes ``[K, …]`` of one layer in a block of steps; None: not observed.
States = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]
#: What no certificate of ours compares.
NOT_COMPARED = (
    "how the host turns events into input, and membranes into answers",
    "time and energy",
)


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

    One dict a layer, as :func:`tally` fills it.
    """
    sim = fastest(
        network,
        lag=True,
        reset_interval=reset_interval,
        reset_offset=reset_offset,
        largest_input=max(1, int(np.abs(x).max(initial=1))),
    )
    rows = [new_row(layer.name, layer.spiking, layer.neurons) for layer in network.layers]
    for start in range(0, len(x), _BLOCK):
        traces = sim.advance(x[start : start + _BLOCK, None], states=range(len(rows)))
        stop = start + len(traces[0].s)
        low, high = np.searchsorted(recording.state_steps, (start, stop))
        kept = recording.state_steps[low:high]
        for i, (row, trace) in enumerate(zip(rows, traces, strict=True)):
            ours = trace.s[:, 0], trace.u[kept - start, 0], trace.v[kept - start, 0]
            theirs = recording.s[i][start:stop], recording.u[i][low:high], recording.v[i][low:high]
            tally(row, np.arange(start, stop), kept, ours, theirs)
    return rows


def new_row(name: str, spiking: bool, neurons: int) -> dict[str, Any]:
    """A layer of which nothing has been compared yet."""
    counts = {"spikes": 0, "rate": 0.0, "differing_spikes": 0, "differing_u": 0, "differing_v": 0}
    return {"name": name, "spiking": spiking, "neurons": neurons, **counts, "first": None, "steps": 0}


def tally(
    row: dict[str, Any],
    steps: np.ndarray,
    kept: np.ndarray,
    ours: States,
    theirs: States,
    tolerance: float = 0.0,
    **about: Any,
) -> None:
    """Add a block of steps to a layer's row.

    Spikes are compared exactly at ``steps``; currents and membranes at ``kept``, where they differ if they are
    further apart than ``tolerance`` times the larger of 1 and the largest (floats of other precision). The row gets
    ``spikes``, ``rate``, ``differing_spikes``, ``_u``, ``_v`` (None where a side was not observed), with a tolerance
    ``largest_gap`` of the states, and ``first``, the earliest difference (of one step: currents before spikes before
    membranes): field, step, neuron (its index in the layer), both values, both states at that step, and ``about``.
    Where that is a spike and ``about`` has a ``threshold``, ``below_threshold`` is the distance from it of the
    membrane on the side that kept silent.
    """
    sides = list(zip(("u", "spikes", "v"), (1, 0, 2), (kept, steps, kept), strict=True))
    earliest: tuple[int, str, tuple[int, ...], Any, Any] | None = None
    for field, side, at_steps in sides:
        a, b = ours[side], theirs[side]
        if a is None or b is None:
            row[f"differing_{field}"] = None
            continue
        if field == "spikes" or tolerance == 0:
            different = a != b
        else:
            gap = np.abs(a - b)
            different = gap > tolerance * max(1.0, float(np.abs(a).max(initial=0)))
            row["largest_gap"] = max(row.get("largest_gap", 0.0), float(gap.max(initial=0)))
        count = int(different.sum())
        row[f"differing_{field}"] += count
        if count and row["first"] is None:
            at = tuple(int(n) for n in np.argwhere(different)[0])
            if earliest is None or at_steps[at[0]] < earliest[0]:
                earliest = int(at_steps[at[0]]), field, at[1:], a[at].item(), b[at].item()
    if earliest is not None:
        step, field, neuron, a, b = earliest
        row["first"] = {"field": field, "step": step, "neuron": list(neuron), "simulator": a, "other": b} | about
        row["first"] |= _states_at(int(step), kept, neuron, ours, theirs)
        if field == "spikes" and "threshold" in about and "v" in row["first"]:
            row["first"]["below_threshold"] = about["threshold"] - row["first"]["v"][int(a)]
    spikes = ours[0]
    if spikes is not None:
        row["spikes"] += int(spikes.sum())
        row["steps"] += len(steps)
        row["rate"] = row["spikes"] / (row["neurons"] * row["steps"])


def _states_at(
    step: int, kept: np.ndarray, neuron: tuple[int, ...], ours: States, theirs: States
) -> dict[str, list[float]]:
    """Current and membrane of one neuron after one step, ours and the other's, where both were observed."""
    where = np.flatnonzero(kept == step)
    found = {}
    for name, side in (("u", 1), ("v", 2)):
        a, b = ours[side], theirs[side]
        if len(where) and a is not None and b is not None:
            found[name] = [a[(where[0], *neuron)].item(), b[(where[0], *neuron)].item()]
    return found


def certificate(about: dict[str, Any], layers: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """A certificate from what is known of a comparison and its layers' rows; and its shortcomings.

    ``first_difference``: that of the first layer that differs, by name (later layers follow from it).
    """
    rows = [{key: value for key, value in row.items() if key != "steps"} for row in layers]
    found = shortcomings(rows)
    first = next(({"layer": row["name"], **row["first"]} for row in rows if row["first"]), None)
    answer = about | {
        "not_compared": [*about.get("not_compared", ()), *NOT_COMPARED],
        "layers": rows,
        **{f"differing_{k}": _sum([row[f"differing_{k}"] for row in rows]) for k in ("spikes", "u", "v")},
        "first_difference": first,
        "found": found,
        "passed": not found,
    }
    return answer, found


def _sum(counts: list[int | None]) -> int | None:
    """The sum of what was counted, None where nothing was."""
    known = [n for n in counts if n is not None]
    return sum(known) if known else None


def shortcomings(layers: Sequence[dict[str, Any]]) -> list[str]:
    """Why a comparison proves nothing or fails; empty where every layer agrees and spikes as it should."""
    found = []
    for row in layers:
        differing = {k: row[f"differing_{k}"] for k in ("spikes", "u", "v") if row[f"differing_{k}"]}
        if differing:
            found.append(
                f"layer {row['name']} differs: {', '.join(f'{n:,} {k}' for k, n in differing.items())}; {_said(row)}"
            )
        if row["spiking"] and not RATES[0] <= row["rate"] <= RATES[1]:
            found.append(
                f"layer {row['name']} spikes in {row['rate']:.3%} of its neuron-steps, "
                f"outside {RATES[0]:.1%}-{RATES[1]:.0%}"
            )
    return found


def _said(row: dict[str, Any]) -> str:
    first = row.get("first")
    if not first:
        return "where, was not recorded"
    neuron = ", ".join(str(n) for n in first["neuron"])
    return (
        f"first {first['field']} of neuron ({neuron}) at step {first['step']}: "
        f"{first['simulator']:g} here, {first['other']:g} there"
        + (f", {first['below_threshold']:.1e} below the threshold" if "below_threshold" in first else "")
    )

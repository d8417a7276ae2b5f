"""Energy and latency from counts and a chip's figures: a model, not a measurement.

    E = synops·E_synop + updates·E_idle + spikes·(E_active − E_idle) + spikes·E_spike

with the first layer's synaptic operations at ``synop_payload`` where the input carries weights and the chip
tells them apart. Energies come out in µJ per second of recording (= µW).
"""

from __future__ import annotations

from snnface.counts import Counts
from snnface.hardware.chip import Chip
from snnface.network import Network

PJ_TO_UJ = 1e-6


def energy_uj_per_s(counts: Counts, chip: Chip, weighted_input: bool) -> float:
    """Energy of active operations, µJ per second of recording; ``weighted_input``: the input is not unary."""
    e = chip.energy_pj
    first = counts.layers[0].synops
    first_pj = e.synop_payload if weighted_input and e.synop_payload else e.synop
    spikes = counts.total("spikes")
    total_pj = (
        first * first_pj.value
        + (counts.total("synops") - first) * e.synop.value
        + counts.total("updates") * e.update_idle.value
        + spikes * (e.update_active.value - e.update_idle.value + e.spike.value)
    )
    return total_pj * PJ_TO_UJ / counts.seconds


def spiking_memory_accesses(counts: Counts) -> int:
    """32-bit operands moved, nothing reused: weight, current in and out a synaptic operation; u and v in and out
    a neuron update."""
    return 3 * counts.total("synops") + 4 * counts.total("updates")


def latency_us(network: Network, counts: Counts, chip: Chip, cores: list[int]) -> dict[str, float]:
    """From an event to the answer that contains it, at worst, when steps follow the clock; parts in µs.

    ``step``: an event waits for the end of its step. ``lag``: on a chip with layer lag the answer comes one step
    a layer later. ``processing``: the busiest step of the slowest layer, its neurons and synaptic operations
    spread evenly over its cores, but no less than the chip's shortest step.
    """
    t = chip.time_ns
    assert t is not None
    slowest = max(
        (layer.neurons * t.update_active.value + layer.busiest_synops * t.synop.value) / n
        for layer, n in zip(counts.layers, cores, strict=True)
    )
    lag = len(network.layers) * network.step_us if chip.layer_lag else 0
    return {"step": float(network.step_us), "lag": float(lag), "processing": max(slowest, t.step.value) / 1e3}

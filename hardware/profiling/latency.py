"""From an event to the answer that contains it: step, layer lag, processing."""

from __future__ import annotations

from collections.abc import Sequence

from snnface.counts import Counts
from snnface.hardware.placing.chip import Chip
from snnface.network import Network


def step_times_us(counts: Counts, chip: Chip, cores: Sequence[int]) -> list[float]:
    """Time of each layer's busiest step, µs: its neurons and synaptic operations spread evenly over its cores."""
    t = chip.time_ns
    assert t is not None
    return [
        (layer.neurons * t.update_active.value + layer.busiest_synops * t.synop.value) / n / 1e3
        for layer, n in zip(counts.layers, cores, strict=True)
    ]


def latency_us(network: Network, counts: Counts, chip: Chip, cores: Sequence[int]) -> dict[str, float]:
    """From an event to the answer that contains it, at worst, when steps follow the clock; parts in µs.

    ``step``: an event waits for the end of its step. ``lag``: on a chip with layer lag the answer comes one step
    a layer later. ``processing``: the busiest step of the slowest layer, but no less than the chip's shortest step.
    """
    assert chip.time_ns is not None
    slowest = max(step_times_us(counts, chip, cores))
    lag = len(network.layers) * network.step_us if chip.layer_lag else 0
    return {
        "step": float(network.step_us),
        "lag": float(lag),
        "processing": max(slowest, chip.time_ns.step.value / 1e3),
    }

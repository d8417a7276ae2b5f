"""PilotNet LIF on Loihi 2: the model beside the one system measurement of such a network that is published.

The measurement: lava-dl's tutorial ``pilotnet_snn/benchmark`` prints, for one chip on an Oheo Gulch board, 74 cores,
408.91 inferences of 16 steps a second, 0.679234 W in all and 0.232078 W static, 1.661103 mJ an inference, of which
1.093544 dynamic. Its input layer stands on the chip (13 cores of neurons driven by their bias).

The activity: what lava-dl recorded of the same network on one camera frame (``tests/lava/lib/dl/netx/gts/
pilotnet_lif``, spikes of every layer in 24 steps). The tutorial runs one frame too, but says not which, so spike
counts of the measured run may differ.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from snnface.counts import Counts, LayerCounts, fan_out
from snnface.hardware.placing.chip import EnergyTable, load_chip
from snnface.hardware.placing.cores import conv_cut
from snnface.hardware.placing.placement import place
from snnface.hardware.placing.traffic import messages
from snnface.hardware.profiling.energy import FORMULA, energy
from snnface.hardware.profiling.latency import step_times_us
from snnface.network import Network, SynapticLayer, conv_shape

STEPS, RECORDED_STEPS = 16, 24
MEASURED = {
    "cores": 74,
    "inferences_per_s": 408.91,
    "total_w": 0.679234,
    "static_w": 0.232078,
    "total_mj": 1.661103,
    "dynamic_mj": 1.093544,
}
SOURCE = "lava-dl 0.6: tutorials/lava/lib/dl/netx/pilotnet_snn/benchmark.ipynb (printed outputs)"
ACTIVITY_SOURCE = "lava-dl 0.6: tests/lava/lib/dl/netx/gts/pilotnet_lif (spikes of 24 steps on one frame)"
#: Spikes of the input layer and of every layer after it, and the most in one step.
SPIKES = (843_085, 166_897, 63_672, 23_247, 14_567, 6_770, 226, 49, 8, 0)
MOST_SPIKES = (38_314, 22_176, 5_485, 1_400, 1_232, 760, 47, 8, 3, 0)
#: Channels, stride and padding (y, x); kernels are 3×3.
CONVOLUTIONS = (
    (24, (2, 2), (0, 0)),
    (36, (2, 2), (0, 0)),
    (48, (2, 2), (0, 0)),
    (64, (2, 1), (1, 0)),
    (64, (1, 1), (0, 0)),
)


def network() -> Network:
    """PilotNet's layers, weights zero (shapes are all that is asked of it)."""
    shape: tuple[int, ...] = (3, 66, 200)
    layers = []
    for i, (channels, stride, padding) in enumerate(CONVOLUTIONS):
        weight = np.zeros((channels, shape[0], 3, 3), np.int8)
        out = conv_shape(shape, weight.shape, stride, padding, (1, 1))
        layers.append(
            SynapticLayer(f"conv{i + 1}", "conv", weight, shape, out, 0.5, 0.5, stride=stride, padding=padding)
        )
        shape = out
    for i, features in enumerate((100, 50, 10, 1)):
        weight = np.zeros((features, math.prod(shape)), np.int8)
        layers.append(SynapticLayer(f"dense{i + 1}", "dense", weight, shape, (features,), 0.5, 0.5))
        shape = (features,)
    return Network((3, 66, 200), 1000, 1000.0, "unary", tuple(layers))


def compare() -> dict[str, Any]:
    """Model and measurement side by side, with the factor between them (model ÷ measured)."""
    chip, net = load_chip("loihi2"), network()
    assert chip.core is not None
    assert chip.static_mw is not None
    placement = place(net, chip)
    own = conv_cut(200, 66, 3, 0, chip.core)
    counts = _counts(net)
    spent = energy(counts, chip, False, sum(messages(placement, counts) or ())).times(1e-3)  # µJ/s → mJ an inference
    input_mj = _input_energy_pj(chip.energy_pj) * 1e-9
    dynamic = spent.value + input_mj
    cores = [placed.cores or 0 for placed in placement.layers]
    busiest_us = max(step_times_us(counts, chip, cores))
    mean_us = max(step_times_us(_even(counts), chip, cores))
    measured_step_us = 1e6 / MEASURED["inferences_per_s"] / STEPS
    static_mj = chip.static_mw.value / MEASURED["inferences_per_s"]
    rows = [
        _against("cores", sum(cores) + own.cores, MEASURED["cores"]),
        _against("dynamic energy, mJ/inference", dynamic, MEASURED["dynamic_mj"]),
        _against("dynamic energy and static power, mJ/inference", dynamic + static_mj, MEASURED["total_mj"]),
        _against("time of a step, µs, if all were as busy as the busiest", busiest_us, measured_step_us),
        _against("time of a step, µs, the mean", mean_us, measured_step_us),
    ]
    return {
        "rows": rows,
        "energy_factor": rows[1]["factor"],
        "range_mj": [spent.low + input_mj, spent.high + input_mj],
        "formula": FORMULA,
        "synops_an_inference": counts.total("synops"),
        "model": chip.model,
        "source": SOURCE,
        "activity": ACTIVITY_SOURCE,
    }


def _input_energy_pj(table: EnergyTable) -> float:
    """The input layer's neurons: one update each a step, active where they spike."""
    assert table.update_idle is not None
    assert table.update_active is not None
    idle, active = table.update_idle.value, table.update_active.value
    spikes = SPIKES[0] * STEPS / RECORDED_STEPS
    return 200 * 66 * 3 * STEPS * idle + spikes * (active - idle)


def _counts(net: Network) -> Counts:
    """An inference's counts: fan-out as the mean over the source neurons (within 5 % of the recorded layer's own)."""
    share = STEPS / RECORDED_STEPS
    layers = []
    for i, layer in enumerate(net.layers):
        reach = float(fan_out(layer).mean())
        layers.append(
            LayerCounts(
                layer.name,
                layer.neurons,
                layer.weight.size,
                synops=round(SPIKES[i] * reach * share),
                busiest_synops=round(MOST_SPIKES[i] * reach),
                spikes=round(SPIKES[i + 1] * share),
                updates=layer.neurons * STEPS,
            )
        )
    return Counts(tuple(layers), 1, STEPS, 1.0, 0, round(SPIKES[0] * share))


def _even(counts: Counts) -> Counts:
    """The same, every step as busy as the mean."""
    return replace(counts, layers=tuple(replace(c, busiest_synops=c.synops // counts.steps) for c in counts.layers))


def _against(what: str, model: float, measured: float) -> dict[str, Any]:
    return {"what": what, "model": model, "measured": measured, "factor": model / measured}

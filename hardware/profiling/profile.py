"""What a network costs: counts, then energy, latency and cores by chip, and the CNNs it replaces beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from snnface.batch import EventBatch
from snnface.counts import Counts, count
from snnface.forward import Trace
from snnface.hardware.placing.chip import NOT_PUBLISHED, Chip, Figure, chip_names, load_chip
from snnface.hardware.placing.cores import WEIGHT_BITS
from snnface.hardware.placing.placement import Placement, place
from snnface.hardware.placing.traffic import messages
from snnface.hardware.profiling.energy import (
    FORMULA,
    PJ_TO_UJ,
    energy,
    energy_uj_per_s,
    missing,
    spiking_memory_accesses,
)
from snnface.hardware.profiling.latency import latency_us
from snnface.network import Network

#: The chip on which spiking networks and CNNs are compared.
FOOTING = "cmos45"
CHIPS = ("loihi2", "loihi1", FOOTING)


def profile(
    network: Network,
    runs: Iterable[tuple[EventBatch, Trace]],
    chips: Sequence[str] = CHIPS,
    baselines: Mapping[str, int] | None = None,
    bits: int | None = None,
) -> dict[str, Any]:
    """Count what ``network`` did in ``runs`` (a batch and what a backend made of it) and price it.

    ``baselines``: name → multiply-accumulates a second of a CNN at 30 frames/s; ``bits`` of a weight
    (:func:`weight_bits` by default). The answer holds the totals
    ``synops``, ``spikes``, ``updates``, ``steps``, ``neurons``, ``parameters``, the same by layer, one row a chip,
    one a baseline, and the memory traffic of network and baselines on the common footing. Energies are µJ per
    second of recording, by a model and not by measurement: every row carries its source.
    """
    described = [load_chip(name) for name in chips]
    return priced(network, count(network, runs), described, baselines or {}, bits)


def priced(
    network: Network,
    counts: Counts,
    chips: Sequence[Chip],
    baselines: Mapping[str, int] | None = None,
    bits: int | None = None,
) -> dict[str, Any]:
    """The answer of :func:`profile` for counts that are there already."""
    footing = load_chip(FOOTING)
    spiking = energy_uj_per_s(counts, footing, network.input_mode != "unary")
    baselines, bits = baselines or {}, bits or weight_bits(network)
    return {
        **{name: counts.total(name) for name in ("synops", "spikes", "updates", "neurons", "parameters")},
        "steps": counts.steps,
        "clips": counts.clips,
        "seconds": counts.seconds,
        "input_events": counts.input_events,
        "input_spikes": counts.input_spikes,
        "synops_per_s": counts.total("synops") / counts.seconds,
        "layers": [vars(layer) for layer in counts.layers],
        "energy_formula": FORMULA,
        "chips": [_chip_row(network, counts, chip, bits) for chip in chips],
        "baselines": [_baseline_row(name, macs, footing, spiking) for name, macs in baselines.items()],
        "processors": [row for name, macs in baselines.items() for row in _processor_rows(name, macs)],
        "memory": _memory_rows(counts, baselines, footing),
    }


def weight_bits(network: Network) -> int:
    """Bits a weight: of integer networks what their weights need beside an exponent, of others the chip's 8."""
    if not all(np.issubdtype(layer.weight.dtype, np.integer) for layer in network.layers):
        return WEIGHT_BITS
    widest = 2
    for layer in network.layers:
        divisor = int(np.gcd.reduce(np.abs(layer.weight), axis=None)) or 1
        unit = divisor & -divisor
        low, high = int(layer.weight.min()) // unit, int(layer.weight.max()) // unit
        widest = max(widest, 1 + max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0))
    return min(WEIGHT_BITS, widest)


def _chip_row(network: Network, counts: Counts, chip: Chip, bits: int) -> dict[str, Any]:
    """One chip: what it does not publish, or what has no machine behind it, is None; ``missing`` names it."""
    placement = place(network, chip, bits)
    sent = messages(placement, counts)
    absent = missing(chip)
    spent = None if absent else energy(counts, chip, network.input_mode != "unary", sum(sent) if sent else None)
    row: dict[str, Any] = {
        "name": chip.name,
        "energy_uj_per_s": spent.value if spent else None,
        "energy_low_uj_per_s": spent.low if spent else None,
        "energy_high_uj_per_s": spent.high if spent else None,
        "static_uj_per_s": chip.static_mw.value * 1e3 if chip.static_mw else None,
        "latency_us": None,
        "cores": placement.cores,
        "fits": placement.fits,
        "problems": list(placement.problems),
    }
    if placement.cores is not None:
        row |= {"chips": placement.chips, "cores_counted": placement.counted, **_cores(placement)}
        row["messages_per_s"] = sum(sent or ()) / counts.seconds
    if placement.cores is not None and chip.time_ns:
        parts = latency_us(network, counts, chip, row["cores_of_layers"])
        row |= {"latency_us": sum(parts.values())} | {f"latency_{name}_us": us for name, us in parts.items()}
    if chip.kind == "neuromorphic":
        absent += [name for name, there in (("core", chip.core), ("time_ns", chip.time_ns)) if there is None]
        absent += [] if chip.static_mw else ["static_mw"]
    row["missing"] = [f"{name}: {NOT_PUBLISHED}" for name in absent]
    model = chip.model
    if row["fits"] is False and any("payloads" in problem for problem in placement.problems):
        model += "; this chip's spikes carry no payloads: it would need the unary input"
    return {**row, "model": model, "source": chip.source}


def _cores(placement: Placement) -> dict[str, Any]:
    """Cores by layer, the fewest that hold them, and the limit that is nearest to full."""
    cuts = [placed.cut for placed in placement.layers if placed.cut is not None]
    least = [placed.least_cores or placed.cores or 0 for placed in placement.layers]
    return {
        "cores_of_layers": [cut.cores for cut in cuts],
        "cores_least": sum(least),
        "binds": [cut.load.binds for cut in cuts],
    }


def _baseline_row(name: str, macs: int, footing: Chip, spiking_uj_per_s: float) -> dict[str, Any]:
    spent = macs * _figure(footing.energy_pj.mac).value * PJ_TO_UJ
    return {
        "name": name,
        "macs_per_s": macs,
        "energy_uj_per_s": spent,
        "times_spiking": spent / spiking_uj_per_s,
        "model": "a model, not a measurement: 30 frames/s at the encoder's input size, in fp32",
        "source": _figure(footing.energy_pj.mac).source,
    }


def _processor_rows(name: str, macs: int) -> list[dict[str, Any]]:
    """A CNN on every processor that publishes its efficiency."""
    rows = []
    for chip in map(load_chip, chip_names()):
        if chip.kind == "processor" and chip.energy_pj.mac:
            mac = chip.energy_pj.mac
            spent = macs * mac.value * PJ_TO_UJ
            rows.append({"name": name, "on": chip.name, "energy_uj_per_s": spent, "source": mac.source})
    return rows


def _memory_rows(counts: Counts, baselines: Mapping[str, int], footing: Chip) -> list[dict[str, Any]]:
    """Operands moved on the common footing: two a multiply-accumulate of a CNN (weight, input)."""
    access = _figure(footing.energy_pj.memory_access)
    moved = {"spiking": spiking_memory_accesses(counts) / counts.seconds}
    moved |= {name: 2.0 * macs for name, macs in baselines.items()}
    return [
        {"name": name, "accesses_per_s": n, "energy_uj_per_s": n * access.value * PJ_TO_UJ, "source": access.source}
        for name, n in moved.items()
    ]


def _figure(figure: Figure | None) -> Figure:
    assert figure is not None, f"{FOOTING} states a CNN's multiply-accumulate and memory access"
    return figure

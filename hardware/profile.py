"""What a network costs: counts, then energy, latency and cores by chip, and the CNNs it replaces beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from snnface.batch import EventBatch
from snnface.counts import Counts, count
from snnface.forward import Trace
from snnface.hardware.chip import Chip, Figure, load_chip
from snnface.hardware.cores import network_cores
from snnface.hardware.energy import PJ_TO_UJ, energy_uj_per_s, latency_us, spiking_memory_accesses
from snnface.network import Network

#: The chip on which spiking networks and CNNs are compared.
FOOTING = "cmos45"
CHIPS = ("loihi2", "loihi1", FOOTING)


def profile(
    network: Network,
    runs: Iterable[tuple[EventBatch, Trace]],
    chips: Sequence[str] = CHIPS,
    baselines: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Count what ``network`` did in ``runs`` (a batch and what a backend made of it) and price it.

    ``baselines``: name → multiply-accumulates a second of a CNN at 30 frames/s. The answer holds the totals
    ``synops``, ``spikes``, ``updates``, ``steps``, ``neurons``, ``parameters``, the same by layer, one row a chip,
    one a baseline, and the memory traffic of network and baselines on the common footing. Energies are µJ per
    second of recording, by a model and not by measurement: every row carries its source.
    """
    footing, described = load_chip(FOOTING), [load_chip(name) for name in chips]
    counts = count(network, runs)
    weighted = network.input_mode != "unary"
    spiking = energy_uj_per_s(counts, footing, weighted)
    baselines = baselines or {}
    return {
        **{name: counts.total(name) for name in ("synops", "spikes", "updates", "neurons", "parameters")},
        "steps": counts.steps,
        "clips": counts.clips,
        "seconds": counts.seconds,
        "input_events": counts.input_events,
        "input_spikes": counts.input_spikes,
        "synops_per_s": counts.total("synops") / counts.seconds,
        "layers": [vars(layer) for layer in counts.layers],
        "chips": [_chip_row(network, counts, chip, weighted) for chip in described],
        "baselines": [_baseline_row(name, macs, footing, spiking) for name, macs in baselines.items()],
        "memory": _memory_rows(counts, baselines, footing),
    }


def _chip_row(network: Network, counts: Counts, chip: Chip, weighted: bool) -> dict[str, Any]:
    """One chip: cores and latency are None where the model has no machine behind it."""
    row: dict[str, Any] = {
        "name": chip.name,
        "energy_uj_per_s": energy_uj_per_s(counts, chip, weighted),
        "static_uj_per_s": chip.static_mw.value * 1e3 if chip.static_mw else None,
        "latency_us": None,
        "cores": None,
        "fits": None,
    }
    model = chip.model
    if chip.core and chip.time_ns:
        cores = network_cores(network, chip.core)
        parts = latency_us(network, counts, chip, cores)
        payloads = weighted and not chip.graded_input
        row |= {"latency_us": sum(parts.values())} | {f"latency_{name}_us": us for name, us in parts.items()}
        row |= {
            "cores": sum(cores),
            "cores_of_layers": cores,
            "fits": sum(cores) <= chip.core.cores.value and not payloads,
        }
        if payloads:
            model += "; this chip's spikes carry no payloads: it would need the unary input"
    return {**row, "model": model, "source": chip.source}


def _baseline_row(name: str, macs: int, footing: Chip, spiking_uj_per_s: float) -> dict[str, Any]:
    energy = macs * _figure(footing.energy_pj.mac).value * PJ_TO_UJ
    return {
        "name": name,
        "macs_per_s": macs,
        "energy_uj_per_s": energy,
        "times_spiking": energy / spiking_uj_per_s,
        "model": "a model, not a measurement: 30 frames/s at the encoder's input size, in fp32",
        "source": _figure(footing.energy_pj.mac).source,
    }


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

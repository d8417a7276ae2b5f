"""Energy from counts and a chip's figures: a model, not a measurement.

    E = synops·E_synop + updates·E_idle + spikes·(E_active − E_idle) + messages·E_spike

with the first layer's synaptic operations at ``synop_payload`` where the input carries weights and the chip tells
them apart. A message is a spike on its way to one core; where no cores are known a spike counts as one. Energies
come out in µJ per second of recording (= µW); their range takes the least and the largest published figure of every
operation. Static power is apart: it is spent whatever the network does.
"""

from __future__ import annotations

from dataclasses import dataclass

from snnface.counts import Counts
from snnface.hardware.placing.chip import Chip, Figure

PJ_TO_UJ = 1e-6
FORMULA = "synops·E_synop + updates·E_idle + spikes·(E_active − E_idle) + messages·E_spike"
#: What the formula needs of a chip.
NEEDED = ("synop", "update_idle", "update_active", "spike")


@dataclass(frozen=True)
class Energy:
    """µJ per second of recording: by the chip's figures, and from the least and the largest that are published."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Energy:
        """The same over another time."""
        return Energy(self.value * factor, self.low * factor, self.high * factor)


def missing(chip: Chip) -> list[str]:
    """Fields of the formula that are not published for this chip."""
    return [f"energy_pj.{name}" for name in NEEDED if getattr(chip.energy_pj, name) is None]


def energy(counts: Counts, chip: Chip, weighted_input: bool, messages: float | None = None) -> Energy:
    """Energy of active operations for a second of recording.

    ``weighted_input``: the input is not unary; ``messages``: spikes times the cores that each is sent to, in all.

    Raises
    ------
    ValueError: a figure of the formula is not published (:func:`missing`).
    """
    table = chip.energy_pj
    synop, idle, active, spike = (_published(table, name, chip) for name in NEEDED)
    first_synop = (table.synop_payload if weighted_input else None) or synop
    spikes, updates = counts.total("spikes"), counts.total("updates")
    first = counts.layers[0].synops
    parts: tuple[tuple[float, Figure], ...] = (
        (first, first_synop),
        (counts.total("synops") - first, synop),
        (updates - spikes, idle),
        (spikes, active),
        (spikes if messages is None else messages, spike),
    )
    per_second = PJ_TO_UJ / counts.seconds
    return Energy(
        sum(n * figure.value for n, figure in parts) * per_second,
        sum(n * figure.ends[0] for n, figure in parts) * per_second,
        sum(n * figure.ends[1] for n, figure in parts) * per_second,
    )


def energy_uj_per_s(counts: Counts, chip: Chip, weighted_input: bool, messages: float | None = None) -> float:
    """The value of :func:`energy` alone."""
    return energy(counts, chip, weighted_input, messages).value


def spiking_memory_accesses(counts: Counts) -> int:
    """32-bit operands moved, nothing reused: weight, current in and out a synaptic operation; u and v in and out
    a neuron update."""
    return 3 * counts.total("synops") + 4 * counts.total("updates")


def _published(table: object, name: str, chip: Chip) -> Figure:
    figure = getattr(table, name)
    if figure is None:
        raise ValueError(f"{chip.name}: energy_pj.{name} is not published")
    assert isinstance(figure, Figure)
    return figure

"""Two recordings or data sets, statistic by statistic."""

from __future__ import annotations

from dataclasses import dataclass

from snnface.statistics.catalogue import STATISTICS
from snnface.statistics.counts import Counts
from snnface.statistics.measures import Measured
from snnface.statistics.scale import Scale, scale_of
from snnface.statistics.source import Counted


@dataclass(frozen=True)
class Comparison:
    """Statistics by name: of both, their distance, and how far apart the halves of each are (None: not measured)."""

    scale: Scale
    measured: tuple[dict[str, Measured], dict[str, Measured]]
    distances: dict[str, float | None]
    within: tuple[dict[str, float | None], dict[str, float | None]]


def compared(a: Counted, b: Counted) -> Comparison:
    """Statistics of both on the scales that both can show, and all distances; those of halves on scales of theirs."""
    scale = scale_of(a.whole, b.whole)
    measured = _measured(a.whole, scale), _measured(b.whole, scale)
    return Comparison(scale, measured, _distances(*measured), (_within(a), _within(b)))


def _measured(counts: Counts, scale: Scale) -> dict[str, Measured]:
    return {s.name: s.measure(counts, scale) for s in STATISTICS}


def _distances(a: dict[str, Measured], b: dict[str, Measured]) -> dict[str, float | None]:
    return {s.name: s.distance(a[s.name], b[s.name]) for s in STATISTICS}


def _within(one: Counted) -> dict[str, float | None]:
    if one.halves is None:
        return dict.fromkeys(s.name for s in STATISTICS)
    scale = scale_of(*one.halves)
    return _distances(*(_measured(half, scale) for half in one.halves))

"""Which networks are worth having: budgets, and the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from snnface.errors import InputError

#: What a network costs; less is better.
COSTS = ("energy_uj_per_s", "latency_us", "cores")
#: What a budget may bound.
BUDGETS = (*COSTS, "footing_uj_per_s", "synops_per_s", "parameters")
MEASURES = ("au_top1", "au_top3", "expression_acc")


def parse_budget(text: str | None) -> dict[str, float]:
    """``"cores=120,energy_uj_per_s=500"`` → bounds; raises :class:`InputError` naming what cannot be read."""
    found: dict[str, float] = {}
    for part in filter(None, (text or "").split(",")):
        name, _, value = part.partition("=")
        if name.strip() not in BUDGETS:
            raise InputError(f"--budget {part}", "is no budget", f"Use {', '.join(BUDGETS)}, as in cores=120")
        try:
            found[name.strip()] = float(value)
        except ValueError as e:
            raise InputError(f"--budget {part}", "is not NAME=NUMBER", "Write --budget cores=120") from e
        if found[name.strip()] <= 0:
            raise InputError(f"--budget {part}", "leaves nothing", "Give a number above 0")
    return found


def within(point: Mapping[str, Any], budget: Mapping[str, float]) -> bool:
    """Whether a trained network keeps every bound; a cost that is not published keeps none."""
    return point["trained"] and all(point.get(k) is not None and point[k] <= most for k, most in budget.items())


def front(points: Sequence[Mapping[str, Any]], measure: str, costs: Sequence[str] = COSTS) -> list[int]:
    """Numbers of the points that no other beats: as accurate and as cheap in every cost, and better in one.

    Costs that are None for all points do not count; a point that lacks another's cost is not on the front.
    """
    counted = [c for c in costs if any(p.get(c) is not None for p in points)]
    held = [
        i
        for i, p in enumerate(points)
        if p["trained"] and measure in p and all(p.get(c) is not None for c in counted)
    ]
    keys = {i: (-points[i][measure], *(points[i][c] for c in counted)) for i in held}
    return [i for i in held if not any(_beats(keys[j], keys[i]) for j in held if j != i)]


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))

"""The picture of ``snnface explore``: accuracy against every cost, the front, the budget, the CNNs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from snnface.hardware.placing.chip import Chip
from snnface.report.document import document, footer, header, main
from snnface.report.html import escape, figure, grid, number, percent, section, sentence, table
from snnface.report.measures import NAMES, duration, power, title
from snnface.training.explore.front import front, within
from snnface.training.explore.plot import kind, plot

#: Colour class of a point by what was varied; more than one: "many".
KINDS = ("recipe", "width", "size", "step", "rate", "bits", "many", "cnn")
_WORDS = {"recipe": "the recipe itself", "many": "several at once", "cnn": "CNN"}

STYLE = """
.k-recipe { --c: var(--ink); } .k-width { --c: hsl(212 65% 52%); } .k-size { --c: hsl(158 60% 38%); }
.k-step { --c: hsl(282 50% 56%); } .k-rate { --c: hsl(340 65% 54%); } .k-bits { --c: hsl(38 85% 46%); }
.k-many { --c: hsl(190 60% 40%); } .k-cnn { --c: var(--b); }
.plot .point { fill: var(--c); fill-opacity: .28; stroke: var(--c); stroke-width: 1.6; }
.plot .point.on { fill-opacity: 1; }
.plot .front { fill: none; stroke: var(--quiet); stroke-width: 1.4; stroke-dasharray: 5 4; }
.plot .over { fill: var(--bad); opacity: .07; } .plot .budget { stroke: var(--bad); stroke-dasharray: 3 3; }
.plot .label { font-size: 11px; paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
.plot .cnnline { stroke: var(--b); stroke-dasharray: 2 3; }
.keys { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; padding: 0; font-size: .92rem; }
.keys i { display: inline-block; width: .8em; height: .8em; border-radius: 50%; background: var(--c);
  margin-right: .4em; }
.on-front { font-weight: 650; }
"""


def explore_page(
    points: Sequence[Mapping[str, Any]], chip: Chip, budget: Mapping[str, float], measure: str, name: str
) -> str:
    """HTML of an exploration: four pictures, a table of every network, the sources."""
    trained = [p for p in points if p["trained"]]
    panels: list[tuple[str, str, bool, Callable[[float], str]]] = [
        ("footing_uj_per_s", "Energy on the common footing, 45 nm fp32: CNNs too.", True, power),
        ("energy_uj_per_s", f"Energy of operations on {title(chip.name)}; static power is apart.", False, power),
        ("cores", f"Cores on {title(chip.name)}.", False, number),
        ("latency_us", f"From event to answer on {title(chip.name)}, at worst.", False, duration),
    ]
    pictures = [
        figure(plot(trained, cost, measure, budget.get(cost), log, text), caption)
        for cost, caption, log, text in panels
        if any(p.get(cost) is not None for p in trained)
    ]
    lead = (
        "Each point is a network, measured on people it was not trained on. Filled: on the front of the picture, so "
        "that no other is as accurate for less; the dashed line joins them. Shaded: beyond the budget."
    )
    sources = f'<p class="note">{escape(chip.source)}</p>'
    bold = "The front over all costs at once is in bold."
    sections = [
        section("trade", "The trade", lead, _keys(trained), grid(*pictures)),
        section("networks", "Every network", bold, _table(points, budget, measure)),
        section("sources", "Where the figures come from", sentence(chip.model), sources),
    ]
    heading = f"{name}: accuracy and what it costs"
    return document(
        f"snnface: {heading}",
        header(heading, _headline(trained, chip, budget, measure)),
        main(sections),
        footer(),
        style=STYLE,
    )


def _keys(points: Sequence[Mapping[str, Any]]) -> str:
    used = {kind(p) for p in points}
    items = "".join(f'<li class="k-{k}"><i></i>{_WORDS.get(k, k)}</li>' for k in KINDS if k in used)
    return f'<ul class="keys">{items}</ul>'


def _headline(points: Sequence[Mapping[str, Any]], chip: Chip, budget: Mapping[str, float], measure: str) -> str:
    spiking = [p for p in points if p["kind"] == "spiking" and within(p, budget)]
    bounds = ", ".join(f"{name} ≤ {bound:g}" for name, bound in budget.items()) or "no bounds"
    if not spiking:
        return f"No network keeps the budget ({escape(bounds)})."
    best = max(spiking, key=lambda p: p[measure])
    costs = ", ".join(
        text(best[cost])
        for cost, text in (
            ("energy_uj_per_s", power),
            ("cores", lambda n: f"{number(n)} cores"),
            ("latency_us", duration),
        )
        if best.get(cost) is not None
    )
    return (
        f"Within the budget ({escape(bounds)}) the best is <b>{escape(best['name'])}</b>: {escape(NAMES[measure])} "
        f"right in {percent(best[measure])} of the validation clips, on {escape(title(chip.name))} for {costs}."
    )


def _table(points: Sequence[Mapping[str, Any]], budget: Mapping[str, float], measure: str) -> str:
    best = set(front(points, measure))
    rows = []
    for i, p in enumerate(points):
        name = f'<span class="{"on-front" if i in best else ""}">{escape(p["name"])}</span>'
        if not p["trained"]:
            rows.append([name, f"not trained: {number(p['cores'])} cores", *[""] * 6])
            continue
        cells = [
            "-" if p.get(cost) is None else text(p[cost])
            for cost, text in (
                ("footing_uj_per_s", power), ("energy_uj_per_s", power), ("cores", number), ("latency_us", duration),
            )
        ]  # fmt: skip
        kept = (
            ""
            if p["kind"] == "cnn"
            else '<span class="yes">yes</span>'
            if within(p, budget)
            else '<span class="no">no</span>'
        )
        rows.append([name, percent(p[measure]), percent(p["nme"]), *cells, kept])
    head = ["network", NAMES[measure], "landmark error", "45 nm", "chip", "cores", "latency", "within budget"]
    caption = (
        "Accuracies on the validation people, at the best epoch of each training. Energies are models, not "
        "measurements."
    )
    return table(head, rows, caption, range(1, 8))

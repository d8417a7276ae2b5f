"""The page of a network on a chip: its map, what binds, what would make it fit, and its bill with every source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snnface.hardware.placing.chip import Figure
from snnface.hardware.placing.core_map import core_map, legend
from snnface.hardware.placing.cores import LIMITS, CoreLoad
from snnface.hardware.placing.placement import Placement
from snnface.report.document import document, footer, header, main
from snnface.report.html import escape, figure, number, paragraph, percent, section, sentence, si, table, tiles
from snnface.report.measures import duration, power, title

STYLE = """
.cores .die { fill: var(--card); stroke: var(--line); }
.cores .name { font-weight: 600; font-size: 13px; }
.cores .free { fill: var(--track); }
.cores .core { fill: hsl(var(--hue) 45% 50% / .18); stroke: hsl(var(--hue) 45% 50% / .55); }
.cores .full { fill: hsl(var(--hue) 58% 52%); }
.chipmap { display: grid; gap: 1.2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); }
.layers { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; padding: 0; margin: .9rem 0 .2rem;
  font-size: .92rem; font-variant-numeric: tabular-nums; }
.layers i { display: inline-block; width: .85em; height: .85em; border-radius: 3px; margin-right: .4em;
  vertical-align: -.06em; background: hsl(var(--hue) 58% 52%); }
.layers .free i { background: var(--track); border: 1px solid var(--line); }
.binds { color: var(--b); }
"""


def chip_page(name: str, placement: Placement, changes: Sequence[dict[str, Any]], bill: dict[str, Any] | None) -> str:
    """HTML: ``name`` of the network, its placement, the rows of ``proposals``, and the answer of ``profile``."""
    sections = [_map(placement), _layers(placement)]
    if changes:
        sections.append(_changes(changes))
    if bill is not None:
        sections.append(_bill(bill))
    sections.append(_sources(placement))
    heading = f"{name} on {title(placement.chip.name)}"
    return document(
        f"snnface: {heading}",
        header(heading, _headline(placement), _tiles(placement, bill)),
        main(sections),
        footer(),
        style=STYLE,
    )


def _headline(placement: Placement) -> str:
    if placement.fits:
        return f"It fits on one chip, with {placement.counted}."
    if placement.fits is None:
        return f"Whether it fits cannot be told: {escape(placement.counted)}."
    return f"It does not fit as it is: {escape('; '.join(placement.problems))}."


def _tiles(placement: Placement, bill: dict[str, Any] | None) -> str:
    items = []
    if placement.cores is not None and placement.chip.core is not None:
        of = f"of {number(placement.chip.core.cores.value)} on a chip"
        items.append((number(placement.cores), "cores", of))
        neurons = sum(placed.layer.neurons for placed in placement.layers)
        synapses = sum(placed.layer.weight.size for placed in placement.layers)
        items.append((number(neurons), "neurons", f"{number(synapses)} weights of {placement.bits} bits"))
    row = next((r for r in bill["chips"] if r["name"] == placement.chip.name), None) if bill else None
    if row is not None:
        if row["energy_uj_per_s"] is not None:
            ends = f"{power(row['energy_low_uj_per_s'], 2)} to {power(row['energy_high_uj_per_s'], 2)} as published"
            items.append((power(row["energy_uj_per_s"]), "for its operations, a model", ends))
        if row["static_uj_per_s"] is not None:
            items.append((power(row["static_uj_per_s"]), "static power of the chip", "whatever it does"))
        if row["latency_us"] is not None:
            items.append((duration(row["latency_us"]), "from event to answer, at worst", "a model"))
    return tiles(items) if items else ""


def _map(placement: Placement) -> str:
    lead = (
        "Each square is a core in the colour of its layer, filled as far as the limit that binds there: neurons, "
        "synapse memory or axons. Where on the chip a core lies is not published: they stand in the order of the "
        "layers."
    )
    if placement.chip.core is None or all(placed.cut is None for placed in placement.layers):
        return section("map", "The map", escape(placement.counted))
    caption = f"Cores counted by {escape(placement.counted)}."
    return section(
        "map",
        "The map",
        lead,
        figure(f'<div class="chipmap">{core_map(placement)}</div>{legend(placement)}', caption),
    )


def _layers(placement: Placement) -> str:
    rows = []
    for placed in placement.layers:
        shape = "×".join(map(str, placed.layer.shape_out[::-1]))
        if placed.cut is None:
            rows.append(
                [escape(placed.name), shape, f'<span class="no">{escape(placed.problem or "-")}</span>', *[""] * 6]
            )
            continue
        load = placed.cut.load
        shares = [_share(load, limit) for limit in LIMITS]
        least = "" if placed.least_cores in (None, placed.cores) else number(placed.least_cores or 0)
        tile = "×".join(map(str, placed.cut.tile)) if placed.layer.kind == "conv" else f"{placed.cut.tile[2]}"
        rows.append([escape(placed.name), shape, number(placed.cut.cores), least, tile, *shares])
    head = ["layer", "neurons", "cores", "least", "a core holds", *LIMITS]
    caption = (
        "How full the fullest core of each layer is; the limit that binds is marked. Least: the fewest cores that "
        "hold a dense layer, where the compiler's rule takes more. Shapes are width×height×channels."
    )
    return section("layers", "What binds", "Layer by layer.", table(head, rows, caption, range(2, 9)))


def _share(load: CoreLoad, limit: str) -> str:
    if limit not in load.share:
        return "-"
    share = load.share[limit]
    text = "< 1 %" if 0 < share < 0.01 else percent(share, 0)
    return f'<b class="binds">{text}</b>' if limit == load.binds else text


def _changes(changes: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            escape(row["change"]),
            "-" if row["cores"] is None else number(row["cores"]),
            '<span class="yes">yes</span>' if row["fits"] else '<span class="no">no</span>',
            *(percent(row[key], 0) for key in ("parameters", "neurons", "synops")),
            escape(row["cost"]),
        ]
        for row in changes
    ]
    head = ["change", "cores", "fits", "weights", "neurons", "operations", "cost"]
    caption = (
        "Weights, neurons and synaptic operations as shares of the network's own; operations at unchanged spike "
        "rates. What a change does to accuracy only a training tells: snnface explore."
    )
    return section(
        "changes",
        "What would make it fit",
        "Least change of the work first.",
        table(head, rows, caption, range(1, 6)),
    )


def _bill(bill: dict[str, Any]) -> str:
    rows = []
    for row in bill["chips"]:
        spent, static = row["energy_uj_per_s"], row["static_uj_per_s"]
        low, high = row["energy_low_uj_per_s"], row["energy_high_uj_per_s"]
        ends = "" if low == high else f"{power(low, 2)} – {power(high, 2)}"
        rows.append(
            [
                f"spiking network, {title(row['name'])}",
                "not published" if spent is None else power(spent),
                ends,
                "" if static is None else power(static),
                "" if row["latency_us"] is None else duration(row["latency_us"]),
                "" if row["cores"] is None else number(row["cores"]),
                escape(row["source"]),
            ]
        )
    for row in bill["baselines"]:
        rows.append([f"{title(row['name'])}, 45 nm", power(row["energy_uj_per_s"]), *[""] * 4, escape(row["source"])])
    for row in bill["processors"]:
        where = f"{title(row['name'])}, {escape(row['on'])}"
        rows.append([where, power(row["energy_uj_per_s"]), *[""] * 4, escape(row["source"])])
    head = ["", "operations", "least – largest published", "static", "latency", "cores", "source"]
    caption = (
        f"Energy for a second of recording (1 W = 1 J a second), {number(bill['clips'])} clips counted. Operations: "
        f"{escape(bill['energy_formula'])}. Models, not measurements; static power is apart."
    )
    spikes = si(bill["spikes"] / bill["seconds"], "")
    lead = f"{si(bill['synops_per_s'], '')} synaptic operations and {spikes} spikes a second."
    return section("bill", "The bill", lead, table(head, rows, caption, range(1, 6)))


def _sources(placement: Placement) -> str:
    chip = placement.chip
    items = "".join(
        f"<li><b>{escape(name)}</b>: {_written(f)}. <cite>{escape(f.source)}</cite></li>"
        for name, f in chip.figures()
    )
    items += "".join(
        f"<li><b>measured</b>, {escape(m.what)}: {m.value:g} {escape(m.unit)}. <cite>{escape(m.source)}</cite></li>"
        for m in chip.measured
    )
    return section(
        "sources", "Where the figures come from", sentence(chip.model), f'<ul class="sources">{items}</ul>',
        paragraph("Energies in pJ an operation, times in ns, power in mW; what is absent is not published.", "note"),
    )  # fmt: skip


def _written(f: Figure) -> str:
    low, high = f.ends
    return f"{f.value:g}" if low == high else f"{f.value:g} ({low:g} to {high:g})"

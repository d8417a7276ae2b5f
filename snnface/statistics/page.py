"""The page of ``snnface compare``: one file that loads nothing."""

from __future__ import annotations

import numpy as np

from snnface.report.document import asset, document, footer, header, main, navigation
from snnface.report.html import counted, escape, figure, grid, number, paragraph, percent, section, si, table
from snnface.report.plots import Bar, bars
from snnface.statistics.catalogue import STATISTICS, Bars, Statistic
from snnface.statistics.comparison import Comparison
from snnface.statistics.counts import Counts
from snnface.statistics.measures import Measured
from snnface.statistics.plots import curve_plot, density_picture

_KINDS = ("a", "b")


def page(found: Comparison, counts: tuple[Counts, Counts], names: tuple[str, str]) -> str:
    """HTML of a comparison: a table of all distances, the sensors, and a section for each statistic."""
    sections = [_overview(found, names), _sensors(counts, names)]
    sections += [_statistic(s, found, names) for s in STATISTICS]
    links = {"distances": "Distances", "sensors": "Sensors"} | {s.name: s.title for s in STATISTICS}
    return document(
        f"snnface: {' and '.join(names)}",
        header("Two recordings, statistic by statistic", _headline(found, counts, names)),
        navigation(links),
        main(sections),
        footer(),
        style=asset("snnface.statistics", "page.css"),
    )


def _headline(found: Comparison, counts: tuple[Counts, Counts], names: tuple[str, str]) -> str:
    what = " and ".join(
        f"<b>{escape(name)}</b> ({counted(c.events, 'event')}, {c.width} × {c.height} pixels, {_length(c)})"
        for name, c in zip(names, counts, strict=True)
    )
    return (
        f"{what}, compared by {len(STATISTICS)} statistics. Those that the sensor decides can be compared across "
        "scenes; those that the scene decides mean something only where both saw the same."
    )


def _length(counts: Counts) -> str:
    span = si(counts.duration_us * 1e-6, "s")
    return span if len(counts.durations) == 1 else f"{counted(len(counts.durations), 'clip')}, {span}"


def _overview(found: Comparison, names: tuple[str, str]) -> str:
    rows = []
    for s in STATISTICS:
        distance, within = found.distances[s.name], [w[s.name] for w in found.within]
        rows.append(
            [f'<a href="#{s.name}">{escape(s.title)}</a>', s.about, _marked(distance, within)]
            + [_short(w) for w in within]
            + [escape(s.unit)]
        )
    head = ("statistic", "decided by", "distance", *(f"halves of {escape(n)}" for n in names), "unit")
    caption = (
        "Distances are 0 for equal statistics. A decade is a factor of ten: 0.3 is a factor of two. The halves of "
        "one recording (of a data set: its even and odd clips) are the yardstick: a distance above twice that of "
        'both is marked <span class="far">so</span>, one within that of either <span class="near">so</span>. '
        "A dash: not measured, because a recording is too short, or nowhere quiet."
    )
    scale = found.scale
    rate = f"{scale.rate_us / 1000:g} ms" if scale.rate_us else "none"
    support = f"{scale.support_us / 1000:g} ms" if scale.support_us else "none"
    lead = (
        "Both are measured on the scales that the shorter one can show: intervals up to "
        f"{si(scale.horizon_us * 1e-6, 's')}, windows of the event rate of {rate}, support time of the noise floor "
        f"{support}."
    )
    return section("distances", "Distances", lead, table(head, rows, caption, numeric=(2, 3, 4)))


def _marked(distance: float | None, within: list[float | None]) -> str:
    known = [w for w in within if w is not None]
    text = _short(distance)
    if distance is None or not known:
        return text
    kind = "far" if distance > 2 * max(known) else "near" if distance <= max(known) else ""
    return f'<b class="{kind}">{text}</b>'


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _sensors(counts: tuple[Counts, Counts], names: tuple[str, str]) -> str:
    pictures = [
        figure(
            f'{_name(name, kind)}<img class="sensor" alt="Events on the sensor of {escape(name)}" '
            f'src="{density_picture(c.pixels, c.width, c.height)}">',
            f"{counted(c.events, 'event')} in {_length(c)}, {c.width} × {c.height} pixels",
        )
        for name, kind, c in zip(names, _KINDS, counts, strict=True)
    ]
    lead = (
        "Where the events are: all of them, by the logarithm of their number, in the colour of the polarity that "
        'prevails (<span class="key on">ON</span>, <span class="key off">OFF</span>).'
    )
    return section("sensors", "Sensors", lead, grid(*pictures))


def _statistic(s: Statistic, found: Comparison, names: tuple[str, str]) -> str:
    distance, measured = found.distances[s.name], [m[s.name] for m in found.measured]
    halves = ", ".join(_short(w[s.name]) for w in found.within)
    verdict = (
        f'<p class="verdict">distance <b>{_short(distance)}</b> {escape(s.unit)} · within their halves {halves} · '
        f"decided by the {s.about}</p>"
    )
    drawings = []
    for i, (name, kind) in enumerate(zip(names, _KINDS, strict=True)):
        title = f"{s.title}, {name}"
        own, other = measured[i], measured[1 - i]
        if isinstance(s.drawn, Bars):
            drawings.append(f"<div>{_name(name, kind)}{_bars(s.drawn, own, kind, title)}</div>")
        else:
            curve = curve_plot(s.drawn, (own.x, own.y), (other.x, other.y), kind, title)
            drawings.append(figure(_name(name, kind, s.drawn.y) + curve, _figures(own)))
    return section(s.name, s.title, s.text, verdict, grid(*drawings))


def _name(name: str, kind: str, axis: str = "") -> str:
    return f'<p class="name {kind}">{escape(name)}{f" <small>{escape(axis)}</small>" if axis else ""}</p>'


def _bars(drawn: Bars, own: Measured, kind: str, title: str) -> str:
    if not len(own.y) or np.isnan(own.y).any():
        return paragraph("Not measured: too short, or nowhere quiet.", "note")
    rows = [Bar(label, float(v), _percent(v), kind) for label, v in zip(drawn.labels, own.y, strict=True)]
    return bars(rows, title, width=480)


def _percent(share: float) -> str:
    return percent(share, 1 if share >= 0.001 or share == 0 else 4)


def _figures(own: Measured) -> str:
    """The figures of a statistic as a line of text."""
    return ", ".join(_figure(name, value) for name, value in own.figures.items() if value is not None)


def _figure(name: str, value: float) -> str:
    if name.endswith("_us"):
        return f"{name.removesuffix('_us')} {si(value * 1e-6, 's')}"
    label = name.replace("_per_", "/").replace("_", " ").replace("hz", "Hz")
    return f"{label} {number(value) if abs(value) >= 1000 else f'{value:.3g}'}"

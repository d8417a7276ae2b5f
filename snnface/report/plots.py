"""Plots as inline SVG. Colours come from the page's style sheet, so that they follow light and dark paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from snnface.report.html import escape

_ROW, _CHARACTER = 22, 7.0


@dataclass(frozen=True)
class Bar:
    """One bar: what it is, how long, what is written at its end, its colour class, and an interval if known."""

    label: str
    value: float
    text: str
    kind: str = "a"
    interval: tuple[float, float] | None = None


def _svg(width: float, height: float, title: str, body: str, kind: str = "") -> str:
    return (
        f'<svg class="plot {kind}" viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width:.0f}px" '
        f'role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>{body}</svg>'
    )


def bars(
    rows: Sequence[Bar],
    title: str,
    full: float = 1.0,
    mark: tuple[float, str] | None = None,
    log: bool = False,
    width: int = 540,
    axis: Callable[[float], str] | None = None,
) -> str:
    """Horizontal bars up to ``full``; ``mark``: a dashed line at a value, with its name.

    With ``log`` the axis has one grid line a decade, labelled by ``axis``, and starts a decade below the least.
    """
    left = max(len(r.label) for r in rows) * _CHARACTER + 10
    right = max(len(r.text) for r in rows) * _CHARACTER + 12
    span = width - left - right
    top = 18 if mark or log else 2
    low = 10.0 ** math.floor(math.log10(min(r.value for r in rows))) / (10 if log else 1) if log else 0.0
    high = 10.0 ** math.ceil(math.log10(max(r.value for r in rows))) if log else full

    def place(value: float) -> float:
        share = math.log(max(value, low) / low) / math.log(high / low) if log else value / high
        return left + span * min(max(share, 0.0), 1.0)

    body, bottom = [], top + _ROW * len(rows)
    if log:
        for decade in range(round(math.log10(low)), round(math.log10(high)) + 1):
            x = place(10.0**decade)
            body.append(f'<line class="rule" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>')
            if axis:
                body.append(f'<text class="tick mid" x="{x:.1f}" y="11">{escape(axis(10.0**decade))}</text>')
    for i, row in enumerate(rows):
        y, end = top + i * _ROW, place(row.value)
        body.append(f'<text class="end" x="{left - 8:.1f}" y="{y + 15}">{escape(row.label)}</text>')
        body.append(f'<rect class="track" x="{left:.1f}" y="{y + 4}" width="{span:.1f}" height="14" rx="2"/>')
        body.append(
            f'<rect class="bar {row.kind}" x="{left:.1f}" y="{y + 4}" width="{end - left:.1f}" height="14" '
            f'rx="2"><title>{escape(row.label)}: {escape(row.text)}</title></rect>'
        )
        if row.interval:
            a, b = (place(v) for v in row.interval)
            body.append(f'<path class="interval" d="M{a:.1f} {y + 7}v8M{a:.1f} {y + 11}H{b:.1f}M{b:.1f} {y + 7}v8"/>')
        body.append(f'<text class="value" x="{left + span + 6:.1f}" y="{y + 15}">{escape(row.text)}</text>')
    if mark:
        x = place(mark[0])
        body.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 2}" y2="{bottom}"/>')
        anchor = "mid" if x - left > 40 else ""
        body.append(f'<text class="tick {anchor}" x="{x:.1f}" y="11">{escape(mark[1])}</text>')
    return _svg(width, bottom + 4, title, "".join(body))


def matrix(counts: Sequence[Sequence[float]], names: Sequence[str], title: str, cell: int = 21) -> str:
    """A confusion matrix: rows truth, columns answer; shaded by the share of the row, with the counts written in."""
    left = max(len(n) for n in names) * _CHARACTER + 12
    size = cell * len(names)
    top = left - 4
    body = [f'<rect class="field" x="{left:.0f}" y="{top:.0f}" width="{size}" height="{size}"/>']
    for i, (row, name) in enumerate(zip(counts, names, strict=True)):
        total = sum(row) or 1
        middle = i * cell + cell / 2 + 4
        body.append(f'<text class="end" x="{left - 6:.0f}" y="{top + middle:.0f}">{escape(name)}</text>')
        x, y = left + middle, top - 6
        body.append(f'<text transform="translate({x:.0f} {y:.0f}) rotate(-90)">{escape(name)}</text>')
        for j, count in enumerate(row):
            if count or i == j:
                x, y, share = left + j * cell, top + i * cell, count / total
                kind = "right" if i == j else "wrong"
                body.append(
                    f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="{cell}" height="{cell}" '
                    f'fill-opacity="{0.12 + 0.88 * share if count else 0:.2f}"><title>{escape(name)} answered as '
                    f"{escape(names[j])}: {count:.0f} of {total:.0f}</title></rect>"
                )
            if count:
                shade = " on" if share > 0.45 else ""
                body.append(
                    f'<text class="count{shade}" x="{left + j * cell + cell / 2:.1f}" '
                    f'y="{top + i * cell + cell / 2 + 4:.1f}">{count:.0f}</text>'
                )
    body.append(f'<rect class="frame" x="{left:.0f}" y="{top:.0f}" width="{size}" height="{size}"/>')
    return _svg(left + size + 4, top + size + 4, title, "".join(body), "matrix")


def area(
    series: Sequence[Sequence[float]],
    title: str,
    step_s: float,
    high: float,
    text: Callable[[float], str],
    kind: str = "a",
    width: int = 360,
    height: int = 120,
) -> str:
    """Values over time: the first series filled, the others as faint lines; ``high``: top of the axis."""
    left, bottom = 50, height - 18
    longest = max(len(s) for s in series)
    high = high or 1.0

    def points(values: Sequence[float]) -> str:
        return " ".join(
            f"{left + (width - left - 6) * (i + 1) / longest:.1f},{bottom - (bottom - 8) * min(v / high, 1):.1f}"
            for i, v in enumerate(values)
        )

    first = points(series[0])
    start, end = first.split(" ")[0].split(",")[0], first.split(" ")[-1].split(",")[0]
    body = [
        f'<line class="rule" x1="{left}" x2="{width - 6}" y1="8" y2="8"/>',
        f'<line class="rule" x1="{left}" x2="{width - 6}" y1="{bottom}" y2="{bottom}"/>',
        f'<text class="tick end" x="{left - 6}" y="12">{escape(text(high))}</text>',
        f'<text class="tick end" x="{left - 6}" y="{bottom + 4}">0</text>',
        *(f'<polyline class="faint" points="{points(s)}"/>' for s in series[1:]),
        f'<polygon class="fill {kind}" points="{start},{bottom} {first} {end},{bottom}"/>',
        f'<polyline class="line {kind}" points="{first}"/>',
    ]
    every = 0.25 if longest * step_s < 3 else 1.0
    for k in range(int(longest * step_s / every) + 1):
        x = left + (width - left - 6) * k * every / (longest * step_s)
        body.append(f'<text class="tick mid" x="{x:.1f}" y="{height - 3}">{k * every:g} s</text>')
    return _svg(width, height, title, "".join(body))

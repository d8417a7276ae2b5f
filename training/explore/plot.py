"""Accuracy over one cost as inline SVG: points, front, budget, and what CNNs cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from snnface.report.html import escape, percent
from snnface.report.measures import NAMES, title
from snnface.training.explore.front import front

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 540, 330, 52, 18, 14, 44


def kind(point: Mapping[str, Any]) -> str:
    """Colour class of a point."""
    if point["kind"] == "cnn":
        return "cnn"
    axes = list(point["changes"])
    return "recipe" if not axes else axes[0] if len(axes) == 1 else "many"


def plot(
    points: Sequence[Mapping[str, Any]],
    cost: str,
    measure: str,
    budget: float | None,
    log: bool,
    text: Callable[[float], str],
) -> str:
    """Accuracy over one cost as inline SVG."""
    shown = [p for p in points if p.get(cost) is not None]
    rules = {k: v for p in shown for k, v in p.get("baselines", {}).items() if k != "matched"} if log else {}
    x = _Axis([p[cost] for p in shown] + ([budget] if budget else []) + list(rules.values()), log)
    top = max(p[measure] for p in shown)
    rise = 0.1 if top > 0.25 else 0.05
    high = rise * max(1, math.ceil(top * 1.06 / rise))
    span_x, span_y = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(p: Mapping[str, Any]) -> tuple[float, float]:
        return _LEFT + span_x * x.share(p[cost]), _TOP + span_y * (1 - p[measure] / high)

    body = []
    for tick in x.ticks:
        at = _LEFT + span_x * x.share(tick)
        body.append(f'<line class="rule" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_TOP + span_y}"/>')
        body.append(
            f'<text class="tick mid" x="{at:.1f}" y="{_TOP + span_y + 16}">{escape(_short(text, tick))}</text>'
        )
    for k in range(round(high / rise) + 1):
        at = _TOP + span_y * (1 - k * rise / high)
        body.append(f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        body.append(f'<text class="tick end" x="{_LEFT - 7}" y="{at + 4:.1f}">{percent(k * rise, 0)}</text>')
    if budget is not None:
        at = _LEFT + span_x * min(x.share(budget), 1)
        body.append(
            f'<rect class="over" x="{at:.1f}" y="{_TOP}" width="{_WIDTH - _RIGHT - at:.1f}" height="{span_y}"/>'
            f'<line class="budget" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_TOP + span_y}"/>'
        )
    for name, value in rules.items():
        at = _LEFT + span_x * x.share(value)
        body.append(
            f'<line class="cnnline" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_TOP + span_y}"/>'
            f'<text class="tick" transform="translate({at - 5:.1f} {_TOP + span_y - 6}) rotate(-90)">'
            f"{escape(title(name))}, not trained here</text>"
        )
    best = front(shown, measure, (cost,))
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in sorted(place(shown[i]) for i in best))
    body.append(f'<polyline class="front" points="{line}"/>')
    body += [_point(p, *place(p), i in best, measure, text(p[cost])) for i, p in enumerate(shown)]
    body.append(_labels([(shown[i]["name"], *place(shown[i])) for i in best]))
    body.append(f'<text class="tick mid" x="{_LEFT + span_x / 2:.0f}" y="{_HEIGHT - 6}">{escape(_AXES[cost])}</text>')
    return (
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(NAMES[measure])} over '
        f'{escape(_AXES[cost])}">{"".join(body)}</svg>'
    )


_AXES = {
    "footing_uj_per_s": "energy for a second of recording, 45 nm (logarithmic)",
    "energy_uj_per_s": "energy of operations for a second of recording",
    "cores": "cores",
    "latency_us": "from event to answer",
}


class _Axis:
    """An axis of costs, from 0 or by decades."""

    def __init__(self, values: Sequence[float], log: bool) -> None:
        self.log = log
        if log:
            self.low = math.floor(math.log10(min(values)))
            self.high = max(math.ceil(math.log10(max(values))), self.low + 1)
            self.ticks = [10.0**d for d in range(self.low, self.high + 1)]
            return
        step = 10 ** math.floor(math.log10(max(values) / 4))
        step *= next(m for m in (1, 2, 5, 10) if max(values) * 1.03 / (m * step) <= 5)
        self.low, self.high = 0, math.ceil(max(values) * 1.03 / step) * step
        self.ticks = [step * k for k in range(round(self.high / step) + 1)]

    def share(self, value: float) -> float:
        return ((math.log10(value) if self.log else value) - self.low) / (self.high - self.low)


def _short(text: Callable[[float], str], tick: float) -> str:
    return text(tick).replace(".00 ", " ").replace(".0 ", " ") if tick else "0"


def _point(p: Mapping[str, Any], x: float, y: float, on: bool, measure: str, cost: str) -> str:
    says = f"{p['name']}: {percent(p[measure])}, {cost}"
    mark = f'class="point{" on" if on else ""} k-{kind(p)}"'
    shape = (
        f'<rect {mark} x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10"/>'
        if p["kind"] == "cnn"
        else f'<circle {mark} cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>'
    )
    return f"<g><title>{escape(says)}</title>{shape}</g>"


def _labels(items: Sequence[tuple[str, float, float]]) -> str:
    """Names above their points, moved up where they would lie on another's."""
    placed: list[tuple[float, float, float]] = []
    out = []
    for name, x, y in sorted(items, key=lambda item: -item[2]):
        width = len(name) * 6.0
        left = min(max(x - width / 2, _LEFT + 2), _WIDTH - _RIGHT - width)
        at = y - 10
        while any(abs(at - other) < 12 and left < end and start < left + width for start, end, other in placed):
            at -= 12
        placed.append((left, left + width, at))
        out.append(f'<text class="label" x="{left:.1f}" y="{at:.1f}">{escape(name)}</text>')
    return "".join(out)

"""How the page speaks of measures, chips and networks, so that every section says it the same way."""

from __future__ import annotations

from typing import Any

from snnface.report.html import percent, si, table
from snnface.report.plots import Bar

NAMES = {
    "au_top1": "action unit",
    "au_top3": "action unit, among three",
    "au_top5": "action unit, among five",
    "expression_acc": "expression",
    "nme": "landmark error (less is better)",
}
_TITLES = {
    "loihi2": "Loihi 2",
    "loihi1": "Loihi 1",
    "cmos45": "45 nm",
    "matched": "matched CNN + LSTM",
    "resnet18_lstm": "ResNet18 + LSTM",
    "spiking": "spiking network",
}


def title(name: str) -> str:
    """Written name of a chip or a network."""
    return _TITLES.get(name, name)


def power(uj_per_s: float, digits: int = 3) -> str:
    """Energy for a second of recording as watts."""
    return si(uj_per_s * 1e-6, "W", digits)


def duration(us: float) -> str:
    """Microseconds, readable."""
    return si(us * 1e-6, "s")


def interval(metrics: dict[str, Any], key: str, digits: int = 1) -> str:
    """In brackets, the bootstrap interval of a measure; empty where there is none."""
    found = metrics.get("intervals", {}).get(key)
    return f" (95 % between {percent(found[0], digits)} and {percent(found[1], digits)})" if found else ""


def differences(first: dict[str, Any], second: dict[str, Any], names: tuple[str, str], caption: str) -> str:
    """A table of both networks' measures and of first minus second."""
    rows = []
    for key, what in NAMES.items():
        digits = 2 if key == "nme" else 1
        change = f"{100 * (first[key] - second[key]):+.{digits}f}"
        rows.append([what, percent(first[key], digits), percent(second[key], digits), change])
    return table(["", *names, "difference, points"], rows, caption, (1, 2, 3))


def paired_bars(first: dict[str, Any], second: dict[str, Any], names: tuple[str, str], kind: str) -> list[Bar]:
    """Accuracies of two networks, one above the other; ``kind``: colour class of the second."""
    return [
        Bar(
            f"{NAMES[key]}, {name}",
            metrics[key],
            percent(metrics[key]),
            colour,
            metrics.get("intervals", {}).get(key),
        )
        for key in ("au_top1", "au_top3", "expression_acc")
        for name, metrics, colour in ((names[0], first, "a"), (names[1], second, kind))
    ]

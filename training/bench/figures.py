"""Pictures of the answers, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnface.errors import InputError
from snnface.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What a sweep varies, in words.
AXES = {
    "density": "active input cells in a step, %",
    "size": "side of the input, pixels, the same events",
    "steps": "time steps",
    "batch": "clips in a batch",
    "threads": "threads",
    "events": "events a second",
}
_OWN = {"snnface native": "#c1121f", "snnface native sparse": "#f77f00", "snnface stream": "#c1121f"}
_PEERS = ("#003049", "#2a6f97", "#468faf", "#5a7d2a", "#7b5ea7", "#8d99ae", "#6b705c")
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "snnface",
    "svg.fonttype": "none",
}


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as e:
        raise InputError("snnface bench figures", "matplotlib is not installed", "pip install matplotlib") from e
    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams.update(_STYLE)
    return pyplot


def _save(figure: Figure, path: Path) -> Path:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, bbox_inches="tight", metadata={"Date": None} if path.suffix == ".svg" else None)
    _pyplot().close(figure)
    return path


def _good(rows: Sequence[dict[str, Any]], *roles: str) -> list[dict[str, Any]]:
    return [r for r in rows if r["status"] == "ok" and r["role"] in roles]


def _colours(names: Sequence[str]) -> dict[str, str]:
    """Ours in warm colours; a peer keeps its colour, whoever else is there."""
    peers = [n for n in names if n not in _OWN]
    return _OWN | {n: "#9a8c98" if n == "snnface torch" else _PEERS[i % len(_PEERS)] for i, n in enumerate(peers)}


def steps_of_training(answer: dict[str, Any], path: Path) -> Path:
    """Bars: forward and backward of every row, a panel for each case, the floors beside our own."""
    plt = _pyplot()
    cases = list(dict.fromkeys(r["case"] for r in answer["rows"]))
    most = max(len(_good([r for r in answer["rows"] if r["case"] == c], "own", "peer")) for c in cases)
    figure, axes = plt.subplots(1, len(cases), figsize=(4.6 * len(cases), 0.28 * most + 1.1), squeeze=False)
    for axis, case in zip(axes[0], cases, strict=True):
        rows = [r for r in answer["rows"] if r["case"] == case]
        shown = sorted(_good(rows, "own", "peer"), key=lambda r: -r["median_ms"])
        colours = _colours([r["name"] for r in shown])
        floors = {r["gradient"]: r["median_ms"] for r in _good(rows, "floor")}
        for place, r in enumerate(shown):
            colour = colours[r["name"]] if r["role"] == "own" else "#8d99ae"
            axis.barh(place, r["forward_ms"], color=colour, alpha=0.55)
            axis.barh(place, r["backward_ms"], left=r["forward_ms"], color=colour)
            floor = floors.get(r["gradient"]) if r["name"] in _OWN else None
            words = f" {r['median_ms']:,.0f}" + (f", floor {floor:,.0f}" if floor else "")
            axis.annotate(words, (r["forward_ms"] + r["backward_ms"], place), va="center")
        axis.set_yticks(range(len(shown)), [r["name"] for r in shown])
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("ms a training step; light: its forward pass")
        axis.set_title(case)
        axis.margins(x=0.15)
    figure.tight_layout()
    return _save(figure, path)


def lines(
    axis: Axes, rows: Sequence[dict[str, Any]], along: str, field: str, scale: float = 1.0, over: float = 1.0
) -> None:
    """One line for each implementation, log-log: ``field`` · ``over`` against ``along`` · ``scale``."""
    colours = _colours(list(dict.fromkeys(r["name"] for r in rows)))
    for name in dict.fromkeys(r["name"] for r in rows):
        points = sorted((r[along] * scale, r[field] * over) for r in rows if r["name"] == name)
        own = name in _OWN
        axis.plot(
            *zip(*points, strict=True), marker="o", markersize=3.5 if own else 2.5, linewidth=2.2 if own else 1.1,
            color=colours[name], label=name, zorder=3 if own else 2,
        )  # fmt: skip
    axis.set_xscale("log")
    axis.set_yscale("log")
    ticks = sorted({r[along] * scale for r in rows})
    axis.set_xticks(ticks, [f"{t:,.10g}" for t in ticks])
    axis.minorticks_off()
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")


def sweep(answer: dict[str, Any], path: Path) -> Path:
    """Time and memory of a training step against what was varied, a row of panels for each case."""
    plt = _pyplot()
    varied = answer["sweep"]
    rows = _good(answer["rows"], "own", "peer")
    cases = list(dict.fromkeys(r["case"] for r in rows))
    figure, axes = plt.subplots(len(cases), 2, figsize=(9.2, 3.1 * len(cases)), squeeze=False)
    for (times, memory), case in zip(axes, cases, strict=True):
        shown = [r for r in rows if r["case"] == case]
        for axis, field, words in ((times, "median_ms", "ms a step"), (memory, "peak_mb", "MB a step")):
            lines(axis, shown, varied, field, 100 if varied == "density" else 1)
            axis.set_ylabel(words)
            axis.set_xlabel(AXES[varied])
            axis.set_title(case)
    axes[0][1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.tight_layout()
    return _save(figure, path)


def stream_rates(answer: dict[str, Any], path: Path) -> Path:
    """Median and p99 of a tick against the event rate; above 1 ms it is no longer real time."""
    plt = _pyplot()
    rows = _good(answer["rows"], "own", "peer")
    figure, axes = plt.subplots(1, 2, figsize=(9.2, 3.1), sharey=True)
    for axis, field, words in zip(axes, ("median_ms", "p99_ms"), ("median", "99th percentile"), strict=True):
        lines(axis, rows, "events_per_s", field, over=1000)
        ticks = sorted({r["events_per_s"] for r in rows})
        axis.set_xticks(ticks, [_thousands(t) for t in ticks], rotation=45)
        axis.axhline(1000, color="black", linewidth=1, linestyle="--")
        axis.set_title(words)
        axis.set_xlabel(AXES["events"])
    axes[0].set_ylabel("µs a tick of 1 ms")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.tight_layout()
    return _save(figure, path)


def _thousands(number: float) -> str:
    return f"{number / 1e6:g} M" if number >= 1e6 else f"{number / 1e3:g} k"

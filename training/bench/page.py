"""``docs/bench.md``: tables and pictures from the answers that the commands wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from snnface.errors import InputError
from snnface.files import read_json, write_text
from snnface.training.bench import figures
from snnface.training.bench.sweep import SWEEPS

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
_TITLES = {
    "train": "Training",
    "stream": "Streaming",
    "integer": "Integer streaming",
    "io": "Reading",
    "simulate": "Event simulation",
}


def write_page(results: Path, out: Path) -> list[str]:
    """Draw what the folder ``results`` holds into ``out`` and put tables and pictures between the marks of
    ``out/bench.md``; returns the files that were written.

    Raises
    ------
    InputError: there are no answers, or the page has no marks.
    """
    answers = {p.stem: read_json(p) for p in sorted(results.glob("*.json")) if not p.stem.startswith("problem-")}
    known = [n for n in (*_TITLES, *(f"sweep-{s}" for s in (*SWEEPS, "events"))) if n in answers]
    if not known:
        raise InputError(results, "holds no answers of snnface bench", "Run make bench first")
    page = out / "bench.md"
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if BEGIN not in text or END not in text:
        raise InputError(page, f"has no marks {BEGIN} and {END}", "Put them where the tables belong")
    written = [page]
    blocks = []
    for name in known:
        picture = _picture(name, answers[name], out)
        written += [picture] if picture else []
        blocks.append(_section(name, answers[name], picture))
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    write_text(page, f"{before}{BEGIN}\n\n" + "\n\n".join(blocks) + f"\n\n{END}{after}")
    return [str(path) for path in written]


def _picture(name: str, answer: dict[str, Any], out: Path) -> Path | None:
    if name == "train":
        return figures.steps_of_training(answer, out / "bench-train.svg")
    if name == "sweep-events":
        return figures.stream_rates(answer, out / "bench-events.svg")
    if name.startswith("sweep-"):
        return figures.sweep(answer, out / f"bench-{answer['sweep']}.svg")
    return None


def _section(name: str, answer: dict[str, Any], picture: Path | None) -> str:
    machine = answer["machine"]
    parts = [f"## {_TITLES.get(name) or 'Sweep: ' + name.removeprefix('sweep-')}"]
    engine = f", engine {machine['engine']}" if "engine" in machine else ""
    where = f"{machine['processor']}, {machine['cores']} cores, threads: {machine['threads']}"
    parts.append(f"{where}, torch {machine['torch']}{engine}.")
    if picture is not None:
        parts.append(f"![{name}]({picture.name})")
    if name.startswith("sweep-"):
        parts.append(_sweep_table(answer))
    else:
        parts += [_facts(p) for p in answer.get("points", [])]
        parts += [_table([r for r in answer["rows"] if r["case"] == c], answer["ratios"]) for c in _cases(answer)]
    return "\n\n".join(part for part in parts if part)


def _cases(answer: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(r["case"] for r in answer["rows"]))


def _facts(point: dict[str, Any]) -> str:
    facts = point["facts"]
    if "density" not in facts:
        return ""
    step = f", step {facts['step_us'] / 1000:.1f} ms" if facts["step_us"] else ""
    rates = ", ".join(f"{100 * r:.2f} %" for r in facts["rates"])
    near = ", ".join(f"{100 * r:.1f} %" for r in facts["near"])
    return (
        f"`{point['case']}`: {100 * facts['density']:.2f} % of the input cells active a step{step}; mean rates of "
        f"the layers {rates}; within the compact surrogate's support {near} of their neuron-steps."
    )


def _table(rows: Sequence[dict[str, Any]], ratios: Sequence[dict[str, Any]]) -> str:
    case = rows[0]["case"]
    own = [r["name"] for r in rows if r["role"] == "own" and r["status"] == "ok"]
    lines = [
        f"| {case} | median ms | p99 ms | forward | backward | step MB | process MB | "
        + " | ".join(f"× {n}" for n in own)
        + " |",
        "|---|" + "--:|" * (6 + len(own)),
    ]
    for r in rows:
        if r["status"] != "ok":
            what = r.get("error") or r["status"].replace("_", " ")
            lines.append(f"| {r['name']} | {what} |" + " |" * (5 + len(own)))
            continue
        numbers = [r[k] for k in ("median_ms", "p99_ms", "forward_ms", "backward_ms", "peak_mb", "rss_mb")]
        times = [_ratio(ratios, n, r["name"], case) for n in own]
        lines.append(f"| {r['name']} | " + " | ".join(_number(x) for x in [*numbers, *times]) + " |")
    return "\n".join(lines)


def _ratio(ratios: Sequence[dict[str, Any]], own: str, other: str, case: str) -> float | None:
    found = [x["ratio"] for x in ratios if (x["own"], x["other"], x["case"]) == (own, other, case)]
    return found[0] if found else None


def _sweep_table(answer: dict[str, Any]) -> str:
    """Medians of every row, a column for each value."""
    along = "events_per_s" if answer["sweep"] == "events" else answer["sweep"]
    values = sorted({r[along] for r in answer["rows"]})
    kinds = ("",) if along == "events_per_s" else tuple(_cases(answer))
    words = along.replace("_", " ")
    lines = [f"| median ms by {words} | " + " | ".join(f"{v:,.10g}" for v in values) + " |"]
    lines.append("|---|" + "--:|" * len(values))
    for kind in kinds:
        rows = [r for r in answer["rows"] if kind in ("", r["case"])]
        for name in dict.fromkeys(r["name"] for r in rows):
            cells = []
            for value in values:
                found = [r for r in rows if r["name"] == name and r[along] == value]
                cells.append(_number(found[0]["median_ms"]) if found and found[0]["status"] == "ok" else "–")
            lines.append(f"| {' '.join(filter(None, (name, kind)))} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"

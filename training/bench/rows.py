"""Outcomes as rows of the answer."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from snnface.engine.library import level
from snnface.training.bench import cuda
from snnface.training.bench.implementation import SHOWN_STEPS, Implementation
from snnface.training.bench.turns import Outcome


def machine(threads: int, device: str = "cpu") -> dict[str, Any]:
    """Where it was measured."""
    host = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "engine": level(),
    }
    return host | cuda.machine() if device == "cuda" else host


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [x for x in info.read_text().splitlines() if x.startswith("model name")] if info.exists() else []
    return names[0].split(":", 1)[1].strip() if names else platform.processor()


def row(
    implementation: Implementation,
    case: str,
    outcome: Outcome | None,
    same: Callable[[Sequence[float]], bool],
    form: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """One row; without an outcome, of something that is not installed.

    ``status``: "ok"; "differs" where ``same`` finds that its numbers, from the first step on, are not the right ones;
    "error"; "not_installed". Times are those of single steps, ms.
    """
    empty = dict.fromkeys(("median_ms", "p99_ms", "forward_ms", "backward_ms", "first_ms", "peak_mb", "rss_mb"))
    found: dict[str, Any] = {
        "name": implementation.name,
        "role": implementation.role,
        "case": case,
        "gradient": implementation.gradient,
        **empty,
        "value": None,
        "values": [],
        "status": "not_installed",
        "form": form or {},
    }
    if outcome is None:
        return found
    if outcome.error is not None:
        return found | {"status": "error", "error": outcome.error}
    seconds = [s for turn in outcome.seconds for s in turn]
    forward = [s for turn in outcome.forward for s in turn if s is not None]
    found |= {
        "status": "ok" if same(outcome.values) else "differs",
        "value": outcome.values[0],
        "values": outcome.values[:SHOWN_STEPS],
        "median_ms": statistics.median(seconds) * 1e3,
        "p99_ms": float(np.percentile(seconds, 99)) * 1e3,
        "first_ms": None if outcome.first_s is None else outcome.first_s * 1e3,
        "peak_mb": outcome.peak_mb,
        "rss_mb": outcome.rss_mb,
    }
    if forward:
        backward = [s - f for s, f in zip(seconds, forward, strict=True)]
        found |= {"forward_ms": statistics.median(forward) * 1e3, "backward_ms": statistics.median(backward) * 1e3}
    return found


def ratios(rows: Sequence[dict[str, Any]], outcomes: dict[str, Outcome]) -> list[dict[str, Any]]:
    """How many times as long every other row that computes the same takes as each of ours, inside the rounds:
    median, least and most over the rounds."""
    good = [r for r in rows if r["status"] == "ok"]
    found = []
    for own in (r for r in good if r["role"] == "own"):
        for other in (r for r in good if r["role"] == "peer" or _is_floor_of(r, own)):
            mine, theirs = outcomes[own["name"]].seconds, outcomes[other["name"]].seconds
            each = [sum(b) / sum(a) for a, b in zip(mine, theirs, strict=True)]
            found.append(
                {
                    "own": own["name"],
                    "other": other["name"],
                    "role": other["role"],
                    "case": own["case"],
                    "ratio": statistics.median(each),
                    "least": min(each),
                    "most": max(each),
                }
            )
    return found


def _is_floor_of(row: dict[str, Any], own: dict[str, Any]) -> bool:
    return row["role"] == "floor" and row["gradient"] == own["gradient"]


_COLUMNS = {
    "median_ms": "median ms",
    "p99_ms": "p99 ms",
    "forward_ms": "forward",
    "backward_ms": "backward",
    "peak_mb": "step MB",
    "rss_mb": "process MB",
    "times": "× ours",
}


def table(rows: Sequence[dict[str, Any]], ratios: Sequence[dict[str, Any]]) -> Table:
    """Rows for a person at a terminal, with how many times as long each takes as the first of ours that counts."""
    reference = next((r["name"] for r in rows if r["role"] == "own" and r["status"] == "ok"), None)
    times = {r["other"]: r["ratio"] for r in ratios if r["own"] == reference}
    rows = [r | {"times": times.get(r["name"])} for r in rows]
    shown = {key: words for key, words in _COLUMNS.items() if any(r[key] is not None for r in rows)}
    drawn = Table(box=None)
    drawn.add_column("", no_wrap=True)
    for words in shown.values():
        drawn.add_column(words, justify="right")
    drawn.add_column("")
    for r in rows:
        form = " ".join(str(v) for v in r["form"].values())
        remark = form if r["status"] == "ok" else r.get("error") or r["status"].replace("_", " ")
        drawn.add_row(r["name"], *(_short(r[key]) for key in shown), remark)
    return drawn


def _short(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:.3g}" if number < 100 else f"{number:,.0f}"

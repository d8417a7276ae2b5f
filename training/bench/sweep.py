"""Points of a sweep: one thing varied, every point written as soon as it is measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from snnface.errors import InputError
from snnface.files import read_json, write_json
from snnface.progress import console
from snnface.training.bench.rows import table
from snnface.training.bench.workload import Workload

#: What is varied, and over which values.
SWEEPS: dict[str, tuple[Any, ...]] = {
    "density": (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2),
    "size": (64, 128, 256, 512),
    "steps": (16, 32, 128, 512, 2048),
    "batch": (1, 2, 4, 8, 16, 32),
    "threads": (1, 2),
}


@dataclass(frozen=True)
class Point:
    """``weights_of``: the workload on which the weights are scaled, where it is not this very one."""

    workload: Workload
    threads: int
    weights_of: Workload | None = None

    @property
    def asked(self) -> dict[str, Any]:
        """As JSON gives it back."""
        return json.loads(json.dumps(asdict(self.workload) | {"threads": self.threads}))


def points(base: Point, sweep: str | None) -> list[Point]:
    """The base itself, or the base varied. Over sizes the number of events stays, over sizes and steps the weights:
    the same network sees the same events on more pixels, or more of them.

    Raises
    ------
    InputError: the sweep is unknown.
    """
    if sweep is None:
        return [base]
    if sweep not in SWEEPS:
        raise InputError(f"--sweep {sweep}", "is unknown", f"Use one of {', '.join(SWEEPS)}")
    return [_varied(base, sweep, value) for value in SWEEPS[sweep]]


def _varied(base: Point, sweep: str, value: Any) -> Point:
    work = base.workload
    if sweep == "threads":
        return replace(base, threads=value)
    if sweep == "size":
        fewer = work.density * (work.size / value) ** 2
        return replace(base, workload=replace(work, size=value, density=fewer), weights_of=work)
    return replace(base, workload=replace(work, **{sweep: value}), weights_of=work if sweep == "steps" else None)


def collect(
    answer: dict[str, Any],
    asked: Iterable[Point],
    measure: Callable[[Point], tuple[dict[str, Any], dict[str, Any]]],
    out: Path | None,
    resume: bool,
) -> dict[str, Any]:
    """The answer with ``points``, ``rows`` and ``ratios`` of all points, written to ``out`` after each.

    ``measure`` gives facts of a point, and its rows and ratios, which get the ``point``'s number and what is varied.
    With ``resume`` the points that ``out`` holds are not measured again.

    Raises
    ------
    InputError: there is nothing to resume from.
    """
    answer = answer | {"points": [], "rows": [], "ratios": []}
    if resume:
        if out is None:
            raise InputError("--resume", "needs the file to go on with", "Add --out FILE")
        if out.is_file():
            answer = read_json(out)
    for point in asked:
        if any(point.asked.items() <= known.items() for known in answer["points"]):
            continue
        facts, given = measure(point)
        which = {"point": len(answer["points"])}
        if answer["sweep"] in point.asked:
            which[answer["sweep"]] = point.asked[answer["sweep"]]
        answer["points"].append(point.asked | {"facts": facts})
        for kind in ("rows", "ratios"):
            answer[kind] += [r | which for r in given[kind]]
        console.print(table(given["rows"], given["ratios"]))
        if out is not None:
            write_json(out, answer)
    return answer

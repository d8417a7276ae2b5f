"""A group of implementations on one problem: who is there, in which form, in turn, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import Progress

from snnface.errors import InputError
from snnface.progress import bar
from snnface.training.bench.implementation import Implementation
from snnface.training.bench.rows import ratios, row
from snnface.training.bench.turns import fastest, in_turn

#: Compilers take minutes: these are compiled unless it is said otherwise.
COMPILED = ("snntorch_compile",)


@dataclass(frozen=True)
class Settings:
    """How a comparison is run: ``steps`` of a turn, a worker's ``threads``, ``memory_gb`` and ``device``, and how
    long one answer of it may take, s (a compiler works in the first)."""

    rounds: int = 7
    warmup: int = 2
    steps: int = 1
    threads: int = 1
    memory_gb: float = 12.0
    time_limit_s: float = 900.0
    device: str = "cpu"


def chosen(
    table: dict[str, Implementation], against: Sequence[str] | None, compiled: bool | None, device: str = "cpu"
) -> list[Implementation]:
    """Our rows, floors and the peers that are asked for, as far as they run on ``device``: a library's name means all
    it offers.

    ``compiled``: with all compiled ones, with none, or (None) with those of ``COMPILED``.

    Raises
    ------
    InputError: a peer is unknown.
    """
    there = [i.on(device) for i in table.values() if device in i.devices]
    peers = [i for i in there if i.role == "peer"]
    for name in against or []:
        if not any(_means(name, i) for i in peers):
            known = sorted({i.requires or i.name for i in peers} | {i.name for i in peers})
            raise InputError(f"--against {name}", "is unknown", f"Use some of {', '.join(known)}")

    def wanted(i: Implementation) -> bool:
        asked = against is None or any(_means(name, i) for name in against)
        usual = i.name in COMPILED if compiled is None else compiled
        return asked and (usual or not _is_compiled(i) or i.name in (against or []))

    return [i for i in there if i.role != "peer" or wanted(i)]


def _means(name: str, peer: Implementation) -> bool:
    return name in (peer.name, peer.requires)


def _is_compiled(peer: Implementation) -> bool:
    return "compile" in peer.name


def compare(
    group: str,
    implementations: Sequence[Implementation],
    problem: Path,
    case: str,
    same: Callable[[Sequence[float]], bool],
    settings: Settings,
    forms: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Rows of all implementations, ratios of ours to the others, and the ``forms`` that were used.

    ``same``: whether the numbers of an implementation's steps, from the first on, are the right ones.
    ``forms``: of which form each is; for those that are not named the fastest is found first, in two steps each.
    """
    present = [i for i in implementations if i.installed]
    forms = dict(forms or {})

    def job(i: Implementation, form: dict[str, Any]) -> dict[str, Any]:
        return {
            "group": group,
            "name": i.name,
            "problem": str(problem.absolute()),
            "options": form,
            "threads": settings.threads,
            "device": settings.device,
            "memory_gb": settings.memory_gb,
        }

    with bar() as display:
        undecided = [i for i in present if len(i.forms) > 1 and i.name not in forms]
        _decide(undecided, job, settings, forms, display)
        task = display.add_task(f"{group} {case}", total=settings.warmup + settings.rounds)
        outcomes = in_turn(
            {i.name: job(i, forms.get(i.name, i.forms[0])) for i in present},
            settings.rounds,
            settings.warmup,
            settings.steps,
            settings.time_limit_s,
            after_round=lambda: display.advance(task),
        )
    rows = [row(i, case, outcomes.get(i.name), same, forms.get(i.name, i.forms[0])) for i in implementations]
    return {"rows": rows, "ratios": ratios(rows, outcomes), "forms": forms}


def _decide(
    undecided: Sequence[Implementation],
    job: Any,
    settings: Settings,
    forms: dict[str, dict[str, Any]],
    display: Progress,
) -> None:
    """Find the fastest form of each implementation, whose forms take turns."""
    task = display.add_task("fastest form of each peer", total=len(undecided))
    for i in undecided:
        names = [str(number) for number in range(len(i.forms))]
        jobs = {name: job(i, form) for name, form in zip(names, i.forms, strict=True)}
        best = fastest(names, in_turn(jobs, 2, 1, settings.steps, settings.time_limit_s))
        display.advance(task)
        forms[i.name] = i.forms[int(best) if best else 0]

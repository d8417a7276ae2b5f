"""``snnface bench stream``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from snnface.training.bench import streaming
from snnface.training.bench.compare import Settings, chosen, compare
from snnface.training.bench.options import CACHE, Against, Cache, Events, Laps, Out, Resume, Seed, Size, Source, Ticks
from snnface.training.bench.problems import problem
from snnface.training.bench.rows import machine
from snnface.training.bench.sweep import Point, collect
from snnface.training.bench.workload import Workload

#: A membrane within rounding of its threshold spikes here and not there.
SPIKES_TOLERANCE = 1e-3
#: Events a tick of 1 ms in the sweep.
RATES = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 16_000)


def stream(
    against: Against = None,
    events: Events = None,
    case: Source = "faces",
    ticks: Ticks = 240,
    laps: Laps = 4,
    size: Size = 128,
    threads: Annotated[int, typer.Option(min=1, help="Threads.")] = 1,
    sweep: Annotated[bool, typer.Option("--sweep", help="Noise of 50 to 16,000 events a tick.")] = False,
    seed: Seed = 0,
    cache: Cache = CACHE,
    out: Out = None,
    resume: Resume = False,
) -> dict[str, Any]:
    """One tick of 1 ms of a stream, with an answer after each.

    The network is that of train with a mean rate of 3 %, on one thread. All take blocks of ticks in turn; the spikes
    that come out in the first pass must be as many as by the definition (to 1e-3) before a time counts. In the sweep
    the network stays that of 1,000 events a tick.

    Example: snnface bench stream --against snntorch --events 1000
    """
    block = max(1, ticks // 12)
    blocks = -(-ticks // block)
    settings = Settings(laps * blocks, blocks, block, threads)
    rows_of = chosen(streaming.IMPLEMENTATIONS, against, compiled=False)
    people = 1 if sweep or case == "noise" else 8

    def at(count: int) -> Workload:
        kind = "noise" if sweep else case
        return Workload(kind, count / (2 * size**2), size, ticks, 1, rate=0.03, people=people, seed=seed)

    asked = [Point(at(n), threads, at(1000) if sweep else None) for n in (RATES if sweep else events or (100, 1000))]
    forms: dict[str, dict[str, Any]] = {}

    def measure(point: Point) -> tuple[dict[str, Any], dict[str, Any]]:
        found, path = problem(point.workload, cache, point.weights_of)
        expected = found.facts.pop("spikes")

        def same(spikes: Sequence[float]) -> bool:
            return math.isclose(sum(spikes[:ticks]), sum(expected), rel_tol=SPIKES_TOLERANCE)

        count = round(point.workload.density * 2 * size**2)
        given = compare("streaming", rows_of, path, str(count), same, settings, forms)
        forms.update(given["forms"])
        for row in given["rows"]:
            row["events_per_s"] = count * 1000
            row["real_time"] = row["p99_ms"] is not None and row["p99_ms"] < 1
        return found.facts, given

    answer: dict[str, Any] = {"workload": "stream", "sweep": "events" if sweep else None, "machine": machine(threads)}
    return collect(answer, asked, measure, out, resume)

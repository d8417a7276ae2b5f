"""``snnface bench``: this package beside other libraries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from snnface.cli import answering
from snnface.training.bench import streaming, training
from snnface.training.bench.compare import Settings, chosen, compare
from snnface.training.bench.problems import problem
from snnface.training.bench.rows import machine
from snnface.training.bench.sweep import SWEEPS, Point, collect, points
from snnface.training.bench.workload import CASES, Workload

app = typer.Typer(no_args_is_help=True, help="This package beside other libraries, the same numbers checked first.")

Against = Annotated[
    list[str] | None, typer.Option(help="Compare with this library or row only; may be given again. Default: all.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads; all cores by default.")]
Rounds = Annotated[int, typer.Option(min=1, help="Measured turns of each.")]
Cache = Annotated[Path, typer.Option(help="Folder for recordings and calibrated weights.")]
Out = Annotated[Path | None, typer.Option(help="Write the answer to this file too (JSON).")]
Seed = Annotated[int, typer.Option(min=0, help="Decides weights and noise.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the sweep in --out.")]

#: Relative: peers add in another order.
LOSS_TOLERANCE = 1e-4
#: A membrane within rounding of its threshold spikes here and not there.
SPIKES_TOLERANCE = 1e-3
#: Events a tick of 1 ms in the sweep.
RATES = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 16_000)


def train(
    against: Against = None,
    case: Annotated[str | None, typer.Option(help="faces or noise; both by default.")] = None,
    density: Annotated[float, typer.Option(help="Share of the input cells that is active in a step.")] = 0.02,
    size: Annotated[int, typer.Option(help="Side of the input, pixels.")] = 128,
    steps: Annotated[int, typer.Option(min=1, help="Time steps.")] = 32,
    batch: Annotated[int, typer.Option(min=1, help="Clips.")] = 8,
    threads: Threads = None,
    rounds: Rounds = 7,
    warmup: Annotated[int, typer.Option(min=1, help="Turns before the measured ones.")] = 2,
    compile: Annotated[bool, typer.Option(help="With the peers under torch.compile (minutes each).")] = True,
    sweep: Annotated[str | None, typer.Option(help=f"Vary one of {', '.join(SWEEPS)}.")] = None,
    memory_gb: Annotated[float, typer.Option(help="A process that needs more fails.")] = 12.0,
    time_limit: Annotated[float, typer.Option(help="For one answer of a process, s.")] = 900.0,
    seed: Seed = 0,
    cache: Cache = Path("out/bench"),
    out: Out = None,
    resume: Resume = False,
) -> dict[str, Any]:
    """One training step: forward, backward, Adam.

    Every implementation runs in a process of its own and they take turns; the loss of the first step must be that of
    the definition (relative 1e-4) before a time counts.

    Example: snnface bench train --against spikingjelly --case noise --rounds 5
    """
    threads = threads or torch.get_num_threads()
    settings = Settings(rounds, warmup, 1, threads, memory_gb, time_limit)
    rows_of = chosen(training.IMPLEMENTATIONS, against, compile and sweep is None)
    asked = [
        point
        for name in (CASES if case is None else (case,))
        for point in points(Point(Workload(name, density, size, steps, batch, seed=seed), threads), sweep)
    ]
    forms: dict[str, dict[str, Any]] = {}

    def measure(point: Point) -> tuple[dict[str, Any], dict[str, Any]]:
        found, path = problem(point.workload, cache, point.weights_of)
        at = replace(settings, threads=point.threads)
        loss = found.facts["loss"]

        def same(losses: Sequence[float]) -> bool:
            return math.isclose(losses[0], loss, rel_tol=LOSS_TOLERANCE)

        given = compare("training", rows_of, path, point.workload.case, same, at, forms)
        forms.update(given["forms"])
        return {k: found.facts[k] for k in ("loss", "rates", "near", "density", "step_us")}, given

    answer: dict[str, Any] = {"workload": "train", "sweep": sweep, "machine": machine(threads)}
    return collect(answer, asked, measure, out, resume)


def stream(
    against: Against = None,
    events: Annotated[list[int] | None, typer.Option(help="Events a tick; may be given again. 100 and 1000.")] = None,
    case: Annotated[str, typer.Option(help="Where they come from: faces or noise.")] = "faces",
    ticks: Annotated[int, typer.Option(min=8, help="Ticks of 1 ms before the input starts again.")] = 240,
    laps: Annotated[int, typer.Option(min=1, help="Measured passes over the input.")] = 4,
    size: Annotated[int, typer.Option(help="Side of the input, pixels.")] = 128,
    threads: Annotated[int, typer.Option(min=1, help="Threads.")] = 1,
    sweep: Annotated[bool, typer.Option("--sweep", help="Noise of 50 to 16,000 events a tick.")] = False,
    seed: Seed = 0,
    cache: Cache = Path("out/bench"),
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


for function in (train, stream):
    app.command(function.__name__)(answering(function))

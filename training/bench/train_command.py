"""``snnface bench train``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import torch
import typer

from snnface.training.bench import cuda, training
from snnface.training.bench.compare import Settings, chosen, compare
from snnface.training.bench.options import CACHE, Against, Cache, Out, Resume, Rounds, Seed, Size
from snnface.training.bench.problems import problem
from snnface.training.bench.rows import machine
from snnface.training.bench.sweep import SWEEPS, Point, collect, points
from snnface.training.bench.workload import CASES, Workload

#: Relative: peers add in another order.
LOSS_TOLERANCE = 1e-4
#: Steps of a turn; on a CUDA device they take milliseconds.
TURN = {"cpu": 2, "cuda": 10}


def train(
    against: Against = None,
    case: Annotated[str | None, typer.Option(help="faces or noise; both by default.")] = None,
    density: Annotated[float, typer.Option(help="Share of the input cells that is active in a step.")] = 0.02,
    size: Size = 128,
    steps: Annotated[int, typer.Option(min=1, help="Time steps.")] = 32,
    batch: Annotated[int, typer.Option(min=1, help="Clips.")] = 8,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; all cores by default.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    rounds: Rounds = 7,
    warmup: Annotated[int, typer.Option(min=1, help="Turns before the measured ones.")] = 2,
    compile: Annotated[
        bool | None, typer.Option(help="All peers under torch.compile too, or none; default: snntorch.")
    ] = None,
    sweep: Annotated[str | None, typer.Option(help=f"Vary one of {', '.join(SWEEPS)}.")] = None,
    memory_gb: Annotated[float, typer.Option(help="A process that needs more fails.")] = 12.0,
    time_limit: Annotated[float, typer.Option(help="For one answer of a process, s.")] = 900.0,
    seed: Seed = 0,
    cache: Cache = CACHE,
    out: Out = None,
    resume: Resume = False,
) -> dict[str, Any]:
    """One training step: forward, backward, Adam.

    Every implementation runs in a process of its own and they take turns; the loss of the first step must be that of
    the definition (relative 1e-4) before a time counts.

    Example: snnface bench train --against spikingjelly --case noise --rounds 5
    """
    cuda.check(device)
    threads = threads or torch.get_num_threads()
    settings = Settings(rounds, warmup, TURN[device], threads, memory_gb, time_limit, device)
    rows_of = chosen(training.IMPLEMENTATIONS, against, False if sweep and compile is None else compile, device)
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

    answer: dict[str, Any] = {"workload": "train", "sweep": sweep, "machine": machine(threads, device)}
    return collect(answer, asked, measure, out, resume)

"""``snnface bench simulate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from snnface.files import write_json
from snnface.io import parse_size
from snnface.progress import console
from snnface.training.bench import simulating
from snnface.training.bench.compare import Settings, chosen, compare
from snnface.training.bench.film import SCENES, Film, expected, prepared
from snnface.training.bench.options import CACHE, Against, Cache, Laps, Out, Seed
from snnface.training.bench.rows import machine, table

#: How far apart numbers of events may be where there is noise (relative): the low-passes differ in dim light.
NOISE_TOLERANCE = 0.25


def simulate(
    against: Against = None,
    size: Annotated[
        list[str] | None, typer.Option(help="WIDTHxHEIGHT; may be given again. 346x260, 1280x720.")
    ] = None,
    scene: Annotated[list[str] | None, typer.Option(help="face or grating; may be given again. Both.")] = None,
    noise: Annotated[bool | None, typer.Option("--noise/--clean", help="One of them. Default: both.")] = None,
    frames: Annotated[int, typer.Option(min=3, help="Pictures, 1 ms apart.")] = 60,
    laps: Laps = 3,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each.")] = 1,
    seed: Seed = 0,
    cache: Cache = CACHE,
    out: Out = None,
) -> dict[str, Any]:
    """One picture of 8-bit grey values to events, beside v2e's own emulator.

    Without noise every picture must give every pixel exactly the events of the definition, ON and OFF, before a time
    counts; both take the same logarithm and thresholds. With noise (v2e's set "noisy") the number of events of the
    first pass must be ours to 25 %: v2e's low-pass is a little quicker in dim light.

    Example: snnface bench simulate --size 346x260 --scene face --clean
    """
    block = max(1, frames // 6)
    blocks = -(-frames // block)
    settings = Settings(laps * blocks, blocks, block, threads)
    answer: dict[str, Any] = {"workload": "simulate", "machine": machine(threads), "rows": [], "ratios": []}
    films = [_film(each, text, frames, seed) for text in size or ("346x260", "1280x720") for each in scene or SCENES]
    for film in films:
        path = prepared(film, cache)
        for noisy in (False, True) if noise is None else (noise,):
            case = f"{film.scene} {film.width}x{film.height} {'noise' if noisy else 'clean'}"
            found = _compared(path, case, noisy, against, settings)
            console.print(table(found["rows"], found["ratios"]))
            answer["rows"] += found["rows"]
            answer["ratios"] += found["ratios"]
            if out is not None:
                write_json(out, answer)
    return answer


def _film(scene: str, size: str, frames: int, seed: int) -> Film:
    pixels = parse_size(size)
    assert pixels is not None
    return Film(scene, *pixels, frames, simulating.STEP_US, seed)


def _compared(
    path: Path, case: str, noisy: bool, against: Sequence[str] | None, settings: Settings
) -> dict[str, Any]:
    pictures = np.load(path)
    sums, counts = expected(pictures)
    if noisy:
        step = simulating.implementations(True)["snnface simulator"].prepare(path, {"noise": True})()
        counts = [int(step().value) for _ in pictures]

    def same(values: Sequence[float]) -> bool:
        first = values[: len(pictures)]
        if noisy:
            return abs(sum(first) / max(1, sum(counts)) - 1) < NOISE_TOLERANCE
        return list(first) == sums

    known = chosen(simulating.implementations(noisy), against, compiled=False)
    found = compare("simulating", known, path, case, same, settings)
    pixels = pictures[0].size
    for row in found["rows"]:
        row |= {"frames": len(pictures), "pixels": pixels, "events": sum(counts)}
        row["pixels_per_s"] = pixels / row["median_ms"] * 1e3 if row["median_ms"] else None
    return found

"""``snnface bench integer``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from snnface.errors import InputError
from snnface.training.bench.compare import Settings, chosen, compare
from snnface.training.bench.integer import BLOCK, IMPLEMENTATIONS, expected_spikes, quantised
from snnface.training.bench.options import CACHE, Against, Cache, Events, Laps, Out, Seed, Size, Source, Ticks
from snnface.training.bench.problems import problem
from snnface.training.bench.rows import machine
from snnface.training.bench.sweep import Point, collect
from snnface.training.bench.workload import Workload


def integer(
    against: Against = None,
    events: Events = None,
    case: Source = "faces",
    ticks: Ticks = 240,
    laps: Laps = 4,
    size: Size = 128,
    seed: Seed = 0,
    cache: Cache = CACHE,
    out: Out = None,
) -> dict[str, Any]:
    """One tick of 1 ms of the quantised network in the chip's integer arithmetic, one thread.

    The network is that of stream, with reset to zero and 8-bit weights. Every block of 8 ticks must give exactly the
    spikes of the simulator. Real Lava, where it is installed, runs the first block alone, a few times.

    Example: snnface bench integer --events 1000
    """
    people = 1 if case == "noise" else 8
    if ticks % math.lcm(BLOCK, people):
        raise InputError("--ticks", f"{ticks} is no multiple of 8", "Give a multiple of 8")
    blocks = ticks // BLOCK
    known = chosen(IMPLEMENTATIONS, against, compiled=False)

    def at(count: int) -> Point:
        density = count / (2 * size**2)
        return Point(Workload(case, density, size, ticks, 1, rate=0.03, reset="zero", people=people, seed=seed), 1)

    def measure(point: Point) -> tuple[dict[str, Any], dict[str, Any]]:
        found, path = problem(point.workload, cache)
        quantised(path)
        expected = expected_spikes(path)
        count = str(round(point.workload.density * 2 * size**2))

        def same(spikes: Sequence[float]) -> bool:
            return list(spikes[:blocks]) == expected

        quick = [i for i in known if i.name != "lava"]
        given = compare("integer", quick, path, count, same, Settings(laps * blocks, blocks, 1, 1))
        own, lava = IMPLEMENTATIONS["snnface integer stream"], [i for i in known if i.name == "lava"]
        if lava:
            once = Settings(rounds=2, warmup=1)
            slow = compare("integer", [own, *lava], path, count, lambda s: s[0] == expected[0], once)
            given["rows"] += [r for r in slow["rows"] if r["name"] == "lava"]
            given["ratios"] += slow["ratios"]
        return {"rates": found.facts["rates"], "spikes": sum(expected)}, given

    answer: dict[str, Any] = {"workload": "integer", "sweep": None, "machine": machine(1)}
    return collect(answer, [at(n) for n in events or (100, 1000)], measure, out, resume=False)

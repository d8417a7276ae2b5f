"""One implementation in a process of its own: ``python -m snnface.training.bench.worker JOB.json``.

The job: ``group`` (a module of this package with ``IMPLEMENTATIONS``), ``name``, ``problem`` (a file), ``options``,
``threads``, ``device``, ``memory_gb`` (of the device). It answers every line on standard input, ``{"steps": n}`` or
``{"forget_peak": true}``, with one line of JSON; errors are ``{"error": text}`` and end it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

from snnface.training.bench import cuda, process_memory
from snnface.training.bench.implementation import Step


def main(job_file: str) -> None:
    """Serve until standard input ends."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print must not get between the answers

    def answer(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    memory = cuda if job["device"] == "cuda" else process_memory
    try:
        step, baseline = _start(job, memory)
        answer({"baseline_mb": baseline})
        for line in sys.stdin:
            answer(_serve(json.loads(line), step, memory))
    except Exception as e:
        answer({"error": " ".join(f"{type(e).__name__}: {e}".split())[:300]})


def _start(job: dict[str, Any], memory: Any) -> tuple[Step, float]:
    torch.set_num_threads(job["threads"])
    if memory is cuda:
        cuda.full_precision()
    memory.limit(job["memory_gb"])
    options = job["options"] | {"device": job["device"]}
    group = importlib.import_module(f"snnface.training.bench.{job['group']}")
    start = group.IMPLEMENTATIONS[job["name"]].prepare(Path(job["problem"]), options)
    memory.settle()
    baseline = memory.resident_mb()
    memory.forget_peak()
    return start(), baseline


def _serve(order: dict[str, Any], step: Step, memory: Any) -> dict[str, Any]:
    if order.get("forget_peak"):
        memory.forget_peak()
        return {}
    seconds, forward, values = [], [], []
    for _ in range(order["steps"]):
        begin = time.perf_counter()
        done = step()
        taken = time.perf_counter() - begin
        seconds.append(taken if done.seconds is None else done.seconds)
        values.append(done.value)
        forward.append(done.forward_s)
    return {"seconds": seconds, "forward": forward, "values": values, "peak_mb": memory.peak_mb()}


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        main(sys.argv[1])

"""Implementations in processes of their own that take turns, A B C A B C …, so that what disturbs the machine
disturbs all of them and ratios are taken inside a round."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Outcome:
    """What a worker gave: seconds and forward seconds of the measured steps, round by round, all values from the
    first step on, memory in MB, or an error."""

    seconds: list[list[float]] = field(default_factory=list)
    forward: list[list[float | None]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    first_s: float | None = None
    peak_mb: float | None = None
    rss_mb: float | None = None
    error: str | None = None


class WorkerError(Exception):
    """A worker's own words, or what became of it."""


class Worker:
    """A worker process; ``job`` as in :mod:`snnface.training.bench.worker`."""

    def __init__(self, job: dict[str, Any], time_limit_s: float = 600) -> None:
        self._limit = time_limit_s
        self._folder = tempfile.TemporaryDirectory(prefix="snnface-bench-")
        file = Path(self._folder.name) / "job.json"
        file.write_text(json.dumps(job), encoding="utf-8")
        self._log = open(Path(self._folder.name) / "log.txt", "w+", encoding="utf-8")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "snnface.training.bench.worker", str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def answer(self) -> dict[str, Any]:
        """The next answer; raises :class:`WorkerError`."""
        try:
            line = self._lines.get(timeout=self._limit)
        except queue.Empty:
            raise WorkerError(f"no answer within {self._limit:.0f} s") from None
        if not line:
            self._log.seek(0)
            last = self._log.read().strip().splitlines()[-1:] or ["without a word"]
            raise WorkerError(f"the process ended: {last[0]}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def ask(self, **order: Any) -> dict[str, Any]:
        """Send an order and wait for its answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # what it said before it ended comes as the answer
        return self.answer()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._log.close()
        self._folder.cleanup()


def in_turn(
    jobs: dict[str, dict[str, Any]],
    rounds: int,
    warmup: int,
    steps: int = 1,
    time_limit_s: float = 600,
    after_round: Callable[[], None] = lambda: None,
) -> dict[str, Outcome]:
    """Let all jobs take ``warmup`` and then ``rounds`` turns of ``steps`` steps; one that fails drops out.

    The peak of memory is that of the measured turns, above what the worker held before it built anything.
    """
    outcomes = {name: Outcome() for name in jobs}
    workers: dict[str, Worker] = {}
    baselines: dict[str, float] = {}

    def begin(name: str) -> None:
        workers[name] = Worker(jobs[name], time_limit_s)

    def build(name: str) -> None:
        baselines[name] = workers[name].answer()["baseline_mb"]

    def forget_peak(name: str) -> None:
        workers[name].ask(forget_peak=True)

    def warm(name: str) -> None:
        given = workers[name].ask(steps=steps)
        outcomes[name].values += given["values"]
        if outcomes[name].first_s is None:
            outcomes[name].first_s = given["seconds"][0]

    def measure(name: str) -> None:
        given, outcome = workers[name].ask(steps=steps), outcomes[name]
        outcome.values += given["values"]
        outcome.seconds.append(given["seconds"])
        outcome.forward.append(given["forward"])
        outcome.rss_mb = given["peak_mb"]
        outcome.peak_mb = max(0.0, given["peak_mb"] - baselines[name])

    def all_of(names: Iterable[str], action: Callable[[str], None]) -> None:
        for name in list(names):
            try:
                action(name)
            except WorkerError as e:
                outcomes[name].error = str(e)
                if name in workers:
                    workers.pop(name).close()

    try:
        all_of(jobs, begin)  # all of them import at once
        all_of(workers, build)
        for _ in range(warmup):
            all_of(workers, warm)
            after_round()
        all_of(workers, forget_peak)
        for _ in range(rounds):
            all_of(workers, measure)
            after_round()
    finally:
        for worker in workers.values():
            worker.close()
    return outcomes


def fastest(names: Sequence[str], outcomes: dict[str, Outcome]) -> str | None:
    """The name with the smallest time of a measured step."""
    ok = [n for n in names if outcomes[n].error is None and outcomes[n].seconds]
    return min(ok, key=lambda n: min(min(r) for r in outcomes[n].seconds), default=None)

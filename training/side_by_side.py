"""Several trainings at once, each in a process of its own with its share of the threads.

Two trainings of one thread each take less time than one after the other with two: much of a step is too small to be
shared out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from snnface.progress import bar, silence
from snnface.training.recipe import Recipe
from snnface.training.run_folder import read_log
from snnface.training.trainer import summary, train
from snnface.workers import as_done

#: Seconds between looks at how far the trainings have come.
_LOOK_S = 1.0


@dataclass(frozen=True)
class TrainingRun:
    """A recipe, the run folder it trains in, or goes on in, and what it starts from (``init`` of the trainer)."""

    recipe: Recipe
    run: Path
    init: str | None = None


def train_side_by_side(trainings: Sequence[TrainingRun]) -> Iterator[tuple[int, dict[str, Any], float]]:
    """Train all; yields (number, the trainer's answer, seconds) as they end, those that come first begun first."""
    workers = min(os.cpu_count() or 1, len(trainings))
    threads = max(1, (os.cpu_count() or 1) // workers)
    seen = [len(read_log(t.run)) for t in trainings]
    with bar() as display:
        task = display.add_task(
            "training", total=sum(t.recipe.training.epochs for t in trainings), completed=sum(seen)
        )

        def look() -> None:
            for i, training in enumerate(trainings):
                for line in read_log(training.run)[seen[i] :]:
                    seen[i] += 1
                    text = summary(line, training.recipe.training.epochs)
                    display.console.print(f"  {training.run.name}, {text}", highlight=False)
                    display.advance(task)

        arguments = [(t.recipe, t.run, threads, t.init) for t in trainings]
        with closing(as_done(_train, arguments, workers, every=_LOOK_S)) as done:
            for found in done:
                look()
                if found is not None:
                    yield found[0], *found[1]


def _train(recipe: Recipe, run: Path, threads: int, init: str | None) -> tuple[dict[str, Any], float]:
    silence()
    torch.set_num_threads(threads)
    started = time.perf_counter()
    return train(recipe, run, resume=True, init=init), time.perf_counter() - started

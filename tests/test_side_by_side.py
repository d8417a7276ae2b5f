"""Work in several processes: the same results as in one, errors that arrive, trainings that go on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from snnface.errors import InputError
from snnface.training import recipe as recipes
from snnface.training.run_folder import read_log
from snnface.training.side_by_side import TrainingRun, train_side_by_side
from snnface.training.trainer import train
from snnface.workers import as_done


def _half(number: int) -> int:
    if number % 2:
        raise InputError(f"--number {number}", "is odd", "Give an even one")
    return number // 2


def test_results_come_with_their_numbers() -> None:
    assert sorted(filter(None, as_done(_half, [(8,), (2,), (6,)], 2))) == [(0, 4), (1, 1), (2, 3)]


def test_waiting_can_be_watched() -> None:
    seen = list(as_done(time.sleep, [(1.0,)], 1, every=0.1))
    assert seen[-1] == (0, None)
    assert len(seen) > 3
    assert not any(seen[:-1])


def test_what_a_worker_raises_arrives() -> None:
    with pytest.raises(InputError, match=r"--number 3: is odd\. Give an even one"):
        list(as_done(_half, [(2,), (3,)], 2))


def test_a_worker_that_dies_is_one_clear_error() -> None:
    with pytest.raises(InputError, match="a worker process: died"):
        list(as_done(os._exit, [(3,)], 1))


def _training(data: Path, run: Path, *changes: str) -> TrainingRun:
    small = (
        "training.epochs=2",
        "data.clips=8",
        "network.conv=[{channels=4,kernel=11,stride=8}]",
        "network.dense=[]",
    )
    return TrainingRun(recipes.load("student", [f"data.train={data}", *small, *changes]), run)


def test_trainings_side_by_side_are_those_one_by_one(tiny_path: Path, tmp_path: Path) -> None:
    seeds = [_training(tiny_path, tmp_path / f"{seed}", f"training.seed={seed}") for seed in (1, 2)]
    found = {i: answer for i, answer, seconds in train_side_by_side(seeds) if seconds > 0}
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    try:
        for i, training in enumerate(seeds):
            alone = train(training.recipe, tmp_path / f"alone{i}")
            assert found[i]["metrics"]["nme"] == alone["metrics"]["nme"]
            ours, other = load_file(found[i]["checkpoint"]), load_file(alone["checkpoint"])
            assert all(torch.equal(ours[name], other[name]) for name in other)
    finally:
        torch.set_num_threads(before)


def test_a_training_that_fails_says_why_and_the_others_go_on_later(tiny_path: Path, tmp_path: Path) -> None:
    good, bad = _training(tiny_path, tmp_path / "good"), _training(tiny_path, tmp_path / "bad", "training.lr=1e30")
    with pytest.raises(InputError, match=r"Lower training\.lr"):
        list(train_side_by_side([bad, good]))
    list(train_side_by_side([good]))
    assert len(read_log(good.run)) == 2

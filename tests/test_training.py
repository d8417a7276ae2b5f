"""Training on a tiny set of synthetic faces: whole runs, interruptions, teachers, baselines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import BY_HEART, PER_EPOCH, SMALL, log, same, settings, weights

import snnface
from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.training import trainer
from snnface.training.clips import Clips
from snnface.training.evaluate import answer, intervals, measure
from snnface.training.predictors import open_predictor


@pytest.fixture(scope="module")
def finished(tiny_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An uninterrupted run of three epochs."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    return run, trainer.train(settings(tiny_path), run)


def test_a_run_folder_holds_everything(finished: tuple[Path, dict], tiny_path: Path) -> None:
    run, found = finished
    assert sorted(p.name for p in run.iterdir()) == [
        "best.json", "best.safetensors", "last.json", "last.safetensors",
        "metrics.jsonl", "resume.safetensors", "run.json",
    ]  # fmt: skip
    described = json.loads((run / "run.json").read_text())
    assert described["recipe"]["training"]["epochs"] == 3
    assert described["data_sha256"] == Store(tiny_path).content_sha256()
    assert described["versions"]["torch"] == torch.__version__
    lines = log(run)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    for line in lines:
        assert set(line["loss"]) == {"au", "expression", "landmarks", "rate"}
        assert line["seconds"] > 0
        assert line["peak_memory_mb"] > 0
    assert found["run"] == str(run)
    assert found["checkpoint"] == str(run / "best.safetensors")
    best = max(lines, key=lambda line: line["score"])
    assert found["metrics"]["epoch"] == best["epoch"]
    assert found["metrics"]["nme"] == best["nme"]


def test_the_checkpoint_gives_the_metrics_that_it_was_chosen_by(finished: tuple[Path, dict], tiny_path: Path) -> None:
    run, found = finished
    opened = open_predictor(run / "best.safetensors")
    mean_shape = opened.mean_shape
    assert mean_shape is not None
    clips = Clips(tiny_path, "validation")
    answers = answer(opened.predict, opened.step_us, clips, batch=2, network=opened.network)
    again = measure(answers, clips, mean_shape)
    for key in ("au_top1", "nme", "nme_mean_shape"):
        assert again[key] == pytest.approx(found["metrics"][key], rel=1e-4)
    assert again["clips"] == len(clips) == 6
    assert again["identities"] == 1
    assert again["spikes_per_clip"] > 0
    assert all(0 < rate < 0.5 for rate in again["spike_rates"])
    profiled = snnface.profile(run / "best.safetensors", data=tiny_path, split="validation")
    assert again["synops_per_s"] == pytest.approx(profiled["synops_per_s"])
    for key, (low, high) in intervals(answers, clips, rounds=20).items():
        assert low == pytest.approx(high) == pytest.approx(again[key])  # one person only


def test_a_network_learns_a_few_clips_by_heart(tiny_path: Path, tmp_path: Path) -> None:
    trainer.train(settings(tiny_path, *BY_HEART), tmp_path)
    lines = log(tmp_path)
    assert sum(lines[-1]["loss"].values()) < 0.8 * sum(lines[0]["loss"].values())


def test_the_same_recipe_gives_the_same_weights_and_another_seed_others(
    finished: tuple[Path, dict], tiny_path: Path, tmp_path: Path
) -> None:
    trainer.train(settings(tiny_path), tmp_path / "again")
    assert same(weights(tmp_path / "again"), weights(finished[0]))
    trainer.train(settings(tiny_path, "training.seed=1", "training.epochs=1"), tmp_path / "other")
    assert not same(weights(tmp_path / "other"), weights(finished[0]))


@pytest.mark.parametrize("batches", [1, 4])
def test_an_interrupted_run_goes_on_to_the_same_weights(
    batches: int, finished: tuple[Path, dict], tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, done = tmp_path / "run", 0
    terms = trainer.loss_terms

    def interrupted(*arguments: Any) -> Any:
        nonlocal done
        done += 1
        if done > batches:
            raise KeyboardInterrupt
        return terms(*arguments)

    monkeypatch.setattr(trainer, "loss_terms", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(settings(tiny_path), run)
    monkeypatch.undo()
    assert not (run / "last.safetensors").exists()
    trainer.train(settings(tiny_path), run, resume=True)
    for name in ("best", "last"):
        assert same(weights(run, name), weights(finished[0], name))
    assert [line["loss"] for line in log(run)] == [line["loss"] for line in log(finished[0])]


#: The command line, which gets a signal in the middle of its n-th batch.
SIGNALLED = """
import os, signal, sys, time
from snnface import cli
from snnface.training import trainer

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born without

terms, batches = trainer.loss_terms, 0

def counted(*arguments):
    global batches
    batches += 1
    if batches == int(sys.argv[1]):
        os.kill(os.getpid(), int(sys.argv[2]))
        time.sleep(10)
    return terms(*arguments)

trainer.loss_terms = counted
cli.main(sys.argv[3:])
"""


def test_killed_and_interrupted_processes_go_on_to_the_same_weights(
    finished: tuple[Path, dict], tiny_path: Path, tmp_path: Path
) -> None:
    """Ctrl-C in the second epoch, then ``kill -9`` in the third."""
    run = tmp_path / "run"
    command = ["train", "student", "--out", str(run), "--set", f"data.train={tiny_path}", "--resume"]
    command += [part for change in SMALL for part in ("--set", change)]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}

    def signalled(batch: int, sent: signal.Signals) -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-c", SIGNALLED, str(batch), str(int(sent)), *command]
        return subprocess.run(arguments, capture_output=True, text=True, env=environment, check=False)

    ended = signalled(PER_EPOCH + 2, signal.SIGINT)
    assert ended.returncode == 130
    assert ended.stderr.splitlines()[-1].startswith("interrupted")
    assert "Traceback" not in ended.stderr
    assert len(log(run)) == 1
    assert signalled(PER_EPOCH + 1, signal.SIGKILL).returncode == -signal.SIGKILL
    assert len(log(run)) == 2
    assert not (run / "last.safetensors").exists()
    trainer.train(settings(tiny_path), run, resume=True)
    for name in ("best", "last"):
        assert same(weights(run, name), weights(finished[0], name))


@pytest.mark.parametrize(
    ("changes", "resume", "message"),
    [
        ((), False, "holds this run already. Add --resume"),
        (("training.lr=1e-3",), True, "holds a run of another recipe"),
        (("training.epochs=4",), True, "holds a run of another recipe"),
    ],
)
def test_a_folder_of_another_run_is_refused(
    changes: tuple[str, ...], resume: bool, message: str, finished: tuple[Path, dict], tiny_path: Path
) -> None:
    before = weights(finished[0])
    with pytest.raises(InputError, match=message):
        trainer.train(settings(tiny_path, *changes), finished[0], resume=resume)
    assert same(weights(finished[0]), before)


def test_a_finished_run_resumes_to_its_answer(finished: tuple[Path, dict], tiny_path: Path) -> None:
    assert trainer.train(settings(tiny_path), finished[0], resume=True) == finished[1]


def test_a_broken_state_is_one_clear_error(finished: tuple[Path, dict], tiny_path: Path, tmp_path: Path) -> None:
    for name in ("run.json", "resume.safetensors"):
        (tmp_path / name).write_bytes((finished[0] / name).read_bytes())
    (tmp_path / "resume.safetensors").write_bytes((finished[0] / "resume.safetensors").read_bytes()[:-100])
    with pytest.raises(InputError, match=r"resume\.safetensors: cannot be read"):
        trainer.train(settings(tiny_path), tmp_path, resume=True)


def test_training_stops_early_where_nothing_improves(tiny_path: Path, tmp_path: Path) -> None:
    trainer.train(settings(tiny_path, "training.lr=1e-12", "training.epochs=9", "training.patience=2"), tmp_path)
    scores = [line["score"] for line in log(tmp_path)]
    assert len(scores) == scores.index(max(scores)) + 3 < 9


def test_a_diverging_run_says_so(tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "loss_terms", lambda *_: {"au": torch.tensor(float("nan"), requires_grad=True)})
    with pytest.raises(InputError, match="the loss is nan in epoch 1"):
        trainer.train(settings(tiny_path), tmp_path / "run")


def test_batches_without_a_wanted_label_are_passed_over(tiny_path: Path, tmp_path: Path) -> None:
    only = ("losses.landmarks=0", "losses.au=0", "losses.rate=0", "training.batch=1", "training.epochs=1")
    trainer.train(settings(tiny_path, *only), tmp_path)
    assert set(log(tmp_path)[0]["loss"]) == {"expression"}


def test_training_starts_from_weights(finished: tuple[Path, dict], tiny_path: Path, tmp_path: Path) -> None:
    start = finished[0] / "best.safetensors"
    still = settings(tiny_path, "training.lr=1e-12", "training.epochs=1", "training.weight_decay=0.0")
    trainer.train(still, tmp_path / "whole", init=str(start))
    trainer.train(still, tmp_path / "encoder", init=f"{start}:encoder")
    trainer.train(still, tmp_path / "fresh")
    whole, encoder, fresh = (weights(tmp_path / name) for name in ("whole", "encoder", "fresh"))
    trained = weights(finished[0], "best")
    for key in trained:
        readout = key.split(".")[1] == "3"
        torch.testing.assert_close(whole[key], trained[key], rtol=0, atol=1e-6)
        torch.testing.assert_close(encoder[key], (fresh if readout else trained)[key], rtol=0, atol=1e-6)
    with pytest.raises(InputError, match=r"another start \(--init\)"):
        trainer.train(still, tmp_path / "fresh", resume=True, init=str(start))
    with pytest.raises(InputError, match="has another architecture"):
        trainer.train(settings(tiny_path, "network.dense=[]"), tmp_path / "other", init=str(start))
    assert not (tmp_path / "other").exists()


def test_decays_and_thresholds_are_learned_from_a_network_that_had_them_fixed(
    finished: tuple[Path, dict], tiny_path: Path, tmp_path: Path
) -> None:
    learning = ("network.learn_decays=true", "network.learn_threshold=true", "network.truncate_steps=10")
    start = finished[0] / "best.safetensors"
    trainer.train(settings(tiny_path, *learning, "training.epochs=1"), tmp_path, init=str(start))
    learned = {name: p for name, p in weights(tmp_path).items() if name.startswith("neurons.")}
    assert set(learned) == {
        *(f"neurons.{i}.alpha" for i in (1, 2, 3)), *(f"neurons.{i}.beta" for i in range(4)),
        *(f"neurons.{i}.threshold" for i in range(3)),
    }  # fmt: skip
    for name, p in learned.items():
        assert 0 < p.abs().max() < 1, name
    with pytest.raises(InputError, match="has another architecture"):
        trainer.train(settings(tiny_path), tmp_path / "fixed", init=str(tmp_path / "last.safetensors"))


def test_decays_learn_at_a_rate_of_their_own(tiny_path: Path, tmp_path: Path) -> None:
    def moved(run: str, *changes: str) -> dict[str, float]:
        trainer.train(settings(tiny_path, "network.learn_decays=true", "training.epochs=1", *changes), tmp_path / run)
        return {name: float(p.abs().max()) for name, p in weights(tmp_path / run).items() if "neurons" in name}

    slow, quick = moved("slow", "training.neuron_lr=1e-3"), moved("quick", "training.neuron_lr=8.0")
    assert all(quick[name] > 100 * slow[name] for name in slow)


def test_the_matched_cnn_trains_on_the_same_clips(tiny_path: Path, tmp_path: Path) -> None:
    trainer.train(settings(tiny_path, *BY_HEART, name="matched_cnn"), tmp_path / "whole")
    lines = log(tmp_path / "whole")
    assert sum(lines[-1]["loss"].values()) < 0.7 * sum(lines[0]["loss"].values())
    opened = open_predictor(tmp_path / "whole" / "best.safetensors")
    mean_shape = opened.mean_shape
    assert mean_shape is not None
    clips = Clips(tiny_path, "validation")
    found = measure(answer(opened.predict, opened.step_us, clips), clips, mean_shape)
    assert found["nme"] == pytest.approx(max(lines, key=lambda line: line["score"])["nme"], rel=1e-3)
    assert "spikes_per_clip" not in found

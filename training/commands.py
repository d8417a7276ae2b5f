"""Commands of the training room: teach, train, eval, demo, results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.training import recipe as recipes
from snnface.training.clips import Clips
from snnface.training.evaluate import answer, intervals, measure
from snnface.training.predictors import open_predictor
from snnface.training.teacher import train_teacher
from snnface.training.trainer import train as train_recipe


def teach(
    data: Annotated[Path, typer.Argument(help="Data set with RGB.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File for the teacher's predictions.")] = Path("teacher.safetensors"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training clips.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Decides weights and order.")] = 0,
    also: Annotated[
        list[Path] | None,
        typer.Option(help="Another data set whose test people the teacher classifies, e.g. other faces."),
    ] = None,
) -> dict[str, Any]:
    """Train an RGB teacher on the training people; write what it says of their clips.

    Example: snnface teach faces.h5 --out teacher.safetensors

    How well it recognises other faces: snnface teach faces.h5 --also ict.h5
    """
    others = [(path, "test") for path in also or []]
    return {"out": str(out)} | train_teacher(data, out, epochs=epochs, seed=seed, also=others)


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe: a TOML file or the name of a shipped one.")],
    set: Annotated[list[str] | None, typer.Option("--set", help="Change a field, a.b=value.")] = None,
    init: Annotated[str | None, typer.Option(help="Start from weights: CHECKPOINT or CHECKPOINT:encoder.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/NAME by default.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The recipe's training.seed.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
) -> dict[str, Any]:
    """Train one recipe into one run folder.

    Example: snnface train student --set data.train=faces.h5 --set training.epochs=20 --out runs/first
    """
    changes = [*(set or []), *([f"training.seed={seed}"] if seed is not None else [])]
    return train_recipe(
        recipes.load(recipe, changes), out or Path("runs") / Path(recipe).stem, resume=resume, init=init
    )


def evaluate(
    network: Annotated[Path, typer.Argument(help="A checkpoint (.safetensors), a netx (.net) or a NIR file (.nir).")],
    data: Annotated[Path, typer.Argument(help="Data set (HDF5).")],
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    backend: Annotated[
        str | None, typer.Option(help="native, torch, snntorch, norse, fixed; else the fastest.")
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Rounds of the bootstrap over people; 0 = none.")] = 0,
    mean_shape: Annotated[
        Path | None, typer.Option(help="Data set whose training frames give the mean shape (else the checkpoint's).")
    ] = None,
) -> dict[str, Any]:
    """Measure a network on people: action units, expressions, landmarks.

    Example: snnface eval out/demo/model.safetensors out/demo/test.h5 --bootstrap 1000
    """
    if split not in ("train", "validation", "test"):
        raise InputError(f"--split {split}", "is unknown", "Use train, validation or test")
    opened = open_predictor(network, backend)
    clips = Clips(data, split)
    shape = opened.mean_shape
    if mean_shape is not None:
        shape = torch.cat(Clips(mean_shape, "train").landmarks).mean(0)
    if shape is None:
        raise InputError(network, "does not hold the mean training shape", "Add --mean-shape TRAIN.h5")
    answers = answer(opened.predict, opened.step_us, clips, network=opened.network)
    found = measure(answers, clips, shape)
    if bootstrap:
        found["intervals"] = intervals(answers, clips, rounds=bootstrap)
    return found | {"data_sha256": Store(data).content_sha256()}

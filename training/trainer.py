"""The trainer: one recipe, one run folder; the best epoch is chosen on the validation people."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnface import checkpoint
from snnface.datasets.store import Store
from snnface.encoder import Encoder
from snnface.errors import InputError
from snnface.memory import freed_memory_kept, peak_mb
from snnface.progress import bar, say
from snnface.training.budgets import Budgets
from snnface.training.clips import Clips
from snnface.training.evaluate import answer, measure
from snnface.training.models import build, spread, start_from, step_us
from snnface.training.objectives import loss_terms
from snnface.training.quantised import ChipNumbers, baked
from snnface.training.recipe import Recipe
from snnface.training.run_folder import RunFolder, describe
from snnface.training.teacher_file import load_predictions

_DIVERGED = "Lower training.lr and start again in another folder"


def train(recipe: Recipe, out: str | Path, resume: bool = False, init: str | None = None) -> dict[str, Any]:
    """Train a recipe; returns ``run`` (folder), ``checkpoint`` (best weights) and ``metrics`` (validation).

    Interrupted at any point it goes on from the last finished epoch with ``resume`` and ends with the same
    weights: every epoch draws its order and its changes from the seed and its own number. ``init``: weights to start
    from, ``CHECKPOINT`` or ``CHECKPOINT:encoder`` (all but the readout).
    """
    data_sha256 = Store(recipe.data.train).content_sha256()
    clips = Clips(recipe.data.train, "train", recipe.data.clips)
    validation = Clips(recipe.data.train, "validation")
    teacher = load_predictions(recipe.teacher, clips, data_sha256) if recipe.teacher else None
    model = build(recipe, clips, teacher)
    if init is not None:
        start_from(model, init)
    settings = recipe.training
    folder = RunFolder(out)
    folder.open(describe(recipe, data_sha256, init), resume)
    chip = ChipNumbers(recipe.quantise, clips, settings.seed, folder.path / "grid.json") if recipe.quantise else None
    bits = recipe.quantise.bits if recipe.quantise else 8
    encoder = model if isinstance(model, Encoder) else None
    budgets = Budgets(encoder.to_network(), recipe.losses, bits) if encoder else None
    groups = _parameter_groups(model, settings.neuron_lr)
    optimizer = torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    log = folder.load_progress(model, optimizer)
    if resume and log:
        say(f"{folder.path}: goes on after epoch {len(log)} of {settings.epochs}")
    mean_shape = torch.cat(clips.landmarks).mean(0)
    per_epoch = math.ceil(len(clips) / settings.batch)
    rate = _schedule(settings.lr, settings.epochs * per_epoch, settings.warmup)
    units = spread(model)

    def stopped_early() -> bool:
        if settings.patience is None or not log:
            return False
        scores = [line["score"] for line in _alike(log)]
        return len(scores) - 1 - scores.index(max(scores)) >= settings.patience

    with freed_memory_kept(), bar() as display:
        task = display.add_task(folder.path.name, total=settings.epochs * per_epoch, completed=len(log) * per_epoch)
        while len(log) < settings.epochs and not stopped_early():
            epoch, started = len(log), time.perf_counter()
            generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + epoch)
            sums: dict[str, float] = {}
            model.train()
            run = chip.begin(encoder, epoch) if chip and encoder else None
            for i, indices in enumerate(clips.order(settings.seed, epoch, settings.batch)):
                for group in optimizer.param_groups:
                    group["lr"] = group["times"] * rate(epoch * per_epoch + i)
                events, targets = clips.batch(indices, recipe.augment, generator, teacher)
                answers, trace = model(events, run) if run else model(events)
                terms = loss_terms(
                    answers,
                    trace.rates if trace else [],
                    targets,
                    events.steps(step_us(model)),
                    step_us(model),
                    recipe.losses,
                    units,
                )
                if trace and budgets:
                    terms |= budgets.terms(trace.rates, events)
                display.advance(task)
                if not terms:  # none of these clips has a label that the recipe learns from
                    continue
                loss = torch.stack(list(terms.values())).sum()
                if not torch.isfinite(loss):
                    what = f"the loss is {float(loss.detach()):g} in epoch {epoch + 1}"
                    raise InputError(folder.path, what, _DIVERGED)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), settings.clip_gradient)
                optimizer.step()
                for name, term in terms.items():
                    sums[name] = sums.get(name, 0.0) + float(term.detach()) / per_epoch
            model.eval()
            run = chip.settle(encoder) if chip and encoder else None
            predict = functools.partial(model, run=run) if run else model
            found = measure(
                answer(predict, step_us(model), validation, settings.batch, "  validation"), validation, mean_shape
            )
            line: dict[str, Any] = {"epoch": epoch + 1, "loss": sums, "score": _score(found)} | _shown(found)
            if not math.isfinite(line["score"]):
                what = f"answers to the validation clips are no numbers after epoch {epoch + 1}"
                raise InputError(folder.path, what, _DIVERGED)
            line |= {"bits": bits} if run else {}
            line |= {"seconds": time.perf_counter() - started, "peak_memory_mb": peak_mb()}
            log.append(line)
            if _best(log) is line:
                _save(folder.path / "best.safetensors", model, data_sha256, found, mean_shape, chip)
            folder.save_progress(model, optimizer, log)
            display.console.print("  " + summary(line, settings.epochs), highlight=False)
    _save(folder.path / "last.safetensors", model, data_sha256, _shown(log[-1]), mean_shape, chip)
    best = _best(log)
    return {
        "run": str(folder.path),
        "checkpoint": str(folder.path / "best.safetensors"),
        "metrics": _shown(best) | {"epoch": best["epoch"], "seconds": sum(entry["seconds"] for entry in log)},
    }


def _parameter_groups(model: nn.Module, neuron_lr: float) -> list[dict[str, Any]]:
    """Weights, and what the neurons of an encoder learn, each with how many times the learning rate it takes."""
    neurons = list(model.neurons.parameters()) if isinstance(model, Encoder) else []
    known = {id(p) for p in neurons}
    weights = [p for p in model.parameters() if id(p) not in known]
    return [{"params": weights, "times": 1.0}, *([{"params": neurons, "times": neuron_lr}] if neurons else [])]


def _schedule(peak: float, steps: int, warmup: float) -> Callable[[int], float]:
    """Linear growth, then a half cosine to zero."""
    grow = max(1, round(steps * warmup))

    def rate(step: int) -> float:
        if step < grow:
            return peak * (step + 1) / grow
        return peak * 0.5 * (1 + math.cos(math.pi * (step - grow) / max(1, steps - grow)))

    return rate


def _score(found: dict[str, Any]) -> float:
    """What the best epoch is chosen by: the mean of both accuracies and of the gain over the mean shape."""
    parts = [found[k] for k in ("au_top1", "expression_acc") if k in found]
    parts.append(1 - found["nme"] / found["nme_mean_shape"])
    return sum(parts) / len(parts)


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    keys = ("au_top1", "au_top3", "expression_acc", "nme", "nme_mean_shape", "spike_rates")
    return {k: found[k] for k in keys if k in found}


def summary(line: dict[str, Any], epochs: int) -> str:
    """An epoch's line of the log for people."""
    rates = " ".join(f"{100 * r:.1f}" for r in line.get("spike_rates", []))
    return (
        f"epoch {line['epoch']}/{epochs}: loss {sum(line['loss'].values()):.3f}, "
        f"AU {line.get('au_top1', float('nan')):.3f}, expression {line.get('expression_acc', float('nan')):.3f}, "
        f"NME {line['nme']:.3f} (mean shape {line['nme_mean_shape']:.3f})"
        + (f", spikes {rates} %" if rates else "")
        + f", {line['seconds']:.0f} s, {line['peak_memory_mb']:.0f} MB"
    )


def _alike(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The epochs whose scores can be compared with the last one's: in plain numbers, or in the chip's."""
    return [entry for entry in log if entry.get("bits") == log[-1].get("bits")]


def _best(log: list[dict[str, Any]]) -> dict[str, Any]:
    """The best epoch, the first of equals."""
    return max(_alike(log), key=lambda entry: entry["score"])


def _save(
    path: Path,
    model: nn.Module,
    data_sha256: str,
    found: dict[str, Any],
    mean_shape: torch.Tensor,
    chip: ChipNumbers | None,
) -> None:
    meta = {"data_sha256": data_sha256, "metrics": found, "mean_shape": mean_shape.tolist()}
    if chip and chip.grid and isinstance(model, Encoder):
        meta, model = meta | {"quantise": chip.grid.as_json()}, baked(model, chip.grid)
    checkpoint.save(path, model, meta, "encoder" if isinstance(model, Encoder) else "matched_cnn")

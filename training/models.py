"""A recipe and a data set make a model: sensor size and heads follow from the data."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from snnface import checkpoint
from snnface.batch import EventBatch
from snnface.encoder import Encoder, EncoderConfig, HeadConfig, class_heads
from snnface.errors import InputError
from snnface.forward import Trace
from snnface.training.baselines import MatchedCnn
from snnface.training.clips import Clips, TeacherPredictions
from snnface.training.recipe import Recipe


class FaceModel(Protocol):
    """What trainer and evaluation need of a model; the encoder and the CNN baselines have it."""

    heads: dict[str, Any]

    def __call__(self, batch: EventBatch) -> tuple[dict[str, Tensor], Trace | None]: ...


def step_us(model: nn.Module) -> int:
    """The time between two answers of a model, µs."""
    return int(model.config.step_us if isinstance(model, Encoder) else model.step_us)  # type: ignore[arg-type]


def _regression(values: Tensor, prior: float | None) -> HeadConfig:
    """A head whose membrane 0 is the mean label and 1 one standard deviation; ``values``: ``[F, size]``."""
    spread = values.std(0).clamp(min=1e-3)
    return HeadConfig(size=values.shape[1], scale=spread.tolist(), offset=values.mean(0).tolist(), prior=prior)


def heads(clips: Clips, teacher: TeacherPredictions | None, prior: float | None) -> dict[str, HeadConfig]:
    """The heads that these training clips (and the teacher, where there is one) can teach."""
    found = class_heads()
    landmarks = torch.cat(clips.landmarks).flatten(1)
    if not torch.isfinite(landmarks).all():
        raise InputError(clips.path, "has frames without landmarks", "Train on a data set that has them")
    found["landmarks"] = _regression(landmarks, prior)
    if teacher is not None:
        found["coefficients"] = _regression(torch.cat(teacher.coefficients[0]), prior)
    return found


def build(recipe: Recipe, clips: Clips, teacher: TeacherPredictions | None) -> nn.Module:
    """A fresh model for a recipe, weights drawn from the recipe's seed; an encoder calibrated on clips."""
    network = recipe.network
    config = EncoderConfig(
        **network.model_dump(exclude={"kind", "prior"}),
        width=clips.width,
        height=clips.height,
        heads=heads(clips, teacher, network.prior),
    )
    torch.manual_seed(recipe.training.seed)
    if network.kind == "matched_cnn":
        return MatchedCnn(config)
    encoder = Encoder(config)
    chosen = np.random.default_rng(recipe.training.seed).permutation(len(clips))[: recipe.training.batch]
    encoder.calibrate(clips.events_batch(chosen.tolist()), recipe.training.initial_rate)
    return encoder


def spread(model: nn.Module) -> dict[str, Tensor]:
    """Standard deviation of each regression head's labels, ``[size]``."""
    return {
        name: torch.as_tensor(head.scale)
        for name, head in model.heads.items()  # type: ignore[operator, union-attr]
        if name in ("landmarks", "coefficients")
    }


def start_from(model: nn.Module, init: str) -> None:
    """Copy weights from a checkpoint; with ``:encoder`` at the end, all layers but the readout.

    Raises :class:`InputError` where the architectures differ.
    """
    path, _, part = init.partition(":")
    if not isinstance(model, Encoder) or part not in ("", "encoder"):
        raise InputError(
            f"--init {init}", "cannot be used here", "Give CHECKPOINT or CHECKPOINT:encoder of an encoder"
        )
    own, readout = model.state_dict(), str(len(model.synapses) - 1)
    weights = checkpoint.load(path)[0].state_dict()
    if part:
        weights = {k: v for k, v in weights.items() if k.split(".")[1] != readout} | {
            k: v for k, v in own.items() if k.split(".")[1] == readout
        }
    # Decays and thresholds that the checkpoint did not learn begin where the recipe says.
    weights = {k: v for k, v in own.items() if k.startswith("neurons.")} | weights
    try:
        model.load_state_dict(weights)
    except RuntimeError as e:
        reason = str(e).splitlines()[-1].strip()
        raise InputError(f"--init {init}", f"has another architecture ({reason})", "Use its own recipe") from e

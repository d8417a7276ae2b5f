"""Recipes: one TOML file says everything about a training run."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from snnface.encoder import Architecture
from snnface.errors import InputError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Data(_Section):
    """Which data set to train on; its own split column says what is train and validation."""

    train: Path = Field(description="data set (HDF5) with training and validation clips")
    clips: int | None = Field(None, gt=0, description="use only this many training clips (all by default)")


class Network(Architecture):
    """The part of the architecture that a recipe chooses; sensor size and heads follow from the data."""

    kind: Literal["spiking", "matched_cnn"] = Field(
        "spiking", description="the spiking encoder, or the CNN of its widths on event frames"
    )
    prior: float | None = Field(
        None,
        gt=0,
        le=1,
        description="weight of the mean label in landmarks and coefficients while the readout settles; "
        "none: the membrane as it is",
    )


class Losses(_Section):
    """Weights of the terms of the loss; 0 leaves a term out."""

    au: float = Field(1.0, ge=0, description="cross-entropy of the clip's action unit")
    expression: float = Field(1.0, ge=0, description="cross-entropy of the clip's expression")
    landmarks: float = Field(
        1.0,
        ge=0,
        description="per-frame error to the labelled landmarks: absolute, quadratic where small",
    )
    coefficients: float = Field(0.0, ge=0, description="per-frame squared error to the teacher's face coefficients")
    teacher_landmarks: float = Field(0.0, ge=0, description="the same to the teacher's landmarks")
    soft_labels: float = Field(0.0, ge=0, description="Kullback-Leibler divergence to the teacher's classes")
    temperature: float = Field(2.0, gt=0, description="temperature of the soft labels")
    rate: float = Field(0.0, ge=0, description="weight of the spike-rate penalty")
    rate_target: float = Field(0.05, gt=0, lt=1, description="rate above which a layer's spikes cost")
    synops: float = Field(0.0, ge=0, description="weight of the budget of synaptic operations")
    synops_target: float = Field(10e6, gt=0, description="synaptic operations a second above which they cost")
    spikes: float = Field(0.0, ge=0, description="weight of the budget of spikes")
    spikes_target: float = Field(20e3, gt=0, description="spikes a second, of all layers, above which they cost")
    cores: float = Field(0.0, ge=0, description="weight of the budget of cores")
    cores_target: float = Field(10.0, gt=0, description="cores, of live channels alone, above which they cost")
    cores_chip: str = Field("loihi2", description="chip whose cores are counted")

    @property
    def guided(self) -> bool:
        """Whether any term needs the teacher."""
        return self.coefficients > 0 or self.teacher_landmarks > 0 or self.soft_labels > 0


class Quantise(_Section):
    """Training in the chip's numbers; without the section weights are plain."""

    bits: int = Field(8, ge=2, le=8, description="bits of a weight")
    from_epoch: int = Field(0, ge=0, description="passes in plain numbers before")
    clips: int = Field(32, gt=0, description="training clips that bound the currents")


class Augment(_Section):
    """Changes of the training events, drawn anew for every pass."""

    flip: bool = Field(True, description="mirror every other clip, its labels too")
    shift_pixels: int = Field(3, ge=0, description="largest shift of a clip, pixels")
    scale: float = Field(0.1, ge=0, lt=1, description="largest change of a clip's scale")
    turn_degrees: float = Field(5.0, ge=0, le=180, description="largest turn of a clip in the picture, degrees")
    drop_events: float = Field(0.2, ge=0, lt=1, description="largest fraction of events to drop")


class Training(_Section):
    """The optimiser and its schedule."""

    epochs: int = Field(10, gt=0, description="passes over the training clips")
    batch: int = Field(16, gt=0, description="clips in a batch")
    lr: float = Field(2e-3, gt=0, description="largest learning rate (AdamW)")
    neuron_lr: float = Field(1.0, gt=0, description="that of learned decays and thresholds, times `lr`")
    weight_decay: float = Field(1e-4, ge=0, description="weight decay (AdamW)")
    warmup: float = Field(0.1, ge=0, lt=1, description="fraction of the steps with growing learning rate")
    clip_gradient: float = Field(1.0, gt=0, description="largest norm of the gradient")
    initial_rate: float = Field(0.05, gt=0, lt=1, description="spike rate that the start is calibrated to")
    patience: int | None = Field(None, gt=0, description="stop after this many epochs without improvement")
    seed: int = Field(0, ge=0, description="decides weights, order and changes of the events")


class Recipe(_Section):
    """A whole recipe."""

    data: Data
    network: Network
    losses: Losses = Losses()
    augment: Augment = Augment()
    training: Training = Training()
    quantise: Quantise | None = None
    teacher: Path | None = Field(None, description="teacher's predictions (written by the teacher's training)")

    @model_validator(mode="after")
    def _teacher_where_guided(self) -> Recipe:
        if self.losses.guided and self.teacher is None:
            raise ValueError("losses that come from the teacher need the field teacher")
        return self

    @model_validator(mode="after")
    def _budgets_where_there_are_spikes(self) -> Recipe:
        losses = self.losses
        if self.network.kind != "spiking" and (losses.synops or losses.spikes or losses.cores):
            raise ValueError("the budgets synops, spikes and cores need kind spiking")
        return self

    @model_validator(mode="after")
    def _chip_numbers_where_a_chip_runs_it(self) -> Recipe:
        if self.quantise is None:
            return self
        network = self.network
        if network.kind != "spiking" or network.reset != "zero" or network.input_mode == "exact":
            raise ValueError("quantise needs kind spiking, reset zero, and input_mode graded or unary")
        if self.quantise.from_epoch >= self.training.epochs:
            raise ValueError("quantise.from_epoch leaves none of the training.epochs")
        return self


def load(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply ``a.b=value`` overrides (values in TOML notation, bare words are strings).

    ``path`` may be the name of a recipe that ships with the package. Raises :class:`InputError` naming the field.
    """
    path = Path(path)
    shipped = files("snnface.training") / "recipes" / f"{path.name.removesuffix('.toml')}.toml"
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else shipped.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        names = sorted(p.name for p in (files("snnface.training") / "recipes").iterdir() if p.name.endswith(".toml"))
        raise InputError(path, "no such recipe", f"Give a TOML file or one of {', '.join(names)}") from e
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise InputError(path, f"is not valid TOML ({e})", "Correct the line that is named") from e
    for override in overrides:
        _apply(content, override)
    try:
        return Recipe.model_validate(content)
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "recipe"
        raise InputError(path, f"field {field}: {first['msg']}", "See docs/training.md for every field") from e


def _apply(content: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    if not equals or not name:
        raise InputError(f"--set {override}", "is not NAME=VALUE", "Write for example --set training.epochs=20")
    try:
        parsed = tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        parsed = value
    *sections, last = name.strip().split(".")
    table = content
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise InputError(f"--set {override}", f"{section} is not a section", "Check the name")
    table[last] = parsed


def canonical(recipe: Recipe) -> str:
    """The recipe as canonical JSON: equal recipes, equal text."""
    return json.dumps(recipe.model_dump(mode="json"), sort_keys=True)

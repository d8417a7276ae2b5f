"""The family of networks that ``snnface explore`` trains: one recipe, and what is varied about it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from snnface.errors import InputError
from snnface.training.recipe import Quantise, Recipe

#: What can be varied, and what a value of it means.
AXES = {
    "width": "times the channels and features",
    "size": "pixels along the longer side of the picture",
    "step": "length of a step, µs",
    "rate": "spikes a neuron and step above which they cost in training, with the recipe's weight, or 10",
    "bits": "bits of a weight in quantisation-aware training; 0: plain numbers",
}
_LABELS: dict[str, Callable[[float], str]] = {
    "width": lambda v: f"width ×{v:g}",
    "size": lambda v: f"{v:g} pixels",
    "step": lambda v: f"step {v / 1000:g} ms",
    "rate": lambda v: f"rate {v:g}",
    "bits": lambda v: f"{v:g} bits" if v else "plain weights",
}
#: Weight of the rate penalty where the recipe has none.
RATE_WEIGHT = 10.0
#: Axes that leave every weight's shape as it is, so that a network can be fine-tuned along them.
SAME_WEIGHTS = ("step", "rate", "bits")


@dataclass(frozen=True)
class Member:
    """A network of the family: ``changes`` from the recipe (axis → value, empty for the recipe itself)."""

    label: str
    recipe: Recipe
    changes: Mapping[str, float]

    @property
    def size(self) -> int | None:
        """Pixels along the longer side, where they are not the data set's own."""
        return int(self.changes["size"]) if "size" in self.changes else None

    @property
    def keeps_weights(self) -> bool:
        """Whether all its weights have the shapes of the recipe's own network."""
        return all(axis in SAME_WEIGHTS for axis in self.changes)


def parse_axes(given: Sequence[str]) -> dict[str, list[float]]:
    """``["width=0.5,0.75", "bits=4"]`` → values by axis; raises :class:`InputError` naming what cannot be read."""
    axes: dict[str, list[float]] = {}
    for text in given:
        name, equals, values = text.partition("=")
        if name not in AXES or not equals:
            raise InputError(f"--vary {text}", "is not AXIS=VALUES", f"Use {', '.join(AXES)}, as in width=0.5,0.75")
        try:
            axes[name] = [float(value) for value in values.split(",")]
        except ValueError as e:
            raise InputError(
                f"--vary {text}", "holds a value that is no number", "Write --vary width=0.5,0.75"
            ) from e
    return axes


def default_axes(recipe: Recipe, longer_side: int) -> dict[str, list[float]]:
    """Less width, half the resolution, half and twice the step, fewer spikes, 8 and 4 bits, where it allows them."""
    step = recipe.network.step_us
    axes: dict[str, list[float]] = {"width": [0.5, 0.75], "step": [step / 2, step * 2], "rate": [0.02, 0.01]}
    if recipe.teacher is None and longer_side >= 32:
        axes["size"] = [longer_side // 2]
    if recipe.network.input_mode != "exact" and recipe.network.reset == "zero":
        axes["bits"] = [8, 4]
    return axes


def family(recipe: Recipe, axes: Mapping[str, Sequence[float]], grid: bool = False) -> list[Member]:
    """The recipe itself and its variants: one axis at a time, or with ``grid`` every combination.

    Raises
    ------
    InputError: a value makes no valid recipe.
    """
    chosen: list[dict[str, float]] = [{}]
    if grid:
        chosen += [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    else:
        chosen += [{axis: value} for axis, values in axes.items() for value in values]
    return [_member(recipe, changes) for changes in chosen]


def without_teacher(recipe: Recipe) -> Recipe:
    """The CNN of the recipe's widths on the same clips, labels only."""
    content = recipe.model_dump()
    content["network"]["kind"] = "matched_cnn"
    content |= {"teacher": None, "quantise": None}
    content["losses"] |= dict.fromkeys(
        ("coefficients", "teacher_landmarks", "soft_labels", "rate", "synops", "spikes", "cores"), 0.0
    )
    return Recipe.model_validate(content)


def _member(recipe: Recipe, changes: Mapping[str, float]) -> Member:
    label = ", ".join(_LABELS[axis](value) for axis, value in changes.items()) or "the recipe"
    content = recipe.model_dump()
    try:
        for axis, value in changes.items():
            _apply(content, recipe, axis, value)
        return Member(label, Recipe.model_validate(content), changes)
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "recipe"
        raise InputError(f"--vary {label}", f"field {field}: {first['msg']}", "Leave this value out") from e


def _apply(content: dict[str, Any], recipe: Recipe, axis: str, value: float) -> None:
    """Change a recipe's content along one axis."""
    network = content["network"]
    if axis == "width":
        for layer in network["conv"]:
            layer["channels"] = max(1, round(layer["channels"] * value))
        for layer in network["dense"]:
            layer["features"] = max(1, round(layer["features"] * value))
    elif axis == "step":
        network["step_us"] = round(value)
    elif axis == "rate":
        content["losses"] |= {"rate": recipe.losses.rate or RATE_WEIGHT, "rate_target": value}
    elif axis == "bits":
        quantise = (recipe.quantise or Quantise()).model_dump()
        content["quantise"] = {**quantise, "bits": round(value)} if value else None
    elif recipe.teacher is not None:
        what = "the teacher's predictions hold for the data set's own pixels"
        raise InputError("--vary size", what, "Vary the size of a recipe without a teacher")

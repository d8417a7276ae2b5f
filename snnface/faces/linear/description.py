"""What a model's file does not say about itself: a TOML or JSON file of the same name beside it."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snnface.errors import InputError
from snnface.faces.actions import CHANNELS

#: Actions that a description may map: channels of motion, by side where they have sides, and those of the lids.
ACTIONS = frozenset(
    name
    for au, side in CHANNELS
    for name in (str(au), *([f"{au}_{'right' if side < 0 else 'left'}"] if side else []))
) | {"blink", "blink_right", "blink_left", "look_up", "look_down", "look_right", "look_left"}


class Description(BaseModel):
    """landmarks: the 68 vertices in iBUG order, numbered from 0; substitutes: see
    :class:`~snnface.faces.linear.bases.Bases`. eyes: first and last vertex of the right and of the left eyeball.
    identity_modes: how many of one field's components are identity's, where the rest are expression's.
    actions: components with their weights, by action."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Path()
    sha256: str = ""
    landmarks: tuple[int, ...] = ()
    substitutes: tuple[int, ...] = ()
    eyes: tuple[tuple[int, int], tuple[int, int]] | None = None
    identity_modes: int | None = Field(None, gt=0)
    actions: dict[str, dict[str, float]] = {}


def read_description(model: Path) -> Description:
    """The description beside ``model``; empty where there is none.

    Raises
    ------
    InputError: it is not TOML or JSON, or holds something unknown.
    """
    found = [p for p in (model.with_suffix(".toml"), model.with_suffix(".json")) if p.is_file()]
    if not found:
        return Description(path=model.with_suffix(".toml"))
    path = found[0]
    data = path.read_bytes()
    try:
        values = tomllib.loads(data.decode()) if path.suffix == ".toml" else json.loads(data)
        if not isinstance(values, dict) or {"path", "sha256"} & set(values):
            raise ValueError("is not a table of known keys")
        described = Description(**values | {"path": path, "sha256": hashlib.sha256(data).hexdigest()})
    except ValidationError as e:
        first = e.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = ", ".join(k for k in Description.model_fields if k not in ("path", "sha256"))
        raise InputError(path, f"{key}: {first['msg']}", f"It may hold {known}") from None
    except ValueError as e:
        raise InputError(path, f"cannot be read: {e}", "Write TOML or JSON") from None
    if unknown := sorted(set(described.actions) - ACTIONS):
        fix = "Name FACS units as 12, 12_right, 12_left; lids as blink, look_up, look_down, look_right, look_left"
        raise InputError(path, f"has an action {unknown[0]}", fix)
    return described

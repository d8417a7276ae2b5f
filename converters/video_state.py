"""State of an object in a file without pickles: arrays, numbers and random generators, also of objects inside."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from snnface.files import atomic_path

_SCALARS = (bool, int, float, str, type(None))
_GENERATOR = "random generator"


def save_state(path: Path, thing: object, **extra: Any) -> None:
    """Write the attributes of ``thing``, and ``extra`` (JSON values), to an ``.npz`` file.

    What never changes (frozen dataclasses) is left out. Raises TypeError for attributes of any other kind.
    """
    arrays: dict[str, Any] = {}
    values: dict[str, Any] = {}
    _collect(thing, "", arrays, values)
    text = json.dumps({"values": values, "extra": extra})
    with atomic_path(path) as temporary:
        np.savez(temporary, json=np.frombuffer(text.encode(), np.uint8), **arrays)


def load_state(path: Path, thing: object) -> dict[str, Any]:
    """Give a new ``thing``, made in the same way, the state from a file; returns ``extra``."""
    with np.load(path, allow_pickle=False) as file:
        stored = json.loads(file["json"].tobytes())
        arrays = {name: file[name] for name in file.files if name != "json"}
    for name, value in (arrays | stored["values"]).items():
        *inside, last = name.split(".")
        owner: Any = thing
        for step in inside:
            owner = getattr(owner, step)
        if isinstance(value, dict):
            getattr(owner, last).bit_generator.state = value[_GENERATOR]
        else:
            setattr(owner, last, value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value)
    return dict(stored["extra"])


def _collect(thing: object, prefix: str, arrays: dict[str, np.ndarray], values: dict[str, Any]) -> None:
    for name, value in vars(thing).items():
        key = prefix + name
        if isinstance(value, np.ndarray | np.generic):
            arrays[key] = np.asarray(value)
        elif isinstance(value, np.random.Generator):
            values[key] = {_GENERATOR: value.bit_generator.state}
        elif isinstance(value, _SCALARS):
            values[key] = value
        elif dataclasses.is_dataclass(value) and getattr(type(value), "__dataclass_params__").frozen:  # noqa: B009
            continue
        elif type(value).__module__.startswith("snnface."):
            _collect(value, f"{key}.", arrays, values)
        else:
            raise TypeError(f"{key} is a {type(value).__name__}")

"""A trained encoder on disk: ``NAME.safetensors`` (parameters only) and ``NAME.json`` (everything else)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from snnface import __version__
from snnface.encoder import Encoder, EncoderConfig
from snnface.errors import InputError
from snnface.files import atomic_path, read_json, write_json


def save(path: str | Path, model: nn.Module, meta: dict[str, Any], kind: str = "encoder") -> None:
    """Write weights and description; ``meta`` (training data by hash, metrics …) is kept as it is.

    ``kind`` names the architecture whose ``config`` is stored; other rooms keep their own models (CNN baselines)
    in the same form.
    """
    path = Path(path).with_suffix(".safetensors")
    with atomic_path(path) as temporary:
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, temporary)
    config = model.config
    if not isinstance(config, EncoderConfig):
        raise TypeError(f"a {kind} without an encoder's configuration cannot be stored")
    write_json(path.with_suffix(".json"), {"snnface": __version__, kind: config.model_dump(), "meta": meta})


def load(
    path: str | Path, kind: str = "encoder", architecture: Callable[[EncoderConfig], nn.Module] = Encoder
) -> tuple[Any, dict[str, Any]]:
    """Read a checkpoint: the model (an :class:`Encoder` unless another architecture is named) and its meta.

    Raises :class:`InputError` where a file is absent, broken or of another architecture."""
    path = Path(path)
    weights, description = path.with_suffix(".safetensors"), path.with_suffix(".json")
    if path.suffix not in ("", ".safetensors", ".json"):
        raise InputError(path, "is not a checkpoint", "Give the .safetensors file that training wrote")
    for file in (weights, description):
        if not file.is_file():
            raise InputError(file, "is missing", "A checkpoint is NAME.safetensors with NAME.json beside it")
    try:
        content = read_json(description)
        model, meta = architecture(EncoderConfig.model_validate(content[kind])), dict(content["meta"])
    except (ValidationError, KeyError, TypeError) as e:
        first = e.errors()[0] if isinstance(e, ValidationError) else {"loc": (), "msg": repr(e)}
        field = ".".join(str(part) for part in first["loc"]) or kind
        raise InputError(description, f"field {field}: {first['msg']}", "Write it again with snnface train") from e
    try:
        model.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError, OSError) as e:
        reason = str(e).splitlines()[0]
        raise InputError(weights, f"does not hold the weights of this architecture ({reason})", "Train again") from e
    return model.eval(), meta

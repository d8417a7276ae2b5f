"""Chip descriptions: one TOML file a chip in ``chips/``, every number with its source."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snnface.errors import InputError


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(_Table):
    """A number and where it comes from."""

    value: float = Field(ge=0)
    source: str = Field(min_length=10)


class EnergyTable(_Table):
    """Energy per operation in pJ."""

    synop: Figure
    synop_payload: Figure | None = Field(None, description="a synaptic operation whose input carries a weight")
    update_idle: Figure
    update_active: Figure
    spike: Figure
    mac: Figure | None = Field(None, description="a CNN's multiply-accumulate")
    memory_access: Figure | None = Field(None, description="one 32-bit operand read or written")


class TimeTable(_Table):
    """Time per operation of one core in ns, and the least time of a step."""

    synop: Figure
    update_active: Figure
    step: Figure


class CoreTable(_Table):
    """What one core holds, and the cores of a chip."""

    cores: Figure
    neurons: Figure
    synapse_words: Figure | None = Field(None, description="64-bit words")
    axons: Figure | None = None


class Chip(_Table):
    """A chip as the profiler sees it; ``time_ns`` and ``core`` are absent where there is no machine behind it."""

    name: str
    title: str
    model: str
    source: str
    layer_lag: bool = Field(description="each layer sees the spikes of the step before")
    graded_input: bool = Field(description="spikes may carry payloads")
    energy_pj: EnergyTable
    time_ns: TimeTable | None = None
    static_mw: Figure | None = None
    core: CoreTable | None = None


def chip_names() -> list[str]:
    """Names of the chips that come with the package."""
    return sorted(f.name.removesuffix(".toml") for f in files("snnface.hardware").joinpath("chips").iterdir())


def load_chip(name: str) -> Chip:
    """A chip by name, or from a TOML file of one's own; raises :class:`InputError` where there is none."""
    if name in chip_names():
        text = files("snnface.hardware").joinpath("chips", f"{name}.toml").read_text(encoding="utf-8")
    elif name.endswith(".toml") and Path(name).is_file():
        text = Path(name).read_text(encoding="utf-8")
    else:
        raise InputError(f"chip {name}", "is unknown", f"Use {', '.join(chip_names())}, or a chip's .toml file")
    try:
        return Chip.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as e:
        raise InputError(name, f"is not valid TOML ({e})", "Compare it with the chips of the package") from e
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(name, f"field {field}: {first['msg']}", "Compare it with the chips of the package") from e

"""Chip descriptions: one TOML file a chip in ``chips/``, every figure with its source.

What is not published is absent from the file, and answers that would need it say so: nothing is guessed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from snnface.errors import InputError

NOT_PUBLISHED = "not published"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(_Table):
    """A number and where it comes from; ``low``, ``high``: what else is published for the same thing."""

    value: float = Field(ge=0)
    source: str = Field(min_length=10)
    low: float | None = Field(None, ge=0)
    high: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> Figure:
        if not self.ends[0] <= self.value <= self.ends[1]:
            raise ValueError(f"low, value and high are not in order: {self.low}, {self.value}, {self.high}")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """Least and largest published value."""
        return (
            self.value if self.low is None else self.low,
            self.value if self.high is None else self.high,
        )


class EnergyTable(_Table):
    """Energy per operation in pJ."""

    synop: Figure | None = None
    synop_payload: Figure | None = Field(None, description="a synaptic operation whose input carries a weight")
    update_idle: Figure | None = None
    update_active: Figure | None = None
    spike: Figure | None = Field(None, description="a spike on its way to one core")
    mac: Figure | None = Field(None, description="a CNN's multiply-accumulate")
    memory_access: Figure | None = Field(None, description="one 32-bit operand read or written")


class TimeTable(_Table):
    """Time per operation of one core in ns, and the least time of a step."""

    synop: Figure
    update_active: Figure
    step: Figure


class LayerMemory(_Table):
    """A core that holds one whole layer: its neurons, its weights (8 bits each), how many such cores there are."""

    count: int = Field(gt=0)
    neurons: int = Field(gt=0)
    weights: int = Field(gt=0)


class CoreTable(_Table):
    """What one core holds, the cores of a chip, and how layers are laid on them.

    ``method``: "tiles" cuts layers as Intel's compiler for Loihi 2 does; "count" divides by each limit, a lower
    bound; "layers" gives every layer a core of its own, of one of the ``memories``.
    """

    method: Literal["tiles", "count", "layers"]
    cores: Figure
    neurons: Figure | None = None
    synapse_words: Figure | None = Field(None, description="64-bit words")
    axons_in: Figure | None = None
    axons_out: Figure | None = None
    memories: list[LayerMemory] = []
    memories_source: str = ""

    @model_validator(mode="after")
    def _what_the_method_needs(self) -> CoreTable:
        if self.method == "layers" and not (self.memories and self.memories_source):
            raise ValueError("method layers needs memories and memories_source")
        if self.method == "tiles" and (self.neurons is None or self.synapse_words is None):
            raise ValueError("method tiles needs neurons and synapse_words")
        return self


class LimitTable(_Table):
    """Limits of the whole chip or of any one layer."""

    inputs: Figure | None = Field(None, description="input lines")
    neurons: Figure | None = Field(None, description="spiking neurons before the readout")
    outputs: Figure | None = Field(None, description="neurons of the readout")
    input_side: Figure | None = Field(None, description="pixels")
    input_channels: Figure | None = None
    output_side: Figure | None = Field(None, description="pixels of a layer's output")
    channels: Figure | None = None
    kernel: Figure | None = Field(None, description="largest side of a kernel")
    stride: Figure | None = Field(None, description="largest stride")


class Neuron(_Table):
    """What the chip's neuron is, and whether it is this package's (current and membrane that decay, reset to 0)."""

    title: str
    ours: bool
    source: str = Field(min_length=10)


class Measured(_Table):
    """A published measurement of a whole system."""

    what: str
    value: float
    unit: str
    source: str = Field(min_length=10)


class Chip(_Table):
    """A chip as the profiler sees it; a table is absent where nothing of it is published."""

    name: str
    title: str
    kind: Literal["neuromorphic", "processor", "footing"]
    model: str
    source: str = Field(min_length=10)
    layer_lag: bool = Field(description="each layer sees the spikes of the step before")
    graded_input: bool = Field(description="spikes may carry payloads")
    energy_pj: EnergyTable = EnergyTable()
    time_ns: TimeTable | None = None
    static_mw: Figure | None = None
    core: CoreTable | None = None
    limits: LimitTable = LimitTable()
    neuron: Neuron | None = None
    measured: list[Measured] = []

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Every figure of the file with its field's name."""
        if self.static_mw:
            yield "static_mw", self.static_mw
        for name in ("energy_pj", "time_ns", "core", "limits"):
            table = getattr(self, name)
            for field in type(table).model_fields if table else ():
                if isinstance(figure := getattr(table, field), Figure):
                    yield f"{name}.{field}", figure


def chip_names() -> list[str]:
    """Names of the chips that come with the package."""
    return sorted(f.name.removesuffix(".toml") for f in files("snnface.hardware").joinpath("chips").iterdir())


def load_chip(name: str) -> Chip:
    """A chip by name, or from a TOML file of one's own; raises :class:`InputError` where there is none."""
    if name in chip_names():
        text = files("snnface.hardware").joinpath("chips", f"{name}.toml").read_text(encoding="utf-8")
    elif name.endswith(".toml") and Path(name).is_file():
        try:
            text = Path(name).read_text(encoding="utf-8")
        except UnicodeDecodeError as e:
            raise InputError(name, "is not text in UTF-8", "Save it as UTF-8") from e
    else:
        raise InputError(f"chip {name}", "is unknown", f"Use {', '.join(chip_names())}, or a chip's .toml file")
    try:
        return Chip.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as e:
        raise InputError(name, f"is not valid TOML ({e})", "Compare it with the chips of the package") from e
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        fix = "See docs/chips.md for every field"
        raise InputError(name, f"field {field}: {first['msg']}" if field else first["msg"], fix) from e

"""One way to compute a workload, and how a worker process gets at it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

Role = Literal["own", "peer", "floor"]


class Done(NamedTuple):
    """One step: a number to check (a loss, a count), where it makes sense the seconds of the forward pass, and the
    step's seconds where they are computed and not taken by the clock (floors)."""

    value: float
    forward_s: float | None = None
    seconds: float | None = None


#: First steps whose numbers are in the answer.
SHOWN_STEPS = 3
#: Computes one step.
Step = Callable[[], Done]
#: Builds networks and buffers. What it takes of memory counts; what was imported and read before does not.
Start = Callable[[], Step]


@dataclass(frozen=True)
class Implementation:
    """``prepare(problem file, options)`` imports and reads, and gives a :data:`Start`.

    ``requires``: the module that must be installed; ``available``: what else must be true; ``forms``: options among
    which the fastest is looked for before it is measured, the usual one first; ``gradient``: "exact", "sparse" or
    None; ``devices``: where it can compute, which the option ``device`` tells (cpu where it is not given);
    ``cuda_forms``: the forms on a CUDA device, where they are others.
    """

    name: str
    role: Role
    prepare: Callable[[Path, dict[str, Any]], Start]
    gradient: str | None = None
    requires: str | None = None
    forms: tuple[dict[str, Any], ...] = ({},)
    available: Callable[[], bool] = lambda: True
    devices: tuple[str, ...] = ("cpu",)
    cuda_forms: tuple[dict[str, Any], ...] = ()

    def on(self, device: str) -> Implementation:
        """The same in the forms for a device."""
        return replace(self, forms=self.cuda_forms or self.forms) if device == "cuda" else self

    @property
    def installed(self) -> bool:
        """Whether what it needs is here."""
        return (self.requires is None or importlib.util.find_spec(self.requires) is not None) and self.available()

"""What a NIR file leaves open: the length of a step, and how its writer turns equations into steps.

NIR states differential equations. Every library steps them in its own way, and none writes that way into the file:
:data:`WRITERS` says what each one does, read in its source (docs/nir.md lists where). Neurons, step by step:

    u ← a·u + k·x            synaptic current (CubaLIF, CubaLI)
    v ← b·v + g·u + c        membrane
    s = v > θ, or v ≥ θ      spike; then the reset

with a = 1 − dt/τ_syn, b = 1 − dt/τ_mem, k = w_in·(1 − a), g = r·(1 − b), c = v_leak·(1 − b) (decay "euler"), or
a = exp(−dt/τ_syn), b = exp(−dt/τ_mem) ("exp"). The integrators I and IF have b = 1, g = r·dt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from snnface.errors import InputError


@dataclass(frozen=True)
class Semantics:
    """How the neurons of a NIR graph step.

    ``dt``: length of a step in the unit of the file's time constants; None: not stated.
    ``decay``: "euler" or "exp". ``whole``: node types (joined by +) whose input enters whole, without its dt/τ (k =
    w_in of CubaLIF and CubaLI, g = r of LIF, LI, IF and I). ``reset``: "value" (v ← v_reset), "subtract" (v ← v − θ
    for each spike) or "late" (θ is taken away a step later, after the decay). ``fires``: "above" (v > θ) or "at"
    (v ≥ θ). ``spikes``: "one" a step, or "many" (as many as the membrane holds thresholds).
    ``floor``: least membrane, in thresholds below 0 ("1" is −θ); None: none. ``start``: membranes start at "rest"
    (v_leak) or at "zero". ``tau_times_dt``: the file holds τ·dt in place of τ (Norse's exporter).
    ``step_us``: length of a step for the events of a camera; None: dt in seconds.
    """

    writer: str = "nir"
    dt: float | None = None
    decay: str = "euler"
    whole: str = ""
    reset: str = "value"
    fires: str = "above"
    spikes: str = "one"
    floor: float | None = None
    start: str = "rest"
    tau_times_dt: bool = False
    step_us: int | None = None

    @property
    def step(self) -> float:
        """``dt``, which is stated."""
        assert self.dt is not None, "resolve() refuses graphs without a step"
        return self.dt


#: What the exporters of other libraries mean by what they write.
WRITERS = {
    "nir": Semantics("nir"),
    "snnface": Semantics("snnface"),
    "snntorch": Semantics("snntorch", dt=1e-4),
    "norse": Semantics("norse", dt=1e-3, whole="CubaLIF+IF", tau_times_dt=True),
    "sinabs": Semantics("sinabs", dt=1.0, decay="exp", reset="subtract", fires="at", spikes="many"),
    "spikingjelly": Semantics("spikingjelly", dt=1e-4, fires="at"),
}
_CHOICES = {
    "decay": ("euler", "exp"),
    "reset": ("value", "subtract", "late"),
    "fires": ("above", "at"),
    "spikes": ("one", "many"),
    "start": ("rest", "zero"),
}
_EXAMPLE = "Give --semantics WRITER[,KEY=VALUE…], like snntorch, norse,dt=1e-3 or sinabs,spikes=one"


def parse(text: str) -> Semantics:
    """Semantics from ``WRITER[,KEY=VALUE…]`` or ``KEY=VALUE[,…]``; raises :class:`InputError` for unknown ones."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    writer = parts.pop(0) if parts and "=" not in parts[0] else "nir"
    if writer not in WRITERS:
        raise InputError("--semantics", f"does not know the writer '{writer}'", f"Use one of {', '.join(WRITERS)}")
    changes: dict[str, Any] = {}
    for part in parts:
        key, _, value = part.partition("=")
        if key not in {f.name for f in fields(Semantics)} - {"writer"} or not value:
            raise InputError("--semantics", f"does not know '{part}'", _EXAMPLE)
        changes[key] = _value(key, value)
    return replace(WRITERS[writer], **changes)


def _value(key: str, value: str) -> Any:
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            raise InputError("--semantics", f"{key}={value} is unknown", f"Use {key}={'|'.join(_CHOICES[key])}")
        return value
    if key == "whole":
        return value
    if key == "tau_times_dt":
        return value in ("1", "true", "yes")
    try:
        number = int(value) if key == "step_us" else float(value)
    except ValueError as e:
        raise InputError("--semantics", f"{key}={value} is not a number", _EXAMPLE) from e
    if key != "floor" and not (math.isfinite(number) and number > 0):
        raise InputError("--semantics", f"{key}={value} is not a length of time", "Give a positive number")
    return number


def resolve(where: object, metadata: dict[str, Any], given: str | Semantics | None, dt: float | None) -> Semantics:
    """Semantics of one graph: what was given, else what the graph's metadata states.

    Raises :class:`InputError` where nobody says how long a step is.
    """
    if given is None:
        stated = WRITERS["snnface" if "snnface" in metadata else "nir"]
        stated = replace(stated, dt=_number(metadata, "dt"), step_us=_number(metadata, "step_us", int))
    else:
        stated = parse(given) if isinstance(given, str) else given
    if dt is not None:
        if not (math.isfinite(dt) and dt > 0):
            raise InputError("--dt", f"{dt} is not a length of time", "Give a positive number of seconds")
        stated = replace(stated, dt=dt)
    if stated.dt is None:
        raise InputError(
            where,
            "does not say how long a step is: NIR holds time constants only",
            "Give --dt (snnTorch and SpikingJelly write for 1e-4 s), or --semantics with the library that wrote it",
        )
    return stated


def _number(metadata: dict[str, Any], key: str, kind: type = float) -> Any:
    try:
        number = kind(metadata[key])
    except (KeyError, TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None

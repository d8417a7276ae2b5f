"""Backends by name: each runs a :class:`~snnface.network.Network` on a batch of events.

A room registers its backends as entry points of the group ``snnface.backends``; each is a function
``run(network, batch, ...) -> Trace``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec

from snnface.batch import EventBatch
from snnface.engine import library
from snnface.errors import InputError
from snnface.forward import Layer, Trace, run_reference
from snnface.input import Coding

__all__ = ["Trace", "fastest", "get", "names", "run_fastest"]


def names() -> list[str]:
    """Names of the registered backends."""
    return sorted(e.name for e in entry_points(group="snnface.backends"))


def get(name: str) -> Callable[..., Trace]:
    """The ``run`` function of a backend; raises :class:`InputError` where it is unknown or not installed."""
    found = [e for e in entry_points(group="snnface.backends") if e.name == name]
    if not found:
        raise InputError(f"backend {name}", "is unknown", f"Use one of {', '.join(names())}")
    try:
        return found[0].load()
    except ImportError as e:
        raise InputError(f"backend {name}", f"cannot be imported ({e})", f"Install it: pip install {name}") from e


def fastest() -> str:
    """``native`` where the engine is built, else ``torch`` (and says once why)."""
    library.tell_once()
    return "torch" if library.library() is None else "native"


def run_fastest(batch: EventBatch, coding: Coding, layers: Sequence[Layer]) -> Trace:
    """Run layers on the kernels for their device where it has some that can run them, else on the reference.

    These are Triton's on a CUDA device, where it is installed, and the native engine's on a CPU, where it is built.
    """
    if layers[0].weight.is_cuda:
        if find_spec("triton"):
            from snnface.backends import triton

            if not triton.unsupported(layers):
                return triton.run(batch, coding, layers)
        return run_reference(batch, coding, layers)
    from snnface.backends import native

    if fastest() == "native" and not native.unsupported(layers):
        return native.run(batch, coding, layers)
    return run_reference(batch, coding, layers)

"""Backends by name: each runs a :class:`~snnface.network.Network` on a batch of events.

A room registers its backends as entry points of the group ``snnface.backends``; each is a function
``run(network, batch, ...) -> Trace``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

from snnface.errors import InputError
from snnface.forward import Trace

__all__ = ["Trace", "get", "names"]


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

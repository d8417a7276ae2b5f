"""Spiking neural networks that read faces from event cameras.

Every command of the command line is a function of the same name here: ``snnface.synth(...)``,
``snnface.train(...)``, ``snnface.verify(...)``; a room is imported when one of its functions is used.
"""

from importlib.metadata import entry_points
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    found = [e for e in entry_points(group="snnface.commands") if e.name == name]
    if not found:
        raise AttributeError(f"module 'snnface' has no attribute {name!r}")
    return found[0].load()

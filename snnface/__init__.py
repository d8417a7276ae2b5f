"""Spiking neural networks that read faces from event cameras.

Every command of the command line is a function of the same name here: ``snnface.synth(...)``,
``snnface.train(...)``, ``snnface.verify(...)``; a room is imported when one of its functions is used.
"""

import functools
import inspect
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args, get_type_hints

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    found = [e for e in entry_points(group="snnface.commands") if e.name == name]
    if not found:
        raise AttributeError(f"module 'snnface' has no attribute {name!r}")
    command = found[0].load()
    return _with_paths(command) if inspect.isfunction(command) else command


def _with_paths(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, taking text where it wants a path."""
    signature = inspect.signature(command)
    paths = {name for name, hint in get_type_hints(command).items() if Path in (hint, *get_args(hint))}

    @functools.wraps(command)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        for name in paths & bound.arguments.keys():
            if isinstance(bound.arguments[name], str):
                bound.arguments[name] = Path(bound.arguments[name])
        return command(*bound.args, **bound.kwargs)

    return call

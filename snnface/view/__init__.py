"""A look at a recording: a page that plays it, a film, an animation or a picture."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import snnface


class _Command(ModuleType):
    """This package, which has the command's name, called as the command: ``snnface.view(...)``.

    Once it is imported, Python finds the package under that name before :mod:`snnface` is asked for its commands.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return snnface.__getattr__("view")(*args, **kwargs)


sys.modules[__name__].__class__ = _Command

"""v2e's own emulator. It imports windows and file formats that it does not use here; where those are absent (its
AEDAT4 library needs numpy 1) empty modules take their places."""

from __future__ import annotations

import importlib
import logging
import sys
import types
from typing import Any

#: Module → what is imported from it by name.
_UNUSED = {"screeninfo": "get_monitors", "easygui": None, "tkinter": "filedialog", "dv_processing": None}


def emulator(**settings: Any) -> Any:
    """``v2ecore.emulator.EventEmulator`` on the CPU, silent."""
    for module, name in _UNUSED.items():
        try:
            importlib.import_module(module)
        except ImportError:
            empty = types.ModuleType(module)
            if name is not None:
                setattr(empty, name, lambda *_: [])
            sys.modules[module] = empty
    from v2ecore.emulator import EventEmulator

    # It tells of every picture that gives no events.
    logging.getLogger("v2ecore").setLevel(logging.ERROR)
    return EventEmulator(device="cpu", seed=1, **settings)

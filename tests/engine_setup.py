"""``setup.py`` as a module, for what it knows about compilers and flags."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent


def load(path: Path = ROOT / "setup.py") -> ModuleType:
    """Run it without its last step; its paths are relative to the folder of the process."""
    spec = importlib.util.spec_from_file_location("engine_setup_script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

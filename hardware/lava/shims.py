"""What it takes to import unmodified lava-nc 0.10.0 and lava-dl 0.6.0 on Python ≥ 3.11 with current numpy.

Two module names are filled before the import, and torch is hidden, so that ``netx`` neither needs torch nor
loads it (it uses it for ten lines of resonator arithmetic and for type hints). Nothing here changes how a network
computes: A and B concern Python and numpy interfaces, C keeps sizes from overflowing 8-bit integers.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import importlib.util
import inspect
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

PATCHES = {
    "A": "dataclasses: an unhashable default becomes a default_factory while Lava is imported (Python >= 3.11)",
    "B": "numpy.reshape accepts its former keyword newshape again (numpy >= 2.4)",
    "C": "Lava's convolution gets its int8 sizes as Python integers (numpy >= 2)",
}


@functools.cache
def import_netx() -> tuple[ModuleType, list[str]]:
    """Import ``lava.lib.dl.netx``; returns it and the letters of the :data:`PATCHES` that were needed."""
    _stand_ins()
    sys.meta_path.insert(0, _NoTorch())
    applied = ["A"] if sys.version_info >= (3, 11) else []
    if "newshape" not in inspect.signature(np.reshape).parameters:
        _restore_newshape()
        applied.append("B")
    with _tolerant_dataclasses():
        from lava.lib.dl import netx
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        _widen_convolution()
        applied.append("C")
    return netx, applied


def import_slayer() -> ModuleType:
    """Import ``lava.lib.dl.slayer``, lava-dl's training library, without its object detection, which needs OpenCV.

    Not in a process that imports netx. Raises ImportError where lava-dl or something that it needs is absent.
    """
    name = "lava.lib.dl.slayer.object_detection"
    sys.modules.setdefault(name, types.ModuleType(name))
    with _tolerant_dataclasses():
        from lava.lib.dl import slayer
    return slayer


class _NoTorch(MetaPathFinder):
    """Makes torch look absent: Lava's compiler executes every file beside a process, one of which imports it."""

    def find_spec(self, fullname: str, *_: Any) -> None:
        if fullname.split(".")[0] == "torch":
            raise ModuleNotFoundError("torch is hidden from Lava", name=fullname)


def _stand_ins() -> None:
    """Stand-ins for the modules of lava-dl through which netx would import torch and more."""
    for name in ("lava.lib.dl.slayer", "lava.lib.dl.slayer.neuron"):
        package = types.ModuleType(name)
        package.__path__ = []
        sys.modules[name] = package
    resonator: Any = types.ModuleType("lava.lib.dl.slayer.neuron.rf")
    resonator.neuron_params = _refuse_resonators
    sys.modules[resonator.__name__] = resonator
    modules = types.ModuleType("lava.lib.dl.netx.sequential_modules")
    # Lava's compiler asks every module beside a process for its file, so the stand-in names the real one.
    lava = importlib.util.find_spec("lava")
    places = [] if lava is None else list(lava.submodule_search_locations or [])
    files = [Path(p) / "lib/dl/netx/sequential_modules.py" for p in places]
    modules.__file__ = next((str(f) for f in files if f.is_file()), None)
    sys.modules[modules.__name__] = modules
    warnings.filterwarnings("ignore", message="Cannot import module.*sequential_modules")


def _refuse_resonators(*_: Any, **__: Any) -> None:
    raise NotImplementedError("resonate-and-fire neurons are not run here")


@contextmanager
def _tolerant_dataclasses() -> Iterator[None]:
    """Patch A."""
    original = dataclasses.dataclass

    def with_factories(cls: type) -> type:
        for name, default in list(vars(cls).items()):
            plain = isinstance(default, (dataclasses.Field, list, dict, set))
            if name in inspect.get_annotations(cls) and not plain and type(default).__hash__ is None:
                setattr(cls, name, dataclasses.field(default_factory=functools.partial(copy.copy, default)))
        return cls

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        def decorate(c: type) -> type:
            return original(with_factories(c), **options)  # type: ignore[return-value]

        return decorate if cls is None else decorate(cls)

    dataclasses.dataclass = dataclass  # type: ignore[assignment]
    try:
        yield
    finally:
        dataclasses.dataclass = original


def _restore_newshape() -> None:
    """Patch B."""
    original = np.reshape

    @functools.wraps(original)
    def reshape(a: Any, /, *shape: Any, newshape: Any = None, **options: Any) -> np.ndarray:
        return original(a, *(shape if newshape is None else (newshape,)), **options)

    np.reshape = reshape  # type: ignore[assignment]


def _widen_convolution() -> None:
    """Patch C."""
    from lava.proc.conv import utils

    original = utils.conv

    @functools.wraps(original)
    def conv(x: np.ndarray, weight: np.ndarray, *sizes: Any) -> np.ndarray:
        *pairs, groups = sizes
        return original(x, weight, *(tuple(int(n) for n in pair) for pair in pairs), int(groups))

    utils.conv = conv

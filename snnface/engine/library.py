"""The compiled engine: found, chosen by what the processor can run, and given torch's own threads.

``setup.py`` compiles one source to a plain shared library for each level of instructions; they are called through
ctypes. ``SNNFACE_ENGINE`` names a level, or ``none`` to do without; otherwise the highest that runs here is taken.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from pathlib import Path

import torch

from snnface.errors import InputError
from snnface.progress import say

LEVELS = ("portable", "avx2", "avx512", "amx")
"""From the slowest to the fastest, as ``src/cpu.h`` numbers them."""

VARIABLE = "SNNFACE_ENGINE"
SUFFIX = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")
FIX = (
    "Install a C++17 compiler (g++ or clang++), then in the repository: make engine, "
    "or pip install --force-reinstall --no-deps -e ."
)


def library() -> ctypes.CDLL | None:
    """The engine of :func:`level`, or None where there is none; raises as :func:`level` does."""
    name = level()
    return None if name == "none" else load(name)


def level() -> str:
    """``amx``, ``avx512``, ``avx2``, ``portable`` or ``none``.

    Raises :class:`InputError` where ``SNNFACE_ENGINE`` names a level that is unknown, was not built, or asks for more
    than this processor can do.
    """
    here = available()
    wanted = os.environ.get(VARIABLE, "")
    if not wanted:
        return here[-1] if here else "none"
    if wanted != "none" and wanted not in LEVELS:
        raise InputError(VARIABLE, f"{wanted} is no level", f"Use one of {', '.join(LEVELS)}, none")
    if wanted != "none" and wanted not in here:
        why = "is not built" if not _path(wanted).is_file() else "does not run on this machine"
        raise InputError(VARIABLE, f"{wanted} {why}", f"Unset it, or use one of {', '.join((*here, 'none'))}")
    return wanted


def available() -> tuple[str, ...]:
    """The levels that are built and run on this processor, slowest first."""
    if _failure("portable"):
        return ()
    highest = load("portable").snn_cpu_level()
    return tuple(name for name in LEVELS[: highest + 1] if not _failure(name))


def reason() -> str:
    """In one line: why :func:`library` is None and how to change that; empty where it is not."""
    if level() != "none":
        return ""
    if os.environ.get(VARIABLE) == "none":
        return f"The native engine is switched off. Unset {VARIABLE} to use it."
    if not _path("portable").is_file():
        return f"The native engine is not built, torch does its work more slowly. {FIX}"
    return f"The native engine does not load ({_failure('portable')}), torch does its work more slowly. {FIX}"


def trim() -> None:
    """Hand the memory that the engine holds for its next run back to the system."""
    engine = library()
    if engine is not None:
        engine.snn_trim()


@functools.cache
def tell_once() -> None:
    """Say on standard error, once in a process, that the engine is missing; silent where it is switched off."""
    if level() == "none" and os.environ.get(VARIABLE) != "none":
        say(reason())


def threads() -> int:
    """How many threads the kernels are to use: as many as torch does."""
    return torch.get_num_threads()


@functools.cache
def load(name: str) -> ctypes.CDLL:
    """One level's library, on torch's threads where they are known; several may be loaded beside each other.

    The processor must be able to run it (:func:`available`); raises OSError where it is not built or does not load.
    """
    engine = ctypes.CDLL(str(_path(name)))
    engine.snn_set_pool.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    engine.snn_set_pool.restype = None
    engine.snn_set_pool(*_torch_pool())
    return engine


def _torch_pool() -> tuple[ctypes.c_void_p, ctypes.c_void_p]:
    """``GOMP_parallel`` and ``omp_get_thread_num`` as torch calls them; two null pointers where its OpenMP has none.

    Looked up as the dynamic linker did for torch: in what is loaded for all, then among torch's own dependencies.
    A preloaded OpenMP, the one in torch's wheel and a system's are thus each found, and never a second one.
    """
    if sys.platform != "win32":
        for place in (None, Path(torch.__file__).with_name("lib") / f"libtorch_cpu{SUFFIX}"):
            try:
                scope = ctypes.CDLL(str(place) if place else None)
                run, number = scope.GOMP_parallel, scope.omp_get_thread_num
            except (OSError, AttributeError):
                continue
            return ctypes.cast(run, ctypes.c_void_p), ctypes.cast(number, ctypes.c_void_p)
    return ctypes.c_void_p(), ctypes.c_void_p()


def _path(name: str) -> Path:
    return Path(__file__).with_name(f"_engine_{name}{SUFFIX}")


@functools.cache
def _failure(name: str) -> OSError | None:
    """Why one level does not load."""
    try:
        load(name)
    except OSError as error:
        return error
    return None

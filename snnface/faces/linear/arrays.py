"""Arrays of a model's file, by name, with the errors that say which file and which field."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from snnface.errors import InputError


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz; nothing in it is ever executed."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, AttributeError, EOFError, zipfile.BadZipFile) as e:
        if "Object arrays" in str(e):
            raise InputError(path, "holds pickled objects", "Save its fields as plain arrays") from None
        raise InputError(path, "is not a whole npz file", "Get the file again") from None


def read_mat(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a MATLAB file up to version 7.2."""
    try:
        fields: Mapping[str, Any] = scipy.io.loadmat(str(path), squeeze_me=False)
    except NotImplementedError:
        raise InputError(path, "is of MATLAB version 7.3", "Save it with -v7 or as npz") from None
    except (OSError, ValueError, TypeError, EOFError, scipy.io.matlab.MatReadError):
        raise InputError(path, "is not a whole MATLAB file", "Get the file again") from None
    return {name: value for name, value in fields.items() if isinstance(value, np.ndarray) and name[:2] != "__"}


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz or mat file."""
    if not path.is_file():
        raise InputError(path, "is not there", "Check the path")
    readers = {".npz": read_npz, ".mat": read_mat}
    if path.suffix.lower() not in readers:
        raise InputError(path, f"is {path.suffix or 'of no known kind'}", "Give an npz or mat file")
    return readers[path.suffix.lower()](path)


def take(path: Path, fields: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array ``name``, of ``shape`` where that is not -1.

    Raises
    ------
    InputError: it is missing, or of another shape or kind.
    """
    if name not in fields:
        raise InputError(path, f"has no field {name}", f"It has {', '.join(sorted(fields)) or 'none'}")
    value = fields[name]
    fits = value.ndim == len(shape) and all(w in (-1, n) for n, w in zip(value.shape, shape, strict=True))
    if not fits:
        wanted = ", ".join("any" if n == -1 else str(n) for n in shape)
        raise InputError(path, f"its field {name} is {list(value.shape)}, not [{wanted}]", "Get the file again")
    return value

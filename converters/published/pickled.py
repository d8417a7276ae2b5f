"""Numbers out of NumPy files that hold pickled objects, without unpickling them.

``numpy.savez(file, {"alphas": […]})`` pickles the dictionary, and unpickling may run any code that the file's maker
liked. Here the pickle's instructions (:mod:`pickletools`) are followed as data: dictionaries, lists, numbers, words
and numeric arrays are rebuilt, nothing is imported or called, and whatever else stands there is refused.
"""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snnface.errors import InputError

_MARK = object()
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
#: What NumPy names in a pickled array; the names stand for themselves.
_NAMES = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *((m, n) for m in _MULTIARRAY for n in ("_reconstruct", "scalar")),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
#: Instructions that carry a value: whole numbers, floats, words, bytes.
_VALUE = re.compile(r"(SHORT_)?(BIN)?(INT|LONG|FLOAT|UNICODE|BYTES)\d?")


@dataclass
class _Array:
    """An array, or a data type, whose content follows later in the pickle."""

    kind: str = ""
    value: Any = None


def read_archive(path: Path) -> dict[str, Any]:
    """The arrays of an npz file by name; a pickled object in place of an array becomes plain Python and arrays.

    Raises
    ------
    InputError: the file is no npz file, is damaged, or holds objects other than numbers, words and collections.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy"): _member(archive.read(name)) for name in archive.namelist()}
    except Exception as e:  # damaged bytes raise whatever they like in the archive, the header and the instructions
        raise InputError(path, f"cannot be read as a NumPy archive ({e})", "Copy the file again") from e


def _member(data: bytes) -> Any:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    _, _, dtype = read(stream)
    if dtype.hasobject:
        return _plain(_followed(stream.read()))
    stream.seek(0)
    return np.load(stream, allow_pickle=False)


def _followed(pickle: bytes) -> Any:
    """What the instructions of a pickle build."""
    stack: list[Any] = []
    memo: dict[Any, Any] = {}

    def since_mark() -> list[Any]:
        at = max(i for i, value in enumerate(stack) if value is _MARK)
        values = stack[at + 1 :]
        del stack[at:]
        return values

    for code, argument, _ in pickletools.genops(pickle):
        name = code.name
        if name in ("PROTO", "FRAME"):
            continue
        if name == "STOP":
            return stack.pop()
        if _VALUE.fullmatch(name):
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("EMPTY_LIST", "EMPTY_DICT"):
            stack.append([] if name == "EMPTY_LIST" else {})
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("TUPLE", "LIST"):
            values = since_mark()
            stack.append(tuple(values) if name == "TUPLE" else values)
        elif name == "APPEND":
            value = stack.pop()
            stack[-1].append(value)
        elif name == "APPENDS":
            values = since_mark()
            stack[-1].extend(values)
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            stack[-1][key] = value
        elif name == "SETITEMS":
            values = since_mark()
            stack[-1].update(zip(values[::2], values[1::2], strict=True))
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[argument])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            word = tuple(str(argument).split(" ")) if name == "GLOBAL" else (stack.pop(-2), stack.pop())
            if word not in _NAMES:
                raise ValueError(f"it names {'.'.join(map(str, word))}, which is no array of numbers")
            stack.append(word)
        elif name == "REDUCE":
            arguments, word = stack.pop(), stack.pop()
            stack.append(_begun(word[1], arguments))
        elif name == "BUILD":
            state = stack.pop()
            _fill(stack[-1], state)
        else:
            raise ValueError(f"its pickle uses {name}")
    raise ValueError("its pickle has no end")


def _begun(name: str, arguments: tuple[Any, ...]) -> _Array:
    """An array or a data type as NumPy's pickles begin it: what it is comes with BUILD."""
    if name == "dtype":
        kind = np.dtype(arguments[0])
        return _Array("dtype", kind if kind.kind in "biuf" else np.dtype("O"))
    if name == "scalar":
        return _Array("array", np.frombuffer(arguments[1], arguments[0].value)[0])
    if name == "_reconstruct":
        return _Array("array")
    raise ValueError(f"it calls {name}")


def _fill(begun: _Array, state: tuple[Any, ...]) -> None:
    if begun.kind == "dtype":
        order = state[1]
        begun.value = begun.value.newbyteorder(order) if order in "<>" else begun.value
        return
    _, shape, dtype, fortran, content = state
    if dtype.value.hasobject:
        begun.value = content if shape else content[0]
        return
    begun.value = np.frombuffer(content, dtype.value).reshape(shape, order="F" if fortran else "C")


def _plain(value: Any) -> Any:
    """Values with their arrays in place."""
    if isinstance(value, _Array):
        return _plain(value.value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value

"""Pickled NumPy files are read as data: the numbers come out, and no code runs."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from snnface.converters.published.pickled import read_archive
from snnface.errors import InputError

KINDS = st.sampled_from(["<f4", "<f8", ">f8", "<i4", "<i8", "|u1", "|b1"])
NUMBERS = KINDS.flatmap(lambda kind: arrays.arrays(np.dtype(kind), arrays.array_shapes(max_dims=3, max_side=4)))
VALUES = st.recursive(
    st.one_of(NUMBERS, st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5), st.none(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=8,
)


def archive(path: Path, value: object, protocol: int) -> Path:
    """What NumPy saves of an object, pickled by any of its versions."""
    held = np.empty((), object)
    held[()] = value
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": ()})
    stream.write(pickle.dumps(held, protocol))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("arr_0.npy", stream.getvalue())
    return path


def same(a: object, b: object) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, a.dtype.kind == "f")
    return type(a) is type(b) and (a == b or (a != a and b != b))


@settings(max_examples=60, deadline=None)
@given(value=VALUES, protocol=st.sampled_from([3, 4]))
def test_numbers_words_and_collections_come_out(value: object, protocol: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = archive(Path(folder) / "a.npz", value, protocol)
        assert same(read_archive(path)["arr_0"], value)


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_code_is_refused_not_run(tmp_path: Path, protocol: int) -> None:
    path = archive(tmp_path / "a.npz", {"alphas": _Evil(tmp_path / "ran")}, protocol)
    with pytest.raises(InputError, match="NumPy archive"):
        read_archive(path)
    assert not (tmp_path / "ran").exists()


@settings(max_examples=100, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.booleans())
def test_damage_is_an_error_or_data(place: float, value: int, cut: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = archive(Path(folder) / "a.npz", {"alphas": [np.arange(4.0), []]}, 4)
        with zipfile.ZipFile(path) as file:
            data = bytearray(file.read("arr_0.npy"))
        at = int(place * len(data))
        data[at:] = b"" if cut else bytes([value]) + data[at + 1 :]
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("arr_0.npy", bytes(data))
        with contextlib.suppress(InputError):
            read_archive(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"text")
    for path in (tmp_path / "a.npz", tmp_path / "none.npz"):
        with pytest.raises(InputError):
            read_archive(path)

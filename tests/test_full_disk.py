"""HDF5 files on a full disk: one clear error, no crash, nothing left behind."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_store import CLIPS, HEIGHT, WIDTH

from snnface import hdf5
from snnface.datasets.store import Store, write_store
from snnface.errors import InputError


@pytest.fixture
def limit() -> Iterator[None]:
    """Files of this process stop growing at 100 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def noise(size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size, np.uint8)


def test_a_data_set_that_does_not_fit_is_refused_and_nothing_is_left(tmp_path: Path, limit: None) -> None:
    with pytest.raises(InputError, match="cannot be written: File too large"):
        write_store(tmp_path / "new.h5", iter(CLIPS), WIDTH, HEIGHT, {})
    assert list(tmp_path.iterdir()) == []


def test_writing_ends_at_the_first_clip_that_does_not_fit(tmp_path: Path, limit: None) -> None:
    taken = []

    def clips() -> Iterator:
        for number in range(100):
            taken.append(number)
            yield CLIPS[-1]

    with pytest.raises(InputError):
        write_store(tmp_path / "new.h5", clips(), WIDTH, HEIGHT, {})
    assert len(taken) < 60  # some megabytes wait in the memory of HDF5


@pytest.mark.parametrize("chunks", [None, True])
def test_hdf5_outlives_a_disk_without_space(chunks: bool | None) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with hdf5.Disk(full, "w") as disk:
        with h5py.File(disk, "w") as file:
            for number in range(20):
                file.create_dataset(f"group{number}/a", data=noise(100_000), chunks=chunks)
        with pytest.raises(OSError, match="No space left") as found:
            disk.check()
    assert found.value.errno == errno.ENOSPC


def test_an_old_file_survives_a_failed_write(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    write_store(tmp_path / "set.h5", CLIPS[:1], WIDTH, HEIGHT, {})
    before = Store(tmp_path / "set.h5").content_sha256()
    request.getfixturevalue("limit")
    with pytest.raises(InputError):
        write_store(tmp_path / "set.h5", iter(CLIPS), WIDTH, HEIGHT, {})
    assert Store(tmp_path / "set.h5").content_sha256() == before
    assert [p.name for p in tmp_path.iterdir()] == ["set.h5"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot create its folder"):
        write_store(tmp_path / "file" / "new.h5", CLIPS[:1], WIDTH, HEIGHT, {})


def test_options_reach_h5py(tmp_path: Path) -> None:
    with hdf5.new_file(tmp_path / "a.h5", libver="latest") as (file, disk):
        file["a"] = noise(5_000)
        disk.check()
        assert not (tmp_path / "a.h5").exists()
    with h5py.File(tmp_path / "a.h5") as file:
        assert np.array_equal(file["a"], noise(5_000))

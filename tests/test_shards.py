"""Data sets in several files: one view of all, the same content, one clear error where a shard is not as it was."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_store import CLIPS, HEIGHT, WIDTH, assert_same, clip

from snnface.datasets.faces import FaceEvents
from snnface.datasets.shards import join
from snnface.datasets.store import ClipData, Store, write_store
from snnface.errors import InputError

GENERATOR = {"name": "test", "settings": {"seed": 11}}


def written(path: Path, clips: list[ClipData], width: int = WIDTH, **options) -> Store:
    path.parent.mkdir(exist_ok=True)
    write_store(path, clips, width, HEIGHT, GENERATOR, **options)
    return Store(path)


@pytest.fixture
def joined(tmp_path: Path) -> Path:
    parts = (CLIPS[:2], CLIPS[2:3], CLIPS[3:])  # the second without an event
    shards = [written(tmp_path / "set.shards" / f"{i}.h5", part) for i, part in enumerate(parts)]
    join(tmp_path / "set.h5", shards, GENERATOR)
    return tmp_path / "set.h5"


def test_shards_are_one_data_set(joined: Path, tmp_path: Path) -> None:
    one, whole = Store(joined), written(tmp_path / "one.h5", CLIPS)
    assert joined.stat().st_size < 60_000
    assert (len(one), one.attrs["seed"], one.generator) == (len(CLIPS), 11, GENERATOR)
    assert one.content_sha256() == whole.content_sha256()
    for number, written_clip in enumerate(CLIPS):
        assert_same(written_clip, one.clip(number))
    window = one.events(5, 10_000, 20_000)
    assert np.array_equal(window, whole.events(5, 10_000, 20_000))
    assert len(window) > 1000
    assert np.array_equal(pickle.loads(pickle.dumps(one)).events(4), CLIPS[4].events)
    events, target = FaceEvents(joined)[5]
    assert len(events) == 50_000
    assert target["identity"] == 5


def test_a_set_moves_with_its_shards(joined: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name in ("set.h5", "set.shards"):
        shutil.move(tmp_path / name, tmp_path / "there" / name)
    assert_same(CLIPS[4], Store(tmp_path / "there" / "set.h5").clip(4))


def test_a_shard_that_is_missing_or_changed_is_named(joined: Path) -> None:
    shard = joined.with_name("set.shards") / "1.h5"
    kept = shard.read_bytes()
    shard.unlink()
    with pytest.raises(InputError, match=r"1\.h5: is missing: set\.h5 is made of it"):
        Store(joined)
    shard.write_bytes(kept + b"\0")
    with pytest.raises(InputError, match=r"1\.h5: has changed since"):
        Store(joined)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"clips": [clip(1)], "width": WIDTH + 1}, "width"),
        ({"clips": [clip(1)], "landmark_scheme": "wflw98"}, "landmark_scheme"),
        ({"clips": [clip(1, rgb=False)]}, "rgb"),
        ({"clips": [replace(clip(1), coefficients=np.zeros((3, 9), np.float32))]}, "coefficients"),
    ],
)
def test_shards_of_several_kinds_are_not_joined(other: dict, named: str, tmp_path: Path) -> None:
    shards = [written(tmp_path / "a.h5", [clip(0)]), written(tmp_path / "b.h5", **other)]
    with pytest.raises(InputError, match=rf"b\.h5: {named} differs from that of a\.h5"):
        join(tmp_path / "set.h5", shards, GENERATOR)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", "b.h5"]
    with pytest.raises(InputError, match="without shards"):
        join(tmp_path / "set.h5", [], GENERATOR)

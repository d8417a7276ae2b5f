"""Data set files: what is written is read again, windows, hashes, and one clear error for each broken file."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import fields, replace
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnface.datasets.layout import CLIP_FIELDS, EVENT_FIELDS, FRAME_FIELDS, OFFSETS
from snnface.datasets.store import ClipData, Store, write_store
from snnface.errors import InputError
from snnface.events import pack

WIDTH, HEIGHT = 30, 17


def clip(seed: int, duration_us: int = 40_000, events: int = 300, frames: int = 3, rgb: bool = True) -> ClipData:
    random = np.random.default_rng(seed)

    def rows(*shape: int) -> np.ndarray:
        values = random.normal(size=(frames, *shape)).astype(np.float32)
        values[random.random(values.shape) < 0.1] = np.nan
        return values

    t = np.sort(random.integers(0, duration_us + 1, events))
    xyp = (random.integers(0, n, events) for n in (WIDTH, HEIGHT, 2))
    return ClipData(
        pack(t, *xyp), duration_us, identity=seed, au=12, expression=-1, split=seed % 3,
        frame_t_us=np.arange(frames) * 9000, au_intensity=rows(24), landmarks=rows(68, 2), visible=rows(68) > 0,
        coefficients=rows(7), pose=rows(3), gaze=rows(2), box=rows(4),
        rgb=[random.bytes(int(random.integers(1, 90))) for _ in range(frames)] if rgb else None,
    )  # fmt: skip


#: One without events, one without frames, one that is no whole number of milliseconds, one with many events.
CLIPS = [clip(0), clip(1, 70_001), clip(2, events=0), clip(3, frames=0), clip(4, 999, 5), clip(5, events=50_000)]


def assert_same(one: ClipData, other: ClipData) -> None:
    for field in fields(ClipData):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.shape == b.shape
            assert (
                all(np.array_equal(a[n], b[n]) for n in a.dtype.names)
                if a.dtype.names
                else np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
            )
        else:
            assert a == b, field.name


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("store") / "clips.h5"
    write_store(file, iter(CLIPS), WIDTH, HEIGHT, {"name": "test", "settings": {"seed": 11}})
    return file


def test_what_is_written_is_read_again(path: Path) -> None:
    store = Store(path)
    assert len(store) == len(CLIPS)
    assert (store.width, store.height, store.attrs["seed"]) == (WIDTH, HEIGHT, 11)
    assert store.generator["name"] == "test"
    for number, written in enumerate(CLIPS):
        assert_same(written, store.clip(number))
    assert np.array_equal(store.duration_us, [c.duration_us for c in CLIPS])


def test_plain_h5py_finds_the_fields_of_the_published_layout(path: Path) -> None:
    with h5py.File(path) as file:
        assert {n: file[f"events/{n}"].dtype for n in EVENT_FIELDS} == EVENT_FIELDS
        ends = np.cumsum([0, *(len(c.events) for c in CLIPS)])
        assert np.array_equal(file["offsets"], ends)
        assert np.array_equal(file["frame_offsets"], np.cumsum([0, *(len(c.frame_t_us) for c in CLIPS)]))
        for i, written in enumerate(CLIPS):
            marks = file["index_ms"][file["index_offsets"][i] : file["index_offsets"][i + 1]]
            assert len(marks) == -(-written.duration_us // 1000) + 1
            assert np.array_equal(marks, [(written.events["t"] < 1000 * ms).sum() for ms in range(len(marks))])
            assert np.array_equal(file["events/x"][ends[i] : ends[i + 1]], written.events["x"])
        assert file["events/t"].compression == file["landmarks"].compression == "gzip"
        assert file["landmarks"].shape == (sum(len(c.frame_t_us) for c in CLIPS), 68, 2)
        assert {"identity", "au", "expression", "split", "rgb", *FRAME_FIELDS, *CLIP_FIELDS} <= set(file)


@settings(max_examples=60, deadline=None)
@given(
    number=st.integers(0, len(CLIPS) - 1),
    start=st.integers(-2000, 80_000),
    stop=st.none() | st.integers(-2000, 80_000),
)
def test_a_window_holds_the_events_of_its_time(path: Path, number: int, start: int, stop: int | None) -> None:
    t = CLIPS[number].events["t"]
    inside = (t >= start) & (t < (np.inf if stop is None else stop))
    window = Store(path).events(number, start, stop)
    assert np.array_equal(window, CLIPS[number].events[inside])


def test_the_hash_is_of_the_content_alone(path: Path, tmp_path: Path) -> None:
    wanted = Store(path).content_sha256()
    again = tmp_path / "again.h5"
    write_store(again, (Store(path).clip(i) for i in range(len(CLIPS))), WIDTH, HEIGHT, {"name": "another"})
    assert Store(again).content_sha256() == wanted
    plain = tmp_path / "plain.h5"
    with h5py.File(path) as source, h5py.File(plain, "w") as target:
        target.attrs.update(source.attrs)
        for name in [
            *(f"events/{n}" for n in EVENT_FIELDS),
            *OFFSETS,
            "index_ms",
            "rgb",
            *CLIP_FIELDS,
            *FRAME_FIELDS,
        ]:
            target.create_dataset(name, data=source[name][()], dtype=source[name].dtype)
    assert Store(plain).content_sha256() == wanted


def moved_event(c: ClipData) -> ClipData:
    events = c.events.copy()
    events["x"][7] ^= 1
    return replace(c, events=events)


@pytest.mark.parametrize(
    "change",
    [
        moved_event,
        lambda c: replace(c, duration_us=c.duration_us + 1),
        lambda c: replace(c, split=2),
        lambda c: replace(c, gaze=np.nextafter(c.gaze, np.float32(9))),
        lambda c: replace(c, visible=~c.visible),
        lambda c: replace(c, rgb=[*c.rgb[:-1], c.rgb[-1] + b"!"]),
        lambda c: replace(c, rgb=[c.rgb[0] + c.rgb[1][:1], c.rgb[1][1:], *c.rgb[2:]]),
        lambda c: replace(c, rgb=None),
    ],
)
def test_every_change_of_content_changes_the_hash(change: Callable, tmp_path: Path) -> None:
    hashes = []
    for name, written in (("a", CLIPS[0]), ("b", change(CLIPS[0]))):
        write_store(tmp_path / name, [written], WIDTH, HEIGHT, {})
        hashes.append(Store(tmp_path / name).content_sha256())
    assert hashes[0] != hashes[1]


def count_events(store: Store, number: int) -> int:
    return len(store.events(number))


def test_an_open_store_can_be_sent_to_other_processes(path: Path) -> None:
    store = Store(path)
    assert count_events(store, 0) == count_events(pickle.loads(pickle.dumps(store)), 0) == 300
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        assert list(pool.map(count_events, [store] * 2, (1, 5))) == [300, 50_000]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"landmarks": np.zeros((3, 68))}, r"landmarks has shape \[3, 68\], not \[3, L, 2\]"),
        ({"landmarks": np.zeros((3, 51, 2))}, r"visible has shape \[3, 68\], not \[3, 51\]"),
        ({"au_intensity": np.zeros((3, 23))}, r"au_intensity has shape \[3, 23\], not \[3, 24\]"),
        ({"pose": np.zeros((2, 3))}, r"pose has shape \[2, 3\], not \[3, 3\]"),
        ({"rgb": [b"x"]}, "rgb has 1 pictures for 3 frames"),
        ({"au": 3}, "au is 3"),
        ({"expression": 7}, "expression is 7"),
        ({"split": -1}, "split is -1"),
        ({"duration_us": 10_000}, "events at .* outside 0 … 10000"),
        ({"events": CLIPS[0].events[::-1]}, "time runs backwards"),
        ({"events": pack(*np.array([[5], [WIDTH], [0], [1]]))}, "outside the 30x17 sensor"),
    ],
)
def test_clips_that_break_the_layout_are_refused_and_nothing_is_left(change: dict, what: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=what) as found:
        write_store(tmp_path / "new.h5", [CLIPS[0], replace(CLIPS[0], **change)], WIDTH, HEIGHT, {})
    assert found.value.where.endswith("new.h5: clip 1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (clip(1, rgb=False), "pictures in some clips only"),
        (replace(clip(1), coefficients=np.zeros((3, 8))), r"coefficients has rows of shape \[8\], not \[7\]"),
    ],
)
def test_clips_of_one_set_are_alike(other: ClipData, what: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=what):
        write_store(tmp_path / "new.h5", [CLIPS[0], other], WIDTH, HEIGHT, {})
    with pytest.raises(InputError, match="without clips"):
        write_store(tmp_path / "new.h5", [], WIDTH, HEIGHT, {})


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    file = tmp_path / "copy.h5"
    write_store(file, CLIPS[:2], WIDTH, HEIGHT, {"name": "test"})
    return file


def replaced(file: h5py.File, name: str, value: np.ndarray) -> None:
    del file[name]
    file[name] = value


@pytest.mark.parametrize("name", [*(f"events/{n}" for n in EVENT_FIELDS), *OFFSETS, *CLIP_FIELDS, *FRAME_FIELDS])
def test_a_missing_or_short_field_is_named(name: str, copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        replaced(file, name, file[name][:-1])
    with pytest.raises(InputError, match=r"has shape|does not fit|grow") as short:
        Store(copy)
    with h5py.File(copy, "r+") as file:
        del file[name]
    with pytest.raises(InputError, match=f"{name} is missing"):
        Store(copy)
    assert short.value.where == str(copy)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda f: replaced(f, "events/t", f["events/t"][:] * 0.5), "events/t holds float64, not int64"),
        (lambda f: replaced(f, "offsets", f["offsets"][:][::-1]), "offsets does not start at 0 and grow"),
        (lambda f: replaced(f, "index_ms", f["index_ms"][:-1]), "index_ms has shape"),
        (lambda f: replaced(f, "duration_us", f["duration_us"][:] * 2), "index_ms does not fit"),
        (lambda f: replaced(f, "landmarks", f["landmarks"][:, :, :1]), r"landmarks has shape \[6, 68, 1\]"),
        (lambda f: f.attrs.__delitem__("width"), "width is missing"),
    ],
)
def test_wrong_fields_are_named(damage: Callable, what: str, copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        damage(file)
    with pytest.raises(InputError, match=what):
        Store(copy)


def test_other_files_are_refused(tmp_path: Path, copy: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Store(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("no data")
    with pytest.raises(InputError, match="cannot be read as HDF5"):
        Store(tmp_path / "text.h5")
    (tmp_path / "half.h5").write_bytes(copy.read_bytes()[: copy.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read as HDF5"):
        Store(tmp_path / "half.h5")


def test_damage_in_the_middle_is_named_when_it_is_read(copy: Path) -> None:
    with h5py.File(copy) as file:
        place = file["events/x"].id.get_chunk_info(0)
    content = bytearray(copy.read_bytes())
    content[place.byte_offset : place.byte_offset + place.size] = bytes(place.size)
    copy.write_bytes(content)
    store = Store(copy)
    with pytest.raises(InputError, match="events cannot be read"):
        store.events(0)
    assert len(store.frames(0)["box"]) == 3


def test_pictures_that_are_none_are_named(path: Path) -> None:
    with pytest.raises(InputError, match="rgb of clip 0 cannot be decoded"):
        Store(path).rgb(0)


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_is_found_or_harmless(seed: int, copy: Path) -> None:
    random, content = np.random.default_rng(seed), bytearray(copy.read_bytes())
    if seed % 4 == 0:
        content = content[: random.integers(len(content))]
    else:
        for place in random.integers(0, len(content), 1 + seed % 3):
            content[place] ^= 1 << random.integers(8)
    copy.unlink()
    copy.write_bytes(content)
    with suppress(InputError):
        store = Store(copy)
        store.content_sha256()
        assert [len(store.clip(i).frame_t_us) for i in range(len(store))] == [3, 3]


def test_bad_events_are_named_when_they_are_read(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        file["events/t"][:300] = file["events/t"][:300][::-1]
        file["events/x"][310] = WIDTH
    with pytest.raises(InputError, match="clip 0 is broken: time runs backwards at event 1"):
        Store(copy).events(0)
    with pytest.raises(InputError, match=r"clip 1 is broken: event 10 at pixel \(30, "):
        Store(copy).events(1)


@pytest.mark.parametrize(("name", "value"), [("expression", 9), ("split", 3)])
def test_labels_that_do_not_exist_are_named(name: str, value: int, copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        file[name][1] = value
    with pytest.raises(InputError, match=f"{name} is outside"):
        Store(copy)


def test_clips_are_counted_like_a_list(path: Path) -> None:
    store = Store(path)
    assert np.array_equal(store.events(-1), store.events(len(CLIPS) - 1))
    with pytest.raises(IndexError):
        store.events(len(CLIPS))

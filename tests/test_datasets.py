"""The Tonic data set: its form, windows, caches, loaders and ragged batches."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import tonic
import torch
from PIL import Image
from small_networks import clip as random_events
from tonic import transforms
from torch.utils.data import DataLoader

from snnface.datasets.faces import FaceEvents
from snnface.datasets.store import ClipData, Store, write_store
from snnface.errors import InputError

WIDTH, HEIGHT, FRAME_US = 20, 12, 7_000
#: (duration µs, events, split): one clip without events, one that is no whole number of milliseconds.
CLIPS = ((30_000, 500, 0), (41_300, 900, 2), (30_000, 0, 0), (50_000, 700, 1), (22_222, 300, 0))


def picture(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def labelled(number: int, duration_us: int, events: int, split: int) -> ClipData:
    """A clip whose labels of frame f are all number·100 + f."""
    t = np.arange(0, duration_us, FRAME_US)
    value = (number * 100 + np.arange(len(t), dtype=np.float32))[:, None]

    def rows(*shape: int) -> np.ndarray:
        return np.broadcast_to(value.reshape(-1, *(1,) * len(shape)), (len(t), *shape))

    return ClipData(
        random_events(duration_us, events, number, WIDTH, HEIGHT), duration_us, identity=number // 2,
        au=(1, -1, 12, 56, 2)[number], expression=(-1, 3, -1, -1, -1)[number], split=split, frame_t_us=t,
        au_intensity=rows(24), landmarks=rows(68, 2), visible=rows(68) % 2 == 0, coefficients=rows(5),
        pose=rows(3), gaze=rows(2), box=rows(4), rgb=[picture(20 * number + f) for f in range(len(t))],
    )  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("faces") / "faces.h5"
    write_store(file, (labelled(i, *c) for i, c in enumerate(CLIPS)), WIDTH, HEIGHT, {"name": "test"})
    return file


def test_landmarks_of_wflw_are_there_where_they_were_written(path: Path, tmp_path: Path) -> None:
    def with_more(number: int) -> ClipData:
        clip = labelled(number, *CLIPS[number])
        places = np.arange(len(clip.frame_t_us) * 196, dtype=np.float32).reshape(-1, 98, 2)
        return ClipData(**(vars(clip) | {"landmarks98": places, "visible98": places[..., 0] % 3 == 0}))

    file = tmp_path / "more.h5"
    write_store(file, map(with_more, range(2)), WIDTH, HEIGHT, {"name": "test"})
    store = Store(file)
    assert store.extra == ("landmarks98", "visible98")
    assert np.array_equal(store.clip(1).landmarks98, with_more(1).landmarks98)
    assert np.array_equal(store.clip(1).visible98, with_more(1).visible98)
    assert "landmarks98" not in FaceEvents(file)[0][1]
    _, target = FaceEvents(file, window_us=10_000, extra=("landmarks98",))[1]
    assert target["landmarks98"].shape == (len(target["frame_t_us"]), 98, 2)
    # Older files have none, and stay what they are.
    assert Store(path).extra == ()
    assert Store(path).clip(0).landmarks98 is None
    with pytest.raises(InputError, match="has no landmarks98"):
        FaceEvents(path, extra=("landmarks98",))
    clips = [with_more(0), labelled(1, *CLIPS[1])]
    with pytest.raises(InputError, match="in some clips only"):
        write_store(tmp_path / "mixed.h5", clips, WIDTH, HEIGHT, {"name": "test"})
    short = ClipData(**(vars(with_more(0)) | {"landmarks98": np.zeros((1, 98, 2), np.float32)}))
    with pytest.raises(InputError, match="landmarks98 has shape"):
        write_store(tmp_path / "short.h5", [short], WIDTH, HEIGHT, {"name": "test"})


def assert_same_item(one, other) -> None:
    assert np.array_equal(one[0], other[0])
    assert one[1].keys() == other[1].keys()
    for name in one[1]:
        assert np.array_equal(one[1][name], other[1][name]), name


def test_is_a_tonic_data_set_of_whole_clips(path: Path) -> None:
    data = FaceEvents(path)
    assert isinstance(data, tonic.Dataset)
    assert data.sensor_size == (WIDTH, HEIGHT, 2)
    assert data.ordering == data.dtype.names
    assert set(data.ordering) == {"t", "x", "y", "p"}
    assert (len(data.classes["au"]), len(data.classes["expression"])) == (24, 7)
    assert len(data) == len(CLIPS)
    for i, (duration_us, count, _) in enumerate(CLIPS):
        events, target = data[i]
        assert events.dtype == data.dtype
        assert len(events) == count
        assert np.array_equal(events, random_events(duration_us, count, i, WIDTH, HEIGHT))
        assert target["duration_us"] == duration_us
        assert np.array_equal(target["frame_t_us"], np.arange(0, duration_us, FRAME_US))
        assert np.array_equal(target["landmarks"][:, 3, 1], i * 100 + np.arange(len(target["frame_t_us"])))
    assert (data[3][1]["au"], data[3][1]["au_class"]) == (56, 23)
    assert data.classes["au"][23].startswith("AU56 ")
    assert (data[1][1]["au"], data[1][1]["au_class"], data[1][1]["expression"]) == (-1, -1, 3)


def test_splits_share_no_clip_and_leave_none_out(path: Path) -> None:
    numbers = [
        [target["clip"] for _, target in (data[i] for i in range(len(data)))]
        for data in (FaceEvents(path, split) for split in ("train", "validation", "test"))
    ]
    assert numbers == [[0, 2, 4], [3], [1]]


@pytest.mark.parametrize("window_us", [4_999, 7_000, 10_000, 50_000, 10**9])
def test_windows_partition_events_and_frames_of_each_clip(path: Path, window_us: int) -> None:
    whole, windows = FaceEvents(path), FaceEvents(path, window_us=window_us)
    assert len(windows) == sum(-(-duration // window_us) for duration, _, _ in CLIPS)
    parts: dict[int, list] = {i: [] for i in range(len(CLIPS))}
    for events, target in (windows[i] for i in range(len(windows))):
        for t in (events["t"], target["frame_t_us"]):
            assert ((t >= 0) & (t <= target["duration_us"])).all()
        assert target["start_us"] == sum(other["duration_us"] for _, other in parts[target["clip"]])
        parts[target["clip"]].append((events, target))
    for number, pieces in parts.items():
        events, target = whole[number]
        assert sum(piece["duration_us"] for _, piece in pieces) == target["duration_us"]
        moved = [e.copy() for e, _ in pieces]
        for e, (_, piece) in zip(moved, pieces, strict=True):
            e["t"] += piece["start_us"]
        assert np.array_equal(np.concatenate(moved), events)
        assert np.array_equal(np.concatenate([p["box"] for _, p in pieces]), target["box"])
        times = np.concatenate([p["frame_t_us"] + p["start_us"] for _, p in pieces])
        assert np.array_equal(times, target["frame_t_us"])


def test_a_window_reads_only_its_own_events(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    events = Store.events

    def spy(store: Store, clip: int, start_us: int = 0, stop_us: int | None = None) -> np.ndarray:
        asked.append((clip, start_us, stop_us))
        return events(store, clip, start_us, stop_us)

    monkeypatch.setattr(Store, "events", spy)
    data = FaceEvents(path, "test", window_us=10_000)
    assert asked == []
    _ = data[1], data[4]
    assert asked == [(1, 10_000, 20_000), (1, 40_000, None)]


def test_pictures_are_on_the_same_clock_and_only_on_request(path: Path) -> None:
    assert "rgb" not in FaceEvents(path)[0][1]
    for _, target in (data[i] for data in [FaceEvents(path, window_us=8_000, rgb=True)] for i in range(len(data))):
        frames = (target["start_us"] + target["frame_t_us"]) // FRAME_US
        assert target["rgb"].shape == (len(frames), HEIGHT, WIDTH, 3)
        assert np.array_equal(target["rgb"][:, 5, 6, 1], 20 * target["clip"] + frames)


def test_transforms_of_tonic_work_on_items(path: Path) -> None:
    data = FaceEvents(path, "train", transform=transforms.ToFrame((WIDTH, HEIGHT, 2), time_window=5_000))
    frames, _ = data[0]
    assert frames.shape[1:] == (2, HEIGHT, WIDTH)
    assert frames.sum() == pytest.approx(CLIPS[0][1], abs=CLIPS[0][1] / 4)  # Tonic drops the last begun frame
    jittered = transforms.TimeJitter(std=100.0, clip_negative=False, sort_timestamps=True)
    events, plain = FaceEvents(path, "train", transform=jittered)[0][0], FaceEvents(path, "train")[0][0]
    assert events.dtype.names == plain.dtype.names
    assert 0 < np.abs(events["t"] - plain["t"]).mean() < 300
    flipped = FaceEvents(
        path,
        target_transform=lambda target: target["au"],
        transforms=lambda events, au: (events, au + 100),
    )
    assert [flipped[i][1] for i in range(len(flipped))] == [101, 99, 112, 156, 102]


def test_items_survive_pickling_and_tonics_caches(path: Path, tmp_path: Path) -> None:
    data = FaceEvents(path, "train", window_us=9_000, rgb=True)
    copied = pickle.loads(pickle.dumps(data))
    memory = tonic.MemoryCachedDataset(data)
    disk = tonic.DiskCachedDataset(data, cache_path=str(tmp_path / "cache"))
    assert len(copied) == len(memory) == len(disk) == len(data)
    for i in range(len(data)):
        for other in (pickle.loads(pickle.dumps(data[i])), copied[i], memory[i], memory[i], disk[i], disk[i]):
            assert_same_item(data[i], other)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_makes_ragged_batches(path: Path, workers: int) -> None:
    data = FaceEvents(path, rgb=True)
    _ = data[0]  # a file that is open already must not disturb the workers
    batches = list(DataLoader(data, batch_size=3, num_workers=workers, collate_fn=data.collate))
    assert [batch.size for batch, _ in batches] == [3, 2]
    number = 0
    for batch, targets in batches:
        assert (batch.width, batch.height) == (WIDTH, HEIGHT)
        assert torch.equal(batch.duration_us, targets["duration_us"])
        frames = targets["frame_offsets"]
        for b in range(batch.size):
            events, target = data[number]
            own = slice(int(batch.offsets[b]), int(batch.offsets[b + 1]))
            for name in "txyp":
                assert np.array_equal(getattr(batch, name)[own].numpy(), events[name])
            assert int(targets["au_class"][b]) == target["au_class"]
            for name in ("frame_t_us", "landmarks", "visible", "rgb"):
                rows = targets[name][int(frames[b]) : int(frames[b + 1])]
                assert np.array_equal(rows.numpy(), target[name])
            number += 1
    assert number == len(data)


@pytest.mark.parametrize(
    ("arguments", "where"),
    [({"split": "training"}, "split 'training'"), ({"window_us": 0}, "window_us 0")],
)
def test_bad_arguments_are_named(path: Path, arguments: dict, where: str) -> None:
    with pytest.raises(InputError) as found:
        FaceEvents(path, **arguments)
    assert found.value.where == where


def test_absent_clips_and_pictures_are_named(tmp_path: Path) -> None:
    file = tmp_path / "one.h5"
    only = labelled(0, *CLIPS[0])
    write_store(file, [ClipData(**(vars(only) | {"rgb": None}))], WIDTH, HEIGHT, {"name": "test"})
    with pytest.raises(InputError, match="has no test clips"):
        FaceEvents(file, "test")
    with pytest.raises(InputError, match="has no pictures"):
        FaceEvents(file, rgb=True)

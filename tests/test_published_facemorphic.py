"""FACEMORPHIC folders: labels, clocks, the cut to the action, and what is missing or wrong in them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from event_files import evt3_bytes, evt3_words, prophesee_header
from published_folders import COLON, FRAME_US, SENSOR, alphas, facemorphic_clip, jpeg, recording

from snnface.converters.published import Options, convert_published, detect
from snnface.converters.published.facemorphic import _nearest, sources
from snnface.datasets.faces import FaceEvents
from snnface.datasets.store import ClipData, Store
from snnface.errors import InputError
from snnface.events import Recording, pack

ONE = Options(validation=0)


def converted(root: Path, options: Options = ONE) -> tuple[Store, dict]:
    answer = convert_published(root, root / "set.h5", options=options)
    return Store(root / "set.h5"), answer


def only(root: Path, options: Options = ONE) -> tuple[ClipData, dict]:
    store, answer = converted(root, options)
    assert len(store) == 1
    return store.clip(0), answer


def pictures_of(clip: ClipData) -> np.ndarray:
    """For each event the picture that it belongs to by time: the first one that is not before it."""
    return np.searchsorted(clip.frame_t_us, clip.events["t"], "left")


def test_labels_come_through(tmp_path: Path) -> None:
    for user in ("aa", "bb"):
        facemorphic_clip(tmp_path, user, "AU_12", 1, annotation=(1, 5))
        facemorphic_clip(tmp_path, user, "AU_2", 2, annotation=(0, 6))
        facemorphic_clip(tmp_path, user, "AU_FREE")
    assert detect(tmp_path) == detect(tmp_path / "recordings") == "facemorphic"
    store, answer = converted(tmp_path)
    assert (store.width, store.height) == SENSOR
    assert store.au.tolist() == [2, 12, -1] * 2
    assert store.identity.tolist() == [0] * 3 + [1] * 3
    assert set(store.expression) == {-1}
    assert not store.attrs["rgb_aligned"]
    assert answer["layout"] == "facemorphic"
    assert (answer["clips"], answer["identities"], answer["dropped"]) == (6, 2, {"outside_part": 40})
    assert (answer["events_in"], answer["events_out"]) == (360, 320)
    assert answer["skipped"] == []
    assert answer["labels_missing"] == {}
    fitted = np.array(alphas(6), np.float32)
    for number, kept in enumerate((slice(0, 6), slice(1, 5), slice(0, 6))):
        clip = store.clip(number)
        np.testing.assert_array_equal(clip.coefficients, fitted[kept])
        assert clip.rgb is not None
        assert list(clip.rgb) == [jpeg(i) for i in range(6)[kept]]
        assert np.isnan(clip.landmarks).all()
        assert np.isnan(clip.au_intensity).all()
        assert not clip.visible.any()
    _, target = FaceEvents(tmp_path / "set.h5", rgb=True)[1]
    assert target["rgb"].shape == (4, 6, 8, 3)
    assert target["coefficients"].shape == (4, 32)


@pytest.mark.parametrize("start", [0, 2])
def test_each_event_is_with_the_picture_that_was_taken_then(tmp_path: Path, start: int) -> None:
    facemorphic_clip(tmp_path, "aa", "AU_4", annotation=(start, 5))
    clip, _ = only(tmp_path)
    assert clip.duration_us == (5 - start) * FRAME_US
    np.testing.assert_array_equal(pictures_of(clip) + start, clip.events["x"])
    assert sorted(set(clip.events["x"].tolist())) == list(range(start, 5))


def flash(random: np.random.Generator, at_us: int, duration_us: int) -> Recording:
    """Noise from 0 on, and 500 events within a millisecond."""
    burst = at_us + random.integers(0, 1_000, 500)
    t = np.sort(np.concatenate([[0], random.integers(0, duration_us, 50), burst]))
    x, y, p = (random.integers(0, most, len(t)) for most in (*SENSOR, 2))
    return Recording(pack(t, x, y, p), *SENSOR)


@pytest.mark.parametrize("part", [None, (2, 15)])
@pytest.mark.parametrize("seed", range(3))
def test_a_flash_is_seen_at_once_by_events_and_pictures(tmp_path: Path, seed: int, part) -> None:
    """Pictures come unevenly, one is lost; the first bright one is the first that was taken after the flash."""
    random = np.random.default_rng(seed)
    frames, lost = 18, 11
    taken = np.delete(np.arange(frames + 1) * FRAME_US, lost) + random.integers(-4_000, 4_000, frames)
    taken -= taken[0]
    # On the events' clock the first picture ends the first interval, whose mean length all of them tell.
    clock = taken + round(taken[-1] / (frames - 1))
    at = int(random.integers(clock[4], clock[13]))
    shades = [220 if t >= at else 20 for t in clock.tolist()]
    facemorphic_clip(
        tmp_path, "aa", "AU_4", frames=frames, annotation=part, taken_us=taken.tolist(), shades=shades,
        events=flash(random, at, int(clock[-1])),
    )  # fmt: skip
    clip, _ = only(tmp_path)
    events, target = FaceEvents(tmp_path / "set.h5", rgb=True)[0]
    brightness = target["rgb"][..., 0].reshape(len(clip.frame_t_us), -1).mean(1)
    change = int(np.flatnonzero(np.diff(brightness) > 100)[0]) + 1
    seen = float(np.median(clip.events["t"]))  # nearly all of them are of the flash
    assert len(events) == len(clip.events) > 500
    assert clip.frame_t_us[change - 1] < seen < clip.frame_t_us[change] + 1_000
    assert clip.rgb is not None
    assert len(clip.rgb) == (frames if part is None else part[1] - part[0])


def test_nobody_is_in_two_parts(tmp_path: Path) -> None:
    users = [f"user{i:02d}" for i in range(6)]
    for number, user in enumerate(users):
        for take in range(1, 1 + number % 3):
            facemorphic_clip(tmp_path, user, "AU_1", take, annotation=(0, 6))
    store, answer = converted(tmp_path, Options(validation=0.3))
    people = [set(store.identity[store.split == part].tolist()) for part in range(3)]
    assert all(people)
    assert sum(map(len, people)) == len(set.union(*people)) == answer["identities"] == 4
    # Whoever is in a part is in it with every recording.
    assert sorted(np.bincount(store.identity)[np.unique(store.identity)].tolist()) == [1, 1, 2, 2]


def test_a_raw_file_counts_from_its_first_time_word(tmp_path: Path) -> None:
    folder = facemorphic_clip(tmp_path, "aa", "AU_4", annotation=(0, 6))
    silence, begun = 3 * FRAME_US, 100 << 12
    events = recording(6).events
    late = events[events["t"] >= silence]
    late["t"] += begun
    words = [0x8000 | 100, *evt3_words(Recording(late, *SENSOR))]
    data = prophesee_header("3.0", SENSOR) + evt3_bytes(words).removeprefix(prophesee_header("3.0"))
    (folder / "event_1.raw").write_bytes(data)
    clip, _ = only(tmp_path)
    np.testing.assert_array_equal(pictures_of(clip), clip.events["x"])
    assert set(clip.events["x"].tolist()) == {3, 4, 5}


@pytest.mark.parametrize("colon", [COLON, "_"])
def test_times_of_pictures_cross_midnight(tmp_path: Path, colon: str) -> None:
    facemorphic_clip(tmp_path, "aa", "AU_4", first="23:59:59.950000", colon=colon)
    clip, _ = only(tmp_path, Options(whole=True))
    np.testing.assert_array_equal(clip.frame_t_us, FRAME_US * np.arange(1, 7))


def test_the_whole_recording_or_the_first_pictures_of_the_action(tmp_path: Path) -> None:
    facemorphic_clip(tmp_path, "aa", "AU_4", annotation=(1, 6))
    assert only(tmp_path, Options(frames=2))[0].frame_t_us.tolist() == [FRAME_US, 2 * FRAME_US]
    assert len(only(tmp_path, Options(frames=0))[0].frame_t_us) == 5
    whole, answer = only(tmp_path, Options(whole=True, rgb=False))
    assert len(whole.frame_t_us) == 6
    assert len(whole.events) == 60
    assert whole.rgb is None
    assert answer["dropped"] == {}


@pytest.mark.parametrize(("annotation", "reason"), [(None, "no_annotation"), ((99999999, 5), "faulty_annotation")])
def test_without_a_good_annotation_the_recording_is_kept_and_named(tmp_path: Path, annotation, reason: str) -> None:
    facemorphic_clip(tmp_path, "aa", "AU_4", annotation=annotation)
    clip, answer = only(tmp_path)
    assert len(clip.frame_t_us) == 6
    assert answer["labels_missing"] == {reason: 1}


@pytest.mark.parametrize(
    ("failed", "taken"),
    [
        ((0,), [1, 1, 2, 3, 4, 5]),
        ((1,), [0, 0, 2, 3, 4, 5]),
        ((2, 3), [0, 1, 1, 4, 4, 5]),
        ((5, 4), [0, 1, 2, 3, 3, 3]),
    ],
)
def test_a_failed_fit_takes_the_nearest_one(tmp_path: Path, failed, taken) -> None:
    facemorphic_clip(tmp_path, "aa", "AU_4", annotation=(0, 6), failed=failed)
    fitted = np.array(alphas(6), np.float32)
    np.testing.assert_array_equal(only(tmp_path)[0].coefficients, fitted[taken])


def test_nearest_of_two_is_the_earlier() -> None:
    assert _nearest(np.array([1, 5]), 8).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_coefficients_that_do_not_fit_are_absent(tmp_path: Path) -> None:
    facemorphic_clip(tmp_path, "aa", "AU_1", fitted=5)
    facemorphic_clip(tmp_path, "aa", "AU_2", failed=range(6))
    folder = facemorphic_clip(tmp_path, "aa", "AU_4")
    next(folder.glob("frames_1/alphas32*")).write_bytes(b"no archive")
    folder = facemorphic_clip(tmp_path, "aa", "AU_6")
    next(folder.glob("frames_1/alphas32*")).unlink()
    store, answer = converted(tmp_path, Options(whole=True))
    assert all(np.isnan(store.clip(i).coefficients).all() for i in range(4))
    missing = {"coefficients_of_other_length": 1, "no_coefficients": 2, "unreadable_coefficients": 1}
    assert answer["labels_missing"] == missing


def test_a_plain_array_of_coefficients_is_read_too(tmp_path: Path) -> None:
    folder = facemorphic_clip(tmp_path, "aa", "AU_1")
    rows = np.array(alphas(6, seed=1), np.float32)
    rows[2] = np.nan
    next(folder.glob("frames_1/alphas32*")).unlink()
    np.savez(folder / "frames_1" / "alphas32.npz", alphas=rows)
    np.testing.assert_array_equal(only(tmp_path, Options(whole=True))[0].coefficients, rows[[0, 1, 1, 3, 4, 5]])


def test_split_is_by_user_as_the_authors_split(tmp_path: Path) -> None:
    users = [f"user{i:02d}" for i in range(10)]
    for user in users:
        for action in ("AU_1", "AU_2"):
            (tmp_path / user / action / "frames_1").mkdir(parents=True)
    for validation, held in ((0.0, []), (0.25, users[2:4])):
        wanted = {u: 2 if u in users[:2] else 1 if u in held else 0 for u in users}
        found = sources(tmp_path, Options(validation=validation))
        assert [(s.person, s.au, s.split) for s in found] == [(u, au, wanted[u]) for u in users for au in (1, 2)]


def test_broken_recordings_are_left_out_counted_and_named(tmp_path: Path) -> None:
    kept = facemorphic_clip(tmp_path, "aa", "AU_1")
    broken = {
        "AU_2": ("missing_events", lambda f: (f / "event_1.raw").unlink()),
        "AU_4": ("missing_frames", lambda f: shutil.rmtree(f / "frames_1")),
        "AU_6": ("unreadable", lambda f: (f / "event_1.raw").write_bytes(b"nothing of this is an event")),
        "AU_7": ("broken_pictures", lambda f: next((f / "frames_1").glob("*.jpg")).write_bytes(jpeg()[:100])),
        "AU_9": ("no_events", lambda f: (f / "event_1.raw").write_bytes((kept / "event_1.raw").read_bytes()[:120])),
    }
    for action, (_, damage) in broken.items():
        damage(facemorphic_clip(tmp_path, "aa", action, annotation=(4, 6)))
    store, answer = converted(tmp_path)
    assert store.au.tolist() == [1]
    assert answer["dropped"] == {reason: 1 for reason, _ in broken.values()}
    assert {entry["recording"]: entry["reason"] for entry in answer["skipped"]} == {
        f"aa/{action}/event_1": reason for action, (reason, _) in broken.items()
    }
    assert answer["events_in"] == answer["events_out"] == 60
    with pytest.raises(InputError, match="AU_2"):
        converted(tmp_path, Options(strict=True))


def test_pixels_outside_the_sensor_are_reported_or_repaired(tmp_path: Path) -> None:
    folder = facemorphic_clip(tmp_path, "aa", "AU_1")
    facemorphic_clip(tmp_path, "aa", "AU_2")
    rec = recording(6)
    rec.events["x"][30] = 2000
    words = evt3_bytes(evt3_words(rec)).removeprefix(prophesee_header("3.0"))
    (folder / "event_1.raw").write_bytes(prophesee_header("3.0", SENSOR) + words)
    store, answer = converted(tmp_path)
    assert len(store) == 1
    assert answer["dropped"] == {"unreadable": 1}
    assert "outside the 1280x720" in answer["skipped"][0]["what"]
    store, answer = converted(tmp_path, Options(repair=True, validation=0))
    assert len(store) == 2
    assert answer["dropped"] == {"outside_sensor": 1}
    assert answer["events_in"] == answer["events_out"] + 1 == 120


def test_nothing_readable_is_one_error_and_leaves_no_set(tmp_path: Path) -> None:
    folder = facemorphic_clip(tmp_path, "aa", "AU_1")
    (folder / "event_1.raw").unlink()
    with pytest.raises(InputError, match=r"none of 1 recordings.*event_1\.raw"):
        converted(tmp_path)
    assert not (tmp_path / "set.h5").exists()

"""Published sets other than FACEMORPHIC, the plain folder, and runs that are interrupted or resumed."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from published_folders import eck, facemorphic_clip, fes, fes_labels, nefer, recording, wflw_v

from snnface import io
from snnface.converters.published import LAYOUTS, Options, convert_published, detect, facemorphic
from snnface.converters.published.people import by_person, expression_index
from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.facs import EXPRESSIONS

ROOT = Path(__file__).parent.parent
ALL = Options(validation=0)


def converted(root: Path, options: Options = ALL, layout: str | None = None) -> tuple[Store, dict]:
    target = root.parent / "set.h5"
    answer = convert_published(root, target, layout, options=options)
    return Store(target), answer


def rows(store: Store) -> list[tuple[int, int, int]]:
    return list(zip(store.identity.tolist(), store.expression.tolist(), store.split.tolist(), strict=True))


def named(*words: str) -> list[int]:
    return [EXPRESSIONS.index(word) for word in words]


def test_the_page_names_every_layout_and_reason() -> None:
    page = (ROOT / "docs" / "published.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "converters" / "published").glob("*.py"))
    reasons = set(re.findall(r'UnusableError\(\s*"(\w+)"', code)) | {"other_sensor", "outside_part", "unreadable"}
    assert len(reasons) > 8
    reasons |= set(re.findall(r'\("(\w+)",\)', code))
    options = {field.name for field in dataclasses.fields(Options)}
    assert [name for name in (*LAYOUTS, *reasons, *options) if f"`{name}`" not in page] == []


def test_words_for_expressions() -> None:
    words = ["Happy", "Sadness", "surprised ", "CONTEMPT", "fear", "Angry", "disgust", "Neutral", "None", "", "pain"]
    wanted = named("happiness", "sadness", "surprise", "contempt", "fear", "anger", "disgust")
    assert [expression_index(word) for word in words] == [*wanted, -1, -1, -1, -1]


def test_people_are_in_one_split_each() -> None:
    people = [f"p{i}" for i in range(20)]
    splits = by_person(people * 3, 0.1)
    assert [list(splits.values()).count(s) for s in range(3)] == [14, 2, 4]
    assert splits == by_person(people[::-1], 0.1)


@pytest.mark.parametrize("inner", ["raw", ""])
def test_nefer(tmp_path: Path, inner: str) -> None:
    root = tmp_path / "nefer"
    files = nefer(root, {"user_01": "train", "user_03": "validation"}, inner=inner)
    assert detect(root) == "nefer"
    store, answer = converted(root)
    disgust, contempt = named("disgust", "contempt")
    assert rows(store) == [(0, disgust, 0), (0, contempt, 0), (1, disgust, 2), (1, contempt, 2)]
    assert set(store.au) == {-1}
    np.testing.assert_array_equal(store.events(1), recording(3, seed=1).events)
    assert answer["identities"] == 2
    files[0].unlink()
    store, answer = converted(root, Options(reported=True, by_identity=True, validation=0))
    assert rows(store) == [(0, contempt, 2), (1, -1, 0), (1, contempt, 0)]
    assert answer["dropped"] == {"missing_events": 1}
    assert answer["skipped"][0]["recording"] == "user_01/user01_2022-06-08_12-20-00"


def test_nefer_tables_that_contradict_themselves(tmp_path: Path) -> None:
    nefer(tmp_path / "nefer", {"user_01": "train"})
    table = tmp_path / "nefer/annotations/expected_emotions/train_event.csv"
    table.write_text(table.read_text() + "user_01,user01_2022-06-08_12-20-00_cd,frame_03.png,Fear\n")
    with pytest.raises(InputError, match="second emotion"):
        converted(tmp_path / "nefer")
    table.unlink()
    with pytest.raises(InputError, match="train_event"):
        converted(tmp_path / "nefer")


def test_eck_keeps_the_published_split_or_splits_by_person(tmp_path: Path) -> None:
    root = tmp_path / "eck"
    sequences = [("Train_Set", 1, "S005_001"), ("Train_Set", 3, "S006_001"), ("Train_Set", 5, "S007_001")]
    files = eck(root, [*sequences, ("Test_Set", 7, "S005_002")])
    assert detect(root) == "e-ck+"
    store, _ = converted(root)
    anger, disgust, happiness, surprise = named("anger", "disgust", "happiness", "surprise")
    assert rows(store) == [(0, surprise, 2), (0, anger, 0), (1, disgust, 0), (2, happiness, 0)]
    assert (store.width, store.height) == (346, 260)
    wanted = recording(3, size=(346, 260)).events
    np.testing.assert_array_equal(store.events(1), wanted)
    assert [s for _, _, s in rows(converted(root, Options(validation=0.5))[0])] == [2, 0, 0, 1]
    splits = rows(converted(root, Options(by_identity=True, validation=0))[0])
    assert [(i, s) for i, _, s in splits] == [(0, 2), (0, 2), (1, 0), (2, 0)]
    events = np.load(files[0])
    events[4, 0], events[5, 2] = 346, 0.0
    np.save(files[0], events)
    np.save(files[1], events[:, :3])
    np.save(files[2], np.array([{"a": 1}]), allow_pickle=True)
    store, answer = converted(root, Options(repair=True, validation=0))
    assert answer["dropped"] == {"outside_sensor": 1, "backwards": 1, "unreadable": 2}
    assert converted(root)[1]["dropped"] == {"damaged": 1, "unreadable": 2}


@pytest.mark.parametrize("table", [False, True])
def test_fes(tmp_path: Path, table: bool) -> None:
    root, labels = tmp_path / "fes", fes_labels()
    other = fes_labels(2, track=1)
    other["x"] = 300
    fes(root, "20210923_0_1", np.concatenate([other, labels]), table)
    fes(root, "20210923_0_12", labels, table)
    fes(root, "20210924_0_1", labels, table)
    np.save(root / "20210924_0_2_bbox.npy", labels)
    assert detect(root) == "fes"
    store, answer = converted(root)
    assert store.identity.tolist() == [0, 0, 1]
    assert store.split.tolist() == [2, 2, 0]
    assert answer["dropped"] == {"missing_events": 1}
    assert store.attrs["landmark_scheme"] == "fes5"
    for number in range(3):
        clip = store.clip(number)
        assert clip.frame_t_us.tolist() == [0, 33333, 66666, 100000]
        np.testing.assert_array_equal(clip.box[1], [101, 50, 181, 140])
        np.testing.assert_array_equal(clip.landmarks[2], [[112 + 10 * i, 60 + 10 * i] for i in range(5)])
        assert clip.visible.all()
        np.testing.assert_array_equal(clip.events, recording(5, size=(640, 480)).events)


def test_fes_without_points_and_with_broken_labels(tmp_path: Path) -> None:
    names = ["t", "x", "y", "w", "h", "track_id"]
    plain = np.empty(4, [(n, fes_labels().dtype[n]) for n in names])
    for name in names:
        plain[name] = fes_labels()[name]
    fes(tmp_path / "fes", "01_1", plain)
    path = fes(tmp_path / "fes", "01_2", plain)
    path.with_name("01_2_bbox.npy").write_bytes(b"broken")
    store, answer = converted(tmp_path / "fes")
    assert answer["labels_missing"] == {"no_landmarks": 1}
    assert answer["dropped"] == {"unreadable_labels": 1}
    assert np.isnan(store.clip(0).landmarks).all()


def test_wflw_v_is_simulated_with_its_landmarks(tmp_path: Path) -> None:
    root = tmp_path / "wflw"
    points = wflw_v(root, "abc")
    wflw_v(root, "def", labelled=3)
    wflw_v(root, "ghi")
    (root / "videos" / "ghi.mp4").unlink()
    assert detect(root) == "wflw-v"
    store, answer = converted(root, Options(size=(80, 60), sensor="clean"))
    assert answer["dropped"] == {"wrong_counts": 1, "missing_video": 1}
    clip = store.clip(0)
    assert store.attrs["landmark_scheme"] == "wflw98"
    assert store.attrs["rgb_aligned"]
    assert clip.frame_t_us.tolist() == [0, 33333, 66667, 100000]
    scale = np.diff(clip.landmarks[0, :2, 0])[0] / np.diff(points[0, :2, 0])[0]
    np.testing.assert_allclose(np.diff(clip.landmarks[:, 0, 0]), 4 * scale, rtol=1e-4)
    # The bright square moves right: light grows at its right edge and falls at its left one.
    left, right = clip.box[:, 0].mean(), clip.box[:, 2].mean()
    on, off = (clip.events[clip.events["p"] == p]["x"].mean() for p in (1, 0))
    assert (on, off) == pytest.approx((right, left), abs=3)
    pictures = store.rgb(0)
    assert pictures is not None
    assert pictures.shape == (4, 60, 80, 3)
    edge = np.argmax(pictures[0, 30, :, 0] > 130)
    assert edge == pytest.approx(clip.box[0, 0], abs=1.5)


@pytest.mark.parametrize(
    "folders", [("label", "rgb", "frame"), ("labels", "images_selected", "voxel"), ("label", "rgb", "timesurface")]
)
def test_sets_of_pictures_are_named_and_refused(tmp_path: Path, folders) -> None:
    for folder in folders:
        (tmp_path / "set" / folder).mkdir(parents=True)
    assert detect(tmp_path / "set") == "e-sie"
    with pytest.raises(InputError, match="no events"):
        converted(tmp_path / "set")


def plain_folder(root: Path) -> None:
    for name in ("happy/a.raw", "AU_12/b.dat", "other/c.csv", "AU_3/d.h5", "e.aedat4"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        io.write(recording(3, start_us=0, size=(64, 48)), root / name)


def test_a_plain_folder_is_labelled_by_its_folders(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    plain_folder(root)
    (root / "notes.csv").write_text("who,when\n")
    assert detect(root) == "folder"
    store, answer = converted(root, Options(size=(64, 48)))
    assert store.au.tolist() == [12, -1, -1, -1, -1]
    assert store.expression.tolist() == [-1, -1, -1, EXPRESSIONS.index("happiness"), -1]
    assert set(store.split) == {0}
    assert set(store.identity) == {-1}
    for number in range(5):
        np.testing.assert_array_equal(store.events(number), recording(3, size=(64, 48)).events)
    assert answer["identities"] == 0


def table(root: Path, *lines: str) -> None:
    (root / "labels.csv").write_text("\n".join(lines) + "\n")


def test_a_table_labels_parts_of_recordings(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    plain_folder(root)
    table(
        root,
        "recording,identity,au,expression,split,start_us,stop_us",
        "happy/a,ann,,,validation,0,33333",
        "happy/a.raw,ann,,sad,,33334,66666",
        "AU_12/b,bob,,,,,",
        "AU_12/b,cid,-1,angry,test,,54000",
        "gone,bob,1,,,,",
        "happy/a,ann,,,,900000,1000000",
    )
    store, answer = converted(root)
    happiness, sadness, anger = named("happiness", "sadness", "anger")
    assert store.identity.tolist() == [0, 0, 1, 2]
    assert store.expression.tolist() == [happiness, sadness, -1, anger]
    assert store.au.tolist() == [-1, -1, 12, -1]
    assert store.split.tolist() == [1, 1, 2, 2]
    assert [set(store.events(i)["x"]) for i in range(4)] == [{0}, {1}, {0, 1, 2}, {0, 1}]
    assert store.duration_us[[0, 1, 3]].tolist() == [33333, 33332, 54000]
    assert {reason: answer["dropped"][reason] for reason in ("missing_events", "no_events")} == {
        "missing_events": 1, "no_events": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (["name,au", "happy/a,1"], "has the column name"),
        (["identity", "ann"], "no column recording"),
        (["recording,au", "happy/a,3"], "line 2: au is 3"),
        (["recording,au", "happy/a,one"], "'one'"),
        (["recording,split", "happy/a,dev"], "'dev'"),
        (["recording,start_us,stop_us", "happy/a,9,9"], "stop_us is 9"),
        (["recording,identity,split", "happy/a,ann,train", "AU_12/b,ann,test"], "ann is in train and in test"),
    ],
)
def test_a_wrong_table_is_one_error(tmp_path: Path, lines: list[str], what: str) -> None:
    plain_folder(tmp_path / "plain")
    table(tmp_path / "plain", *lines)
    with pytest.raises(InputError, match=what):
        converted(tmp_path / "plain")


def test_other_sensors_are_left_out(tmp_path: Path) -> None:
    for name, size in (("a", (32, 24)), ("b", (64, 48)), ("c", (64, 48))):
        io.write(recording(2, size=size), tmp_path / "plain" / f"{name}.raw")
    store, answer = converted(tmp_path / "plain")
    assert (store.width, store.height) == (64, 48)
    assert answer["clips"] == 2
    assert answer["dropped"] == {"other_sensor": 1}
    assert answer["skipped"][0]["recording"] == "a.raw"


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_an_empty_folder_has_no_layout(tmp_path: Path, layout: str) -> None:
    (tmp_path / "empty").mkdir()
    assert detect(tmp_path / "empty") is None
    with pytest.raises(InputError):
        converted(tmp_path / "empty", layout=layout)
    with pytest.raises(InputError, match="published layout"):
        converted(tmp_path / "empty")


def test_unknown_layouts_and_wrong_options_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for wrong in ({"frames": -1}, {"validation": 1.0}, {"sensor": "eye"}):
        with pytest.raises(InputError):
            Options(**wrong)
    with pytest.raises(InputError, match="'nothing'"):
        converted(tmp_path / "empty", layout="nothing")
    with pytest.raises(InputError, match="is no folder"):
        converted(tmp_path / "absent")


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, target = tmp_path / "fm", tmp_path / "set.h5"
    for user in ("aa", "bb"):
        facemorphic_clip(root, user, "AU_1", annotation=(0, 5))
    (facemorphic_clip(root, "bb", "AU_2") / "event_1.raw").unlink()
    whole = convert_published(root, tmp_path / "whole.h5")
    pictures, begun = facemorphic._pictures, []

    def interrupted(folder: Path):
        begun.append(folder)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return pictures(folder)

    monkeypatch.setattr(facemorphic, "_pictures", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert_published(root, target)
    assert not target.exists()
    with pytest.raises(InputError, match="unfinished run"):
        convert_published(root, target)
    with pytest.raises(InputError, match="other files or options"):
        convert_published(root, target, resume=True, options=Options(whole=True))
    assert convert_published(root, target, resume=True) == whole
    assert len(begun) == 4  # one clip before the interruption, two after it
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fm", "set.h5", "set.h5.report.json", "whole.h5", "whole.h5.report.json",
    ]  # fmt: skip
    report = json.loads((tmp_path / "set.h5.report.json").read_text())
    assert report["identities"] == ["aa", "bb"]
    assert report["skipped"][0]["recording"] == "bb/AU_2/event_1"
    # A whole set is left as it is, until its files change.
    assert convert_published(root, target, resume=True) == whole
    assert len(begun) == 4
    shutil.rmtree(root / "recordings" / "bb" / "AU_2")
    again = convert_published(root, target, resume=True)
    assert again["skipped"] == []
    assert again["sha256"] == whole["sha256"]

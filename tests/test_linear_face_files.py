"""Linear models by path: layouts that are around, descriptions, and files that are not what they should be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from linear_models import ACTIONS, arrays, write_basel, write_facemorphic, write_flame, write_npz

from snnface import cli
from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.faces.clip import ClipSpec, FaceClip
from snnface.faces.linear.bases import Bases
from snnface.faces.linear.generic import load_linear
from snnface.faces.linear.ict import load_ict
from snnface.faces.load import load_face
from snnface.faces.sheet import apex_time


def same(a: Bases, b: Bases) -> None:
    assert np.allclose(a.neutral, b.neutral)
    assert np.array_equal(a.triangles, b.triangles)
    assert np.allclose(a.identity, b.identity, atol=1e-7)
    assert np.allclose(a.shapes, b.shapes, atol=1e-7)
    assert a.shape_names == b.shape_names == ("e0", "e1", "e2")


def test_every_layout_gives_the_same_model(tmp_path: Path) -> None:
    own = load_linear(write_npz(tmp_path / "own.npz"))
    basel, flame = load_linear(write_basel(tmp_path / "basel.mat")), load_linear(write_flame(tmp_path / "flame.npz"))
    same(own, basel)
    same(own, flame)
    assert np.array_equal(own.landmarks, basel.landmarks)
    assert np.array_equal(own.landmarks, flame.landmarks)
    assert flame.actions["12"] == {"e0": 1.0}
    authors = load_linear(write_facemorphic(tmp_path / "3D_data"))
    used = len(own.neutral)
    assert np.allclose(authors.neutral[:used], own.neutral)
    assert np.allclose(authors.identity[:, :used], 2 * own.identity, atol=1e-7)  # the root of their variance
    kept = [k for k in range(68) if k not in (17, 26)]
    assert np.array_equal(authors.landmarks[kept], own.landmarks[kept])
    assert authors.landmarks[[17, 26]].tolist() == [3708, 694]


def test_triangles_that_look_inwards_are_turned(tmp_path: Path) -> None:
    inwards = write_npz(tmp_path / "in.npz", triangles=arrays()["triangles"][:, ::-1])
    assert np.array_equal(load_linear(inwards).triangles, arrays()["triangles"])


def test_a_described_face_acts_its_map_in_any_unit_and_place(tmp_path: Path) -> None:
    turn = np.array([[0, 0, 1.0], [0, 1, 0], [-1, 0, 0]])
    a = arrays()
    moved = {k: 7000 * a[k] @ turn.T for k in ("template", "identity", "expression")}
    seen = []
    for name, changes in (("here", {}), ("there", moved | {"template": moved["template"] + 30})):
        path = write_npz(tmp_path / f"{name}.npz", **changes)
        path.with_suffix(".toml").write_text(ACTIONS)
        face = load_face(f"linear:{path}")
        assert set(face.actions) == {12, 25, 43, 45, 51, 52, 53, 54, 55, 56}
        assert not face.expressions
        marks = _at_rest_and_apex(face, 12)
        eyes = np.linalg.norm(marks[0, 36] - marks[0, 45])
        lift = marks[:, [48, 54], 1].mean(1) - marks[:, 30, 1]
        assert (lift[1] - lift[0]) / eyes < -0.05
        marks = _at_rest_and_apex(face, 43)
        opening = (marks[:, [41, 40, 47, 46], 1] - marks[:, [37, 38, 43, 44], 1]).mean(1) / eyes
        assert opening[0] > 0.06
        assert abs(opening[1]) < 0.02
        seen.append(marks)
    assert np.allclose(*seen, atol=0.05)


def _at_rest_and_apex(face, au: int) -> np.ndarray:
    clip = FaceClip(ClipSpec(1, au, -1, 1.2, 64, 64, 3), intensity=1.0, face=face)
    clip.motion.stray.clear()
    return clip.labels(np.array([0, apex_time(clip)]))["landmarks"]


def test_without_a_map_actions_are_refused_and_components_drawn(tmp_path: Path, capsys) -> None:
    path = write_npz(tmp_path / "face.npz")
    options = ["--clips=2", "--identities=2", "--seconds=0.5", "--size=24x24", "--workers=1", f"--face=linear:{path}"]
    with pytest.raises(SystemExit) as end:
        cli.main(["synth", str(tmp_path / "no.h5"), *options])
    assert end.value.code == 2
    assert "--tasks free" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        cli.main(["synth", str(tmp_path / "free.h5"), *options, "--tasks=free", "--json"])
    assert end.value.code == 0
    store = Store(tmp_path / "free.h5")
    assert store.generator["name"] == "linear"
    assert store.generator["coefficients"] == ["e0", "e1", "e2", "lids", "head_yaw", "head_pitch", "head_roll"]
    clip = store.clip(0)
    assert (clip.au, clip.expression) == (-1, -1)
    assert np.abs(clip.coefficients[:, :3]).max() > 0.05
    assert not clip.au_intensity.any()
    assert not clip.coefficients[:, 3].any()  # no lids, no blinks
    assert str(path) not in json.dumps(store.generator)


def test_without_landmarks_there_are_no_landmark_labels(tmp_path: Path) -> None:
    face = load_face(f"linear:{write_npz(tmp_path / 'blank.npz', landmarks68=None)}")
    clip = FaceClip(ClipSpec(0, -1, -1, 0.5, 48, 48, 1), face=face)
    labels = clip.labels(np.array([0, 100_000]))
    assert np.isnan(labels["landmarks"]).all()
    assert not labels["visible"].any()
    assert np.isfinite(labels["box"]).all()
    x0, y0, x1, y1 = labels["box"][0]
    assert 12 < x1 - x0 < 60
    assert 20 < y1 - y0 < 60
    assert np.ptp(clip.luminance(0)) > 0.05


BROKEN = {
    "triangles": (arrays()["triangles"] + 5, "triangles"),
    "identity": (arrays()["identity"][:, :-1], "field identity"),
    "expression": (np.array(["a", "b"]), "field expression"),
    "template": (arrays()["template"].ravel()[:-1], "field template"),
    "landmarks68": (np.arange(5), "5 landmarks"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_fields_that_do_not_fit_are_named(name: str, tmp_path: Path) -> None:
    value, named = BROKEN[name]
    path = write_npz(tmp_path / "bad.npz", **{name: value})
    with pytest.raises(InputError, match=named) as error:
        load_linear(path)
    assert error.value.where == str(path)


@pytest.mark.parametrize("name", ["identity", "triangles", "template"])
def test_missing_fields_are_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=name):
        load_linear(write_npz(tmp_path / "less.npz", **{name: None}))


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    holed = arrays()["expression"].copy()
    holed[1, 5, 2] = np.nan
    with pytest.raises(InputError, match="not finite"):
        load_linear(write_npz(tmp_path / "nan.npz", expression=holed))


def test_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    whole = write_npz(tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.mat").write_bytes(write_basel(tmp_path / "whole.mat").read_bytes()[:5000])
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "text.mat").write_text("hello")
    np.savez(tmp_path / "pickled.npz", template=np.array([{}], object))
    (tmp_path / "empty").mkdir()
    for name, what in (
        ("cut.npz", "whole npz"), ("text.npz", "whole npz"), ("pickled.npz", "pickled"),
        ("cut.mat", "whole MATLAB"), ("text.mat", "whole MATLAB"),
        ("absent.npz", "not there"), ("empty", "not there"), ("face.pkl", "not there"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=what) as error:
            load_linear(tmp_path / name)
        assert name in error.value.where
    for name in ("absent", "cut.npz", "empty", "whole.npz"):
        with pytest.raises(InputError) as error:
            load_ict(tmp_path / name)
        assert name in error.value.where


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[actions]\n12 = { e9 = 1.0 }", "action 12"),
        ("[actions]\n99 = { e0 = 1.0 }", "action 99"),
        ("eyes = [[1, 2]]", "eyes"),
        ("colour = 3", "colour"),
        ("landmarks = [1, 2]", "2 landmarks"),
        ("= 3", "cannot be read"),
    ],
)
def test_descriptions_that_make_no_sense_are_refused(text: str, named: str, tmp_path: Path) -> None:
    path = write_npz(tmp_path / "face.npz")
    path.with_suffix(".toml").write_text(text)
    with pytest.raises(InputError, match=named):
        load_linear(path)


def test_unknown_kinds_of_face_are_refused() -> None:
    for text in ("flame:x", "ict:", "linear"):
        with pytest.raises(InputError, match="is unknown"):
            load_face(text)


def test_landmarks_that_make_no_face_are_refused(tmp_path: Path) -> None:
    marks = arrays()["landmarks68"]
    for name, wrong in (("shuffled", np.random.default_rng(0).permutation(marks)), ("one", np.full(68, marks[8]))):
        with pytest.raises(InputError, match="do not make a face"):
            load_face(f"linear:{write_npz(tmp_path / f'{name}.npz', landmarks68=wrong)}")
    mirrored = {k: arrays()[k] * (-1, 1, 1) for k in ("template", "identity", "expression")}
    with pytest.raises(InputError, match="do not make a face"):
        load_face(f"linear:{write_npz(tmp_path / 'mirrored.npz', **mirrored)}")

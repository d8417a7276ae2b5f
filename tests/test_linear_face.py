"""The ICT face: people from a file that act the FACS map, with landmarks on their skin."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from snnface import cli
from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.faces import render
from snnface.faces.clip import ClipSpec, FaceClip
from snnface.faces.linear.face import LinearFace
from snnface.faces.linear.topology import DARK, EYE, TEETH
from snnface.faces.load import load_face
from snnface.faces.sheet import apex_time
from snnface.facs import AUS, EXPRESSIONS

SIZE = 64


@pytest.fixture(scope="module")
def path() -> Path:
    folder = os.environ.get("SNNFACE_DATA")
    file = Path(folder or ".") / "ict_facekit_light.npz"
    if not folder or not file.is_file():
        pytest.skip("set SNNFACE_DATA to a folder with ict_facekit_light.npz")
    return file


@pytest.fixture(scope="module")
def face(path: Path) -> LinearFace:
    loaded = load_face(f"ict:{path}")
    assert isinstance(loaded, LinearFace)
    return loaded


def clip(face: LinearFace, au: int = -1, who: int = 1, seed: int = 3) -> FaceClip:
    made = FaceClip(ClipSpec(who, au, -1, 1.2, SIZE, SIZE, seed), intensity=1.0, face=face)
    made.motion.stray.clear()
    return made


def shares(c: FaceClip, face: LinearFace, t: int) -> dict[int, int]:
    """Samples of the picture that each kind of surface owns at time ``t``."""
    c.luminance(t)
    owner = c._canvas.owner[:, : -render.LANES]
    kind = face.topology.kind[c.person.mesh.triangles[owner[owner >= 0], 0]]
    return dict(enumerate(np.bincount(kind, minlength=6).tolist()))


def moved(face: LinearFace, au: int, who: int = 1) -> np.ndarray:
    """``[68, 2]``: how the landmarks move, in widths between the eyes' outer corners, + is right and up."""
    c = clip(face, au, who)
    marks = c.labels(np.array([0, apex_time(c)]))["landmarks"]
    # The head sways a little: what the corners of the eyes do is taken off.
    corners = marks[:, [36, 39, 42, 45]].mean(1)
    motion = marks[1] - marks[0] - (corners[1] - corners[0])
    return motion / np.linalg.norm(marks[0, 36] - marks[0, 45]) * (1, -1)


def test_it_acts_all_actions_and_expressions(face: LinearFace) -> None:
    assert face.actions == AUS
    assert face.expressions == tuple(range(len(EXPRESSIONS)))
    assert face.name == "ict"
    assert len(face.sha256) == 64


def test_landmarks_are_the_models_own_and_on_the_surface(face: LinearFace) -> None:
    mesh, topology = face.person(0).mesh, face.topology
    assert np.array_equal(topology.source[mesh.landmarks], face.bases.landmarks)
    assert set(mesh.landmarks.tolist()) <= set(mesh.triangles.ravel().tolist())
    for who in range(3):
        c = clip(face, who=who)
        labels = c.labels(np.array([0]))
        assert np.array_equal(labels["landmarks"], c.labels(np.array([0]))["landmarks"])
        # Seen ones are not behind anything: the picture's nearest surface there is as near as the landmark.
        c.luminance(0)
        canvas = c._canvas
        at = np.rint((labels["landmarks"][0] + 0.5) * canvas.samples - 0.5).astype(int)
        inside = ((at > 1) & (at < SIZE * canvas.samples - 2)).all(1) & labels["visible"][0]
        around = [canvas.depth[y - 1 : y + 2, x - 1 : x + 2] for x, y in at[inside]]
        mine = canvas.screen[mesh.landmarks[inside], 2]
        away = [np.abs(1 / w[w > 0] - 1 / own).min() for w, own in zip(around, mine, strict=True)]
        assert np.quantile(away, 0.9) < 0.6  # cm
        assert inside.sum() > 40


def test_the_outline_follows_a_turned_head(face: LinearFace) -> None:
    """Seen from the side, no skin of the face reaches far beyond the jaw's points on the far side."""
    c = clip(face, 51)
    c.motion.rest_head[:] = 0
    marks = c.labels(np.array([0, apex_time(c)]))["landmarks"]
    p, screen = (np.empty((len(c.model.rest), 3), np.float32) for _ in range(2))
    pose = c.person.pose(c.state(apex_time(c)), c.scene)
    c.person.place(pose, 0, c._camera, p, screen)
    own = screen[c.person.mesh.landmarks] - 0.5
    # The head turns to its left: the far side is on the right of the picture.
    assert (marks[1, 10:17, 0] >= own[10:17, 0] - 1e-3).all()
    assert (marks[1, 11:16, 0] - own[11:16, 0]).max() > 0.5
    assert np.abs(marks[0, :17] - marks[0, 16::-1] * (-1, 1) - marks[0, 8] * (2, 0)).max() < 8


def test_actions_move_the_right_regions_the_right_way(face: LinearFace) -> None:
    up = {au: moved(face, au)[:, 1] for au in (1, 2, 4, 9, 10, 12, 15, 17, 26, 27)}
    inner, outer, corners = [21, 22], [17, 26], [48, 54]
    assert up[1][inner].mean() > 0.02
    assert up[1][inner].mean() > 2 * up[1][outer].mean()
    assert up[2][outer].mean() > 0.02
    assert up[2][outer].mean() > 2 * up[2][inner].mean()
    assert up[4][inner].mean() < -0.02
    assert up[12][corners].mean() > 0.03
    assert up[15][corners].mean() < -0.02
    assert up[9][[31, 35]].mean() > 0.01
    assert up[10][[50, 51, 52]].mean() > 0.02
    assert up[17][[56, 57, 58]].mean() > 0.01
    assert up[27][8] < 1.8 * up[26][8] < -0.05
    mouth = list(range(48, 68))
    for brow in (1, 2, 4):
        assert np.abs(up[brow][mouth]).max() < 0.03


def test_mouth_opens_in_order_and_rests_closed(face: LinearFace) -> None:
    opening = {}
    for au in (24, 25, 26, 27):
        c = clip(face, au)
        m = c.labels(np.array([0, apex_time(c)]))["landmarks"]
        gap = (m[:, [67, 66, 65], 1] - m[:, [61, 62, 63], 1]).mean(1) / np.linalg.norm(m[0, 36] - m[0, 45])
        assert abs(gap[0]) < 0.02
        opening[au] = gap[1]
    assert opening[24] < 0.03 < opening[25] < opening[26] < opening[27]


@pytest.mark.parametrize("who", range(4))
def test_lids_close_in_the_picture_and_teeth_stay_behind_lips(face: LinearFace, who: int) -> None:
    c = clip(face, 45, who)
    open_, shut = shares(c, face, 0), shares(c, face, apex_time(c))
    assert open_[EYE] > 20
    assert shut[EYE] < 0.12 * open_[EYE]
    assert open_[TEETH] < 4
    assert open_[DARK] < 0.004 * (SIZE * c._canvas.samples) ** 2


def test_a_blink_is_short_and_closed_eyes_last(face: LinearFace) -> None:
    times = np.arange(0, 1_200_000, 20_000)
    seconds = {}
    for au in (43, 45):
        marks = clip(face, au).labels(times)["landmarks"]
        opening = (marks[:, [41, 40, 47, 46], 1] - marks[:, [37, 38, 43, 44], 1]).mean(1)
        seconds[au] = (opening < 0.4 * opening[0]).sum() * 0.02
    assert 0.02 < seconds[45] < 0.35 < 0.45 < seconds[43]


def test_same_person_same_clip_and_another_looks_different(face: LinearFace, path: Path) -> None:
    one, other = clip(face, 12), clip(face, 12)
    assert np.array_equal(one.luminance(300_000), other.luminance(300_000))
    again = LinearFace(face.bases)
    assert np.array_equal(clip(again, 12).luminance(300_000), one.luminance(300_000))
    rest = [face.person(who).model.rest[face.person(who).mesh.landmarks] for who in (1, 2)]
    assert np.abs(rest[0] - rest[1]).max() > 0.2


def test_nothing_moves_far_between_two_samples(face: LinearFace) -> None:
    c = clip(face, 27)
    times = c.sampling_times(np.array([0, c.duration_us]))
    pose = c.person.pose(c.state(times), c.scene)
    p, screen = (np.empty((len(c.model.rest), 3), np.float32) for _ in range(2))
    before = None
    for i in range(len(times)):
        c.person.place(pose, i, c._camera, p, screen)
        xy = screen[c.person.mesh.outline, :2].copy()
        if before is not None:
            assert np.abs(xy - before).max() < 0.75 or times[i] - times[i - 1] <= 501
        before = xy


def test_synth_end_to_end(path: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "ict.h5"
    command = ["synth", str(out), "--clips=4", "--identities=3", "--seconds=0.5", "--size=32x32", "--workers=1"]
    with pytest.raises(SystemExit) as end:
        cli.main([*command, f"--face=ict:{path}", "--split=0.4,0.3,0.3", "--json"])
    assert end.value.code == 0
    answer = json.loads(capsys.readouterr().out)
    store = Store(out)
    assert (answer["clips"], len(store)) == (4, 4)
    assert answer["events"] > 50
    assert store.generator["name"] == "ict"
    assert set(store.generator["settings"]["face"]) == {"name", "sha256"}
    assert str(path) not in json.dumps(store.generator)
    split = {int(who): set(store.split[store.identity == who].tolist()) for who in np.unique(store.identity)}
    assert all(len(s) == 1 for s in split.values())
    held = store.clip(0)
    assert np.isfinite(held.landmarks).all()
    assert held.rgb is not None


def test_incomplete_releases_are_refused(path: Path, tmp_path: Path) -> None:
    with np.load(path) as file:
        fields = dict(file)
    names = fields["expression_names"].copy()
    names[names == "jawOpen"] = "jawShut"
    for changes, what in (
        ({"expression_names": names}, "jawOpen"),
        ({"neutral": fields["neutral"][:100]}, "identity_deltas"),
        ({"identity_deltas": fields["identity_deltas"][:5]}, "5 identity modes"),
    ):
        bad = tmp_path / "bad.npz"
        np.savez(bad, **fields | changes)
        with pytest.raises(InputError, match=what):
            load_face.__wrapped__(f"ict:{bad}")
    (tmp_path / "FaceXModel").mkdir()
    (tmp_path / "FaceXModel" / "vertex_indices.json").write_text(json.dumps({"expressions": ["jawOpen"]}))
    (tmp_path / "FaceXModel" / "generic_neutral_mesh.obj").write_text("v 1 2 3\nf 1 1 1\n")
    with pytest.raises(InputError, match="1 vertices"):
        load_face(f"ict:{tmp_path / 'FaceXModel'}")

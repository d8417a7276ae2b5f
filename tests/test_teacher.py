"""The RGB teacher: what it writes down, and students guided by it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import log, settings

from snnface import checkpoint
from snnface.datasets.store import Store, write_store
from snnface.errors import InputError
from snnface.faces import COEFFICIENT_NAMES
from snnface.training import trainer
from snnface.training.augment import Change
from snnface.training.clips import Clips
from snnface.training.teacher import _changed, _look, _mirror, _pictures, train_teacher
from snnface.training.teacher_file import load_predictions
from snnface.training.teacher_network import Teacher


@pytest.fixture(scope="module")
def teacher(tiny_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    return path, train_teacher(tiny_path, path, epochs=2)


def test_the_teacher_says_something_of_every_training_clip(teacher: tuple[Path, dict], tiny_path: Path) -> None:
    path, found = teacher
    assert 0 < found["coefficient_error"] < 3
    clips = Clips(tiny_path, "train")
    said = load_predictions(path, clips, Store(tiny_path).content_sha256())
    for side in (0, 1):
        for i, times in enumerate(clips.frame_t_us):
            assert said.landmarks[side][i].shape == (len(times), 68, 2)
            assert len(said.coefficients[side][i]) == len(times)
        assert len(said.au[side]) == len(said.expression[side]) == len(clips)
    assert not torch.equal(said.landmarks[0][0], said.landmarks[1][0])
    truth = torch.cat(clips.landmarks)
    error = (torch.cat(said.landmarks[0]) - truth).square().mean()
    assert error < (truth.mean(0) - truth).square().mean() * 2


def test_it_classifies_other_faces_among_the_classes_that_both_have(
    teacher: tuple[Path, dict], tiny_path: Path, tmp_path: Path
) -> None:
    found = train_teacher(tiny_path, tmp_path / "again.safetensors", epochs=2, also=[(tiny_path, "train")])
    (also,) = found.pop("also")
    assert found == teacher[1]
    clips = Clips(tiny_path, "train")
    said = load_predictions(teacher[0], clips, Store(tiny_path).content_sha256())
    for name in ("au", "expression"):
        logits, labels = torch.stack(list(getattr(said, name)[0])), getattr(clips, name)
        shown = labels >= 0
        classes = torch.unique(labels[shown])
        answers = classes[logits[shown][:, classes].argmax(1)]
        assert also[name]["clips"] == int(shown.sum())
        assert also[name]["top1"] == pytest.approx(float((answers == labels[shown]).float().mean()))
        assert len(also[name]["per_class"]) == also[name]["classes"] == len(classes)


def test_guided_training_uses_the_teacher(teacher: tuple[Path, dict], tiny_path: Path, tmp_path: Path) -> None:
    every = ("losses.teacher_landmarks=1.0", "training.epochs=1")
    recipe = settings(tiny_path, f"teacher={teacher[0]}", *every, name="guided")
    trainer.train(recipe, tmp_path / "run")
    terms = set(log(tmp_path / "run")[0]["loss"])
    assert terms >= {"coefficients", "teacher_landmarks", "soft_labels"}
    encoder, meta = checkpoint.load(tmp_path / "run" / "best.safetensors")
    assert "coefficients" in encoder.heads
    assert meta["data_sha256"] == Store(tiny_path).content_sha256()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["teacher_sha256"]


def test_a_teacher_of_other_data_is_refused(teacher: tuple[Path, dict], tiny_path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="was written for another data set"):
        load_predictions(teacher[0], Clips(tiny_path, "train"), "0" * 64)
    torn = tmp_path / "teacher.safetensors"
    torn.write_bytes(teacher[0].read_bytes()[:50])
    recipe = settings(tiny_path, f"teacher={torn}", name="guided")
    with pytest.raises(InputError, match="is no teacher file"):
        trainer.train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_teacher_shrinks_large_pictures(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_path.parent / "shrunk.safetensors"
    monkeypatch.setattr("snnface.training.teacher.PIXELS", 20)
    assert _pictures(Store(tiny_path), 0).shape[1:] == (3, 20, 20)
    train_teacher(tiny_path, path, epochs=1)
    clips = Clips(tiny_path, "train")
    said = torch.cat(load_predictions(path, clips, Store(tiny_path).content_sha256()).landmarks[0])
    middle = said.mean((0, 1))
    # Landmarks are in pixels of the events all the same: the middle of a 32-pixel picture, not of a 20-pixel one.
    assert (middle - 16).abs().max() < 5


def test_a_broken_picture_is_named(tiny_faces: Store, tmp_path: Path) -> None:
    clip = tiny_faces.clip(0)
    assert clip.rgb is not None
    broken = replace(clip, rgb=[*clip.rgb[:-1], clip.rgb[-1][:60]])
    write_store(tmp_path / "broken.h5", [broken], tiny_faces.width, tiny_faces.height, {})
    with pytest.raises(InputError, match="rgb of clip 0 cannot be decoded"):
        _pictures(Store(tmp_path / "broken.h5"), 0)


def test_a_clip_of_two_pictures_is_answered() -> None:
    teacher = Teacher(25, 32, 32).eval()
    pictures = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    frames, au, expression = _look(teacher, pictures)
    assert frames.shape == (2, 25 + 136)
    for answers in (frames, au, expression):
        assert torch.isfinite(answers).all()
    # Brightness and contrast of the pictures are not what is answered from.
    torch.testing.assert_close(_look(teacher, pictures * 0.5 + 40)[0], frames, rtol=1e-3, atol=1e-2)


def test_labels_of_a_flipped_picture_are_mirrored(tiny_path: Path) -> None:
    names = list(COEFFICIENT_NAMES)
    mirror = _mirror(Store(tiny_path), len(names))
    flip = Change(torch.tensor([True]), torch.eye(2)[None], torch.zeros(1, 2, dtype=torch.int64), 32, 32)
    truth = torch.rand(3, len(names) + 136, generator=torch.Generator().manual_seed(4))
    flipped = _changed(truth, flip, 0, mirror)
    assert torch.equal(flipped[:, names.index("au12_left")], truth[:, names.index("au12_right")])
    assert torch.equal(flipped[:, names.index("head_yaw")], -truth[:, names.index("head_yaw")])
    assert torch.equal(flipped[:, names.index("head_pitch")], truth[:, names.index("head_pitch")])
    torch.testing.assert_close(_changed(flipped, flip, 0, mirror), truth)
    assert _mirror(Store(tiny_path), len(names) + 1) is None

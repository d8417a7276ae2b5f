"""Changed training clips keep right labels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from snnface.training.augment import MIRRORED_AU, augment, draw
from snnface.training.clips import Clips
from snnface.training.recipe import Augment


def test_mirrored_clips_have_mirrored_labels(tiny_path: Path) -> None:
    assert torch.equal(MIRRORED_AU[MIRRORED_AU], torch.arange(24))
    clips = Clips(tiny_path, "train")
    chosen = list(range(len(clips)))
    plain, _ = clips.batch(chosen)
    always = Augment(flip=True, shift_pixels=2, scale=0.1, turn_degrees=10, drop_events=0.3)
    changed, targets = clips.batch(chosen, always, torch.Generator().manual_seed(1))
    again, change = augment(plain, always, torch.Generator().manual_seed(1))
    assert torch.equal(changed.x, again.x)
    assert 0 < change.flip.sum() < len(chosen)
    assert changed.size == plain.size
    assert 0.6 * len(plain.t) < len(changed.t) < len(plain.t)
    for name, limit in (("x", plain.width), ("y", plain.height)):
        values = getattr(changed, name)
        assert values.min() >= 0
        assert values.max() < limit
    for b in range(plain.size):
        before = clips.landmarks[b][0]
        first = int((targets.frame_clip < b).sum())
        middle = torch.tensor([plain.width - 1, plain.height - 1]) / 2
        now = (targets.landmarks[first] - change.shift[b] - middle) @ torch.linalg.inv(change.turn[b]).T + middle
        if change.flip[b]:
            # The subject's outer eye corners change places.
            assert now[36, 0] == pytest.approx(plain.width - 1 - float(before[45, 0]), abs=1e-3)
            assert now[36, 1] == pytest.approx(float(before[45, 1]), abs=1e-3)
        else:
            torch.testing.assert_close(now, before, atol=1e-3, rtol=1e-4)


def test_pictures_change_as_their_landmarks_do() -> None:
    change = draw(4, 96, 80, Augment(shift_pixels=6, scale=0.1, turn_degrees=20), torch.Generator().manual_seed(2))
    assert 0 < change.flip.sum() < 4
    y, x = torch.meshgrid(torch.arange(80.0), torch.arange(96.0), indexing="ij")
    # One dot, far from the border, where all points are.
    place = torch.tensor([58.0, 31.0])
    dot = torch.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 18)
    for clip in range(4):
        seen = change.pictures(dot.expand(1, 1, -1, -1), clip)[0, 0]
        found = torch.stack([(seen * x).sum(), (seen * y).sum()]) / seen.sum()
        wanted = change.moved(change.mirrored(place.expand(1, 68, 2), clip), clip)[0, 0]
        torch.testing.assert_close(found, wanted, atol=0.05, rtol=0)

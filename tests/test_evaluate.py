"""Measures of trained networks and how sure they are."""

from __future__ import annotations

import numpy as np
import torch

from snnface.training.clips import Clips
from snnface.training.evaluate import Answers, intervals


def test_intervals_draw_people_and_not_clips() -> None:
    right = torch.nn.functional.one_hot(torch.arange(8) % 24, 24).float()
    clips = object.__new__(Clips)
    clips.au, clips.expression = torch.arange(8), torch.full((8,), -1)
    clips.identity = clips.numbers = np.repeat([5, 9], 4)
    clips.landmarks = [40 * torch.rand(2, 68, 2, generator=torch.Generator().manual_seed(i)) for i in range(8)]
    answers = Answers(
        torch.cat([right[:4], right[:4].flip(1)]),  # the first person all right, the other all wrong
        torch.zeros(8, 7),
        torch.cat(clips.landmarks) + 1,
        torch.arange(8).repeat_interleave(2),
        torch.zeros(8, 0, dtype=torch.int64),
        [],
    )
    found = intervals(answers, clips, rounds=400)
    assert found["au_top1"] == (0.0, 1.0)
    assert "expression_acc" not in found
    assert 0 < found["nme"][0] <= found["nme"][1]

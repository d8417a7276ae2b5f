"""Changes of training events that leave the labels right: flip, shift, dropped events."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from snnface.batch import EventBatch
from snnface.facs import AU_INDEX, AU_MIRROR, AUS, LANDMARK_MIRROR_68
from snnface.training.recipe import Augment

#: Class index of an action unit → class index in the mirror.
MIRRORED_AU = torch.tensor([AU_INDEX[AU_MIRROR.get(au, au)] for au in AUS])
MIRRORED_LANDMARK = torch.tensor(LANDMARK_MIRROR_68)


@dataclass(frozen=True)
class Change:
    """What was done to each of the B clips: ``flip`` bool ``[B]``, ``shift`` int64 ``[B, 2]`` pixels (x, y)."""

    flip: Tensor
    shift: Tensor


def augment(batch: EventBatch, settings: Augment, generator: torch.Generator) -> tuple[EventBatch, Change]:
    """Flip and shift whole clips and drop events; events that leave the sensor are dropped."""
    clips, n = batch.size, settings.shift_pixels
    flip = (torch.rand(clips, generator=generator) < 0.5) & settings.flip
    shift = torch.randint(-n, n + 1, (clips, 2), generator=generator)
    keep_rate = 1 - settings.drop_events * torch.rand(clips, generator=generator)
    sample = batch.sample
    x = torch.where(flip[sample], batch.width - 1 - batch.x, batch.x) + shift[sample, 0]
    y = batch.y + shift[sample, 1]
    keep = (x >= 0) & (x < batch.width) & (y >= 0) & (y < batch.height)
    keep &= torch.rand(len(x), generator=generator) < keep_rate[sample]
    return batch.with_events(keep, x=x, y=y), Change(flip, shift)


def mirror_landmarks(landmarks: Tensor, width: int) -> Tensor:
    """Landmarks ``[F, 68, 2]`` (pixels) of the flipped picture."""
    mirrored = landmarks[:, MIRRORED_LANDMARK].clone()
    mirrored[..., 0] = width - 1 - mirrored[..., 0]
    return mirrored


def mirror_au(au: Tensor, flip: Tensor) -> Tensor:
    """Class indices ``[B]`` (−1 where unlabelled) after the flips."""
    return torch.where(flip & (au >= 0), MIRRORED_AU[au.clamp(min=0)], au)

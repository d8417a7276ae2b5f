"""Changes of training clips that leave the labels right: flip, turn, scale, shift, dropped events."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from snnface.batch import EventBatch
from snnface.facs import AU_INDEX, AU_MIRROR, AUS, LANDMARK_MIRROR_68
from snnface.training.recipe import Augment

#: Class index of an action unit → class index in the mirror.
MIRRORED_AU = torch.tensor([AU_INDEX[AU_MIRROR.get(au, au)] for au in AUS])
MIRRORED_LANDMARK = torch.tensor(LANDMARK_MIRROR_68)


@dataclass(frozen=True)
class Change:
    """What was done to each of the B clips: ``flip`` bool ``[B]``; then, around the picture's centre, ``turn``
    ``[B, 2, 2]`` (rotation and scale of (x, y)) and ``shift`` ``[B, 2]`` pixels."""

    flip: Tensor
    turn: Tensor
    shift: Tensor
    width: int
    height: int

    def mirrored(self, landmarks: Tensor, clip: int) -> Tensor:
        """Landmarks ``[F, 68, 2]`` (pixels) of clip number ``clip`` after the flip."""
        if not self.flip[clip]:
            return landmarks
        landmarks = landmarks[:, MIRRORED_LANDMARK].clone()
        landmarks[..., 0] = self.width - 1 - landmarks[..., 0]
        return landmarks

    def moved(self, landmarks: Tensor, clip: int) -> Tensor:
        """Landmarks of the flipped picture after turn, scale and shift."""
        centre = torch.tensor([self.width - 1, self.height - 1]) / 2
        return (landmarks - centre) @ self.turn[clip].T + centre + self.shift[clip]

    def pictures(self, pictures: Tensor, clip: int) -> Tensor:
        """Pictures ``[F, C, H, W]`` (float, of any size) of clip number ``clip``, changed as its landmarks are."""
        half = torch.tensor([self.width, self.height]) / 2
        # From a place in the changed picture back to the recorded one, in units of half a picture.
        back = torch.linalg.inv(self.turn[clip]) * half / half[:, None]
        theta = torch.cat([back, -(back @ (self.shift[clip] / half))[:, None]], 1)
        if self.flip[clip]:
            theta[0] = -theta[0]
        # All pictures of a clip change alike: channels of one picture, for which places are worked out once.
        whole = pictures.flatten(0, 1)[None]
        grid = F.affine_grid(theta[None], list(whole.shape), align_corners=False)
        return F.grid_sample(whole, grid, padding_mode="border", align_corners=False).view_as(pictures)


def draw(clips: int, width: int, height: int, settings: Augment, generator: torch.Generator) -> Change:
    """Flip, turn, scale and shift of some clips of a sensor of ``width`` × ``height`` pixels."""
    flip = (torch.rand(clips, generator=generator) < 0.5) & settings.flip
    n = settings.shift_pixels
    shift = torch.randint(-n, n + 1, (clips, 2), generator=generator)
    scale, turn = (
        limit * (2 * torch.rand(clips, generator=generator) - 1) for limit in (settings.scale, settings.turn_degrees)
    )
    angle = torch.deg2rad(turn)
    cos, sin = (1 + scale) * angle.cos(), (1 + scale) * angle.sin()
    return Change(flip, torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2), shift, width, height)


def augment(batch: EventBatch, settings: Augment, generator: torch.Generator) -> tuple[EventBatch, Change]:
    """Flip, turn, scale and shift whole clips and drop events; events that leave the sensor are dropped."""
    change = draw(batch.size, batch.width, batch.height, settings, generator)
    keep_rate = 1 - settings.drop_events * torch.rand(batch.size, generator=generator)
    sample = batch.sample

    def of_events(values: Tensor) -> Tensor:
        """A number of each clip ``[B]`` as one of each of its events ``[E]``."""
        return values.index_select(0, sample)

    middle_x, middle_y = (batch.width - 1) / 2, (batch.height - 1) / 2
    dx = torch.where(of_events(change.flip), batch.width - 1 - batch.x, batch.x) - middle_x
    dy = batch.y - middle_y
    x, y = (
        (of_events(row[:, 0]) * dx + of_events(row[:, 1]) * dy + middle).round().to(batch.x.dtype) + of_events(shift)
        for row, shift, middle in zip(
            change.turn.unbind(1), change.shift.unbind(1), (middle_x, middle_y), strict=True
        )
    )
    keep = (x >= 0) & (x < batch.width) & (y >= 0) & (y < batch.height)
    keep &= torch.rand(len(x), generator=generator) < of_events(keep_rate)
    return batch.with_events(keep, x=x, y=y), change


def mirror_au(au: Tensor, flip: Tensor) -> Tensor:
    """Class indices ``[B]`` (−1 where unlabelled) after the flips."""
    return torch.where(flip & (au >= 0), MIRRORED_AU[au.clamp(min=0)], au)

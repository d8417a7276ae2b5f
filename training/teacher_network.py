"""The teacher's network: pictures beside the clip's first one in, face coefficients, landmarks and classes out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snnface.facs import AUS, EXPRESSIONS

#: Channels and kernel of each convolution; all have stride 2.
WIDTHS = ((16, 5), (32, 3), (64, 3), (128, 3))
#: Least variance of a picture (0-1) that is still contrast and not noise.
LEAST_VARIANCE = 4e-4


class Teacher(nn.Module):
    """A CNN a frame, and a GRU over frames for the classes of a clip."""

    scale: Tensor
    offset: Tensor

    def __init__(self, coefficients: int, height: int, width: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(coefficients + 136))
        self.register_buffer("offset", torch.zeros(coefficients + 136))
        stages: list[nn.Module] = []
        channels = 6
        for out, kernel in WIDTHS:
            stages += [nn.Conv2d(channels, out, kernel, 2, kernel // 2, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels, height, width = out, (height + 1) // 2, (width + 1) // 2
        self.conv = nn.Sequential(*stages, nn.Flatten(), nn.Linear(channels * height * width, 256), nn.ReLU())
        self.frame = nn.Linear(256, coefficients + 136)
        self.time = nn.GRU(256 + coefficients + 136, 128)
        self.classes = nn.Linear(128, len(AUS) + len(EXPRESSIONS))

    def frames(self, pictures: Tensor, first: Tensor, clip: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``[F, 256]`` and standardised answers ``[F, K + 136]`` of pictures ``[F, 3, H, W]`` (0-255).

        ``first``: the first picture of each clip ``[B, 3, H, W]``; ``clip``: whose each picture is, int64 ``[F]``.
        """
        x, rest = _normalised(pictures), _normalised(first)
        pair = torch.cat([x, 2 * (x - rest[clip])], 1).contiguous(memory_format=torch.channels_last)
        features = self.conv(pair)
        return features, self.frame(features)

    def clips(self, features: Tensor, answers: Tensor, counts: list[int]) -> tuple[Tensor, Tensor]:
        """Class logits ``[B, 24]``, ``[B, 7]`` of clips whose frames are concatenated, ``counts`` frames each."""
        sequence = torch.cat([features, answers], 1).split(counts)
        hidden = self.time(nn.utils.rnn.pad_sequence(list(sequence)))[0]
        logits = self.classes(hidden)
        inside = torch.arange(len(logits))[:, None] < torch.tensor(counts)[None]
        mean = (logits * inside[..., None]).sum(0) / inside.sum(0)[:, None]
        au, expression = mean.split([len(AUS), len(EXPRESSIONS)], dim=1)
        return au, expression


def _normalised(pictures: Tensor) -> Tensor:
    """``[F, 3, H, W]`` (0-255) without overall brightness and contrast."""
    return F.layer_norm(pictures.float() / 255, pictures.shape[1:], eps=LEAST_VARIANCE)

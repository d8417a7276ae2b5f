"""The CNNs that the spiking encoder replaces, on 33 ms event frames."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from snnface.batch import EventBatch
from snnface.encoder import EncoderConfig
from snnface.heads import decode
from snnface.input import input_spikes
from snnface.network import Head

#: 30 event frames a second, the frame clock of the RGB camera.
FRAME_US = 33_333


def event_frames(batch: EventBatch, frame_us: int = FRAME_US) -> Tensor:
    """Event counts by polarity ``[T, B, 2, H, W]``, square-rooted against bursts."""
    cells = input_spikes(batch, frame_us, float("inf"), "exact")
    return replace(cells, value=cells.value.sqrt()).dense()


def _heads(config: EncoderConfig) -> tuple[dict[str, Head], int]:
    heads, rows = {}, 0
    for name, h in config.heads.items():
        heads[name] = Head(rows, rows + h.size, torch.tensor(h.scale).numpy(), torch.tensor(h.offset).numpy())
        rows += h.size
    return heads, rows


class MatchedCnn(nn.Module):
    """The encoder's own conv widths with batch normalisation and ReLU, its dense width, then an LSTM.

    Called like the encoder: a batch of events in, name → ``[T, B, size]`` out (T frames of ``step_us``).
    """

    step_us = FRAME_US

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.heads, rows = _heads(config)
        stages: list[nn.Module] = []
        channels, height, width = 2, config.height, config.width
        for conv in config.conv:
            padding = conv.kernel // 2
            stages += [
                nn.Conv2d(channels, conv.channels, conv.kernel, conv.stride, padding, bias=False),
                nn.BatchNorm2d(conv.channels),
                nn.ReLU(),
            ]
            channels = conv.channels
            height, width = ((n + 2 * padding - conv.kernel) // conv.stride + 1 for n in (height, width))
        features = config.dense[0].features if config.dense else 128
        self.conv = nn.Sequential(*stages)
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, features), nn.ReLU())
        self.lstm = nn.LSTM(features, features)
        self.readout = nn.Linear(features, rows)

    def forward(self, batch: EventBatch) -> tuple[dict[str, Tensor], None]:
        """Answers of every frame; there are no spikes."""
        frames = event_frames(batch)
        features = self.dense(self.conv(frames.flatten(0, 1))).unflatten(0, frames.shape[:2])
        return decode(self.readout(self.lstm(features)[0]), self.heads), None


class _Block(nn.Module):
    """The basic residual block of ResNet18 (He et al. 2016)."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.skip = (
            nn.Identity()
            if stride == 1 and channels_in == channels
            else nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.skip(x))


class ResNet18Lstm(nn.Module):
    """ResNet18 on event frames and an LSTM over time: the published baseline of FACEMORPHIC."""

    step_us = FRAME_US

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads, rows = _heads(config)
        stages: list[nn.Module] = [
            nn.Conv2d(2, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        ]
        channels = 64
        for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            stages += [_Block(channels, width, stride), _Block(width, width, 1)]
            channels = width
        self.conv = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.lstm = nn.LSTM(512, 512)
        self.readout = nn.Linear(512, rows)

    def forward(self, batch: EventBatch) -> tuple[dict[str, Tensor], None]:
        """Answers of every frame; there are no spikes."""
        frames = event_frames(batch)
        features = self.conv(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        return decode(self.readout(self.lstm(features)[0]), self.heads), None

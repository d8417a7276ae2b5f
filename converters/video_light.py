"""Coded pictures to the light that a pixel of the event sensor sees, and how much of it changes at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from snnface.converters.preset import SensorPreset
from snnface.converters.simulator import DARK

#: Luminance of linear red, green and blue (ITU-R BT.709-6, item 3.2; sRGB has the same primaries).
LUMA = (0.2126, 0.7152, 0.0722)
#: A pixel that changes by more thresholds than this from one picture to the next jumps.
JUMP = 3.0


def linear(code: np.ndarray) -> np.ndarray:
    """sRGB values 0-1 as linear light 0-1 (IEC 61966-2-1)."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


class Light:
    """Pictures of ``width`` x ``height`` pixels as a sensor of ``size`` (width, height) sees them.

    The largest centred box of the sensor's aspect is kept. A pixel of the sensor sees the mean light on its area,
    averaged after decoding, so that light is neither lost nor made.
    """

    def __init__(self, width: int, height: int, size: tuple[int, int]) -> None:
        self.size = size
        box_width = min(width, height * size[0] / size[1])
        box_height = min(height, width * size[1] / size[0])
        self._same = size == (width, height)
        self._columns = _areas(width, (width - box_width) / 2, box_width, size[0])
        self._rows = _areas(height, (height - box_height) / 2, box_height, size[1])
        curve = linear(np.arange(256) / 255)
        self._tables = [(weight * curve).astype(np.float32) for weight in LUMA]

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """sRGB uint8 ``[H, W, 3]`` → luminance float32 ``[h, w]``, 0-1."""
        light = self._tables[0][rgb[..., 0]]
        for channel in (1, 2):
            light += self._tables[channel][rgb[..., channel]]
        if self._same:
            return light
        return np.ascontiguousarray((self._columns @ (self._rows @ light).T).T)


def _areas(pixels: int, start: float, length: float, target: int) -> csr_array:
    """float32 ``[target, pixels]``: the share of each pixel in the mean over each of ``target`` equal intervals of
    [start, start + length)."""
    edges = start + length * np.arange(target + 1) / target
    begin, end = edges[:-1, None], edges[1:, None]
    pixel = np.arange(pixels)
    overlap = (np.minimum(end, pixel + 1) - np.maximum(begin, pixel)).clip(0)
    return csr_array((overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32))


@dataclass
class Changes:
    """How far neighbouring pictures are apart, in thresholds of a sensor.

    ``largest``: the largest change of a pixel, in thresholds; ``jumping``: the largest share of the pixels that
    change by more than :data:`JUMP` thresholds at once, and between which times (µs) that was.
    """

    largest: float = 0.0
    jumping: float = 0.0
    from_us: int = 0
    to_us: int = 0

    def add(self, before: np.ndarray, after: np.ndarray, times: tuple[int, int], sensor: SensorPreset) -> None:
        """Compare two pictures of luminance ``[H, W]`` taken at ``times`` (µs)."""
        threshold = min(sensor.threshold_on, sensor.threshold_off)
        change = np.abs(np.log((after + np.float32(DARK)) / (before + np.float32(DARK)))) / threshold
        jumping = float(np.mean(change > JUMP))
        self.largest = max(self.largest, float(change.max()))
        if jumping > self.jumping:
            self.jumping, (self.from_us, self.to_us) = jumping, times

    def warning(self) -> str | None:
        """What the film cannot show, in words; None where nearly nothing jumps."""
        if self.jumping < 0.001:
            return None
        return (
            f"warning: {self.jumping:.1%} of the pixels change by more than {JUMP:g} thresholds between "
            f"{self.from_us / 1e6:.3f} and {self.to_us / 1e6:.3f} s (the largest change of a pixel is "
            f"{self.largest:.1f}); what happened between the pictures is drawn as a straight line. "
            "Film with more pictures a second, or try --slow 8"
        )

"""Events of a large sensor as a smaller one would have seen them, event by event.

**Pixels.** With the fit ``crop`` the largest centred box of the target's aspect is kept: sensor column x of a box
[x0, x0 + cw) falls on target column (x − x0)·w // cw, rows alike; events outside are dropped. With ``letterbox``
the whole picture is kept and centred, the rest of the target stays empty. A target larger than the box leaves
gaps, because one event never becomes several.

**Events.** A pixel of the target sees the mean log light of the n sensor pixels under it. Each of their events
moves that mean by ±C/n (C the contrast threshold), so the target pixel fires when the signed sum of their events
reaches n (rule ``mean``): opposite events cancel, lone noise dies out, and the rate is that of a small sensor.
With n = 1 every event passes. The sums are kept from call to call. The rule ``all`` passes every event, which is
no sensor's view but the heaviest load.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numba import njit

from snnface.events import EVENT_DTYPE

Fit = Literal["crop", "letterbox"]
Rule = Literal["mean", "all"]


class Downscale:
    """From a sensor of ``width`` x ``height`` pixels to a target of ``to_width`` x ``to_height``."""

    def __init__(
        self, width: int, height: int, to_width: int, to_height: int, fit: Fit = "crop", rule: Rule = "mean"
    ) -> None:
        wide = width * to_height >= height * to_width  # the sensor is at least as wide as the target's aspect
        box, inner = [width, height], [to_width, to_height]
        if fit == "crop":
            box[not wide] = max(1, [height * to_width // to_height, width * to_height // to_width][not wide])
        else:
            inner[wide] = max(1, [to_width * height // width, to_height * width // height][not wide])
        self._axes = [_Axis(*a) for a in zip((width, height), box, (to_width, to_height), inner, strict=True)]
        pixels = np.outer(self._axes[1].pixels, self._axes[0].pixels)
        self._needed = pixels if rule == "mean" else np.ones_like(pixels)
        self.sums = np.zeros_like(pixels)

    def __call__(self, events: np.ndarray) -> np.ndarray:
        """Structured events ``[e]`` of the sensor, in order of time → those of the target, ``[≤ e]``."""
        out = np.empty(len(events), EVENT_DTYPE)
        t, x, y, p = (np.ascontiguousarray(events[name]) for name in "txyp")
        count = _fire(t, x, y, p, self._axes[0].table, self._axes[1].table, self._needed, self.sums, out)
        return out[:count]

    def to_sensor(self, points: np.ndarray) -> np.ndarray:
        """Points ``[..., 2]`` (x, y) in target pixels → sensor pixels; pixel centres have whole coordinates."""
        x, y = (axis.to_sensor(points[..., i]) for i, axis in enumerate(self._axes))
        return np.stack([x, y], axis=-1)


class _Axis:
    """One axis: sensor pixels [start, start + box) fall on target pixels [offset, offset + inner)."""

    def __init__(self, size: int, box: int, target: int, inner: int) -> None:
        self.start, self.offset, self.scale = (size - box) // 2, (target - inner) // 2, box / inner
        position = np.arange(size) - self.start
        inside = (position >= 0) & (position < box)
        self.table = np.where(inside, self.offset + position * inner // box, -1)
        self.pixels = np.bincount(self.table[inside], minlength=target)

    def to_sensor(self, x: np.ndarray) -> np.ndarray:
        return self.start + (x - self.offset + 0.5) * self.scale - 0.5


@njit(cache=True)
def _fire(t, x, y, p, columns, rows, needed, sums, out):  # type: ignore[no-untyped-def]
    """Add events to the sums and write those that fire to ``out``; returns their number."""
    count = 0
    for i in range(len(t)):
        column, row = columns[x[i]], rows[y[i]]
        if column < 0 or row < 0:
            continue
        change = 1 if p[i] else -1
        total = sums[row, column] + change
        if total * change >= needed[row, column]:
            total -= change * needed[row, column]
            out[count].t, out[count].x, out[count].y, out[count].p = t[i], column, row, p[i]
            count += 1
        sums[row, column] = total
    return count

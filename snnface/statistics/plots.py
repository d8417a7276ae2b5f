"""Curves on linear and logarithmic axes as inline SVG, and pictures of how events lie on the sensor."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

from snnface.report.html import escape, si
from snnface.report.pictures import OFF, ON, data_uri
from snnface.statistics.catalogue import Curve

_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 10, 38
#: A picture of the sensor is at most so many pixels wide.
_WIDEST = 420


class _Axis:
    """One axis from ``low`` to ``high``, placed between two positions of the picture."""

    def __init__(self, values: np.ndarray, log: bool, start: float, end: float) -> None:
        self.log, self.start, self.end = log, start, end
        if log:
            low, high = math.floor(math.log10(values.min())), math.ceil(math.log10(values.max()))
            self.low, self.high = float(low), float(max(high, low + 1))
        else:
            self.low, self.high = 0.0, float(values.max()) * 1.04 or 1.0

    def place(self, values: np.ndarray) -> np.ndarray:
        found = np.log10(values) if self.log else values
        return self.start + (self.end - self.start) * (found - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        if self.log:
            step = max(1, math.ceil((self.high - self.low) / 6))
            return [10.0**d for d in range(round(self.low), round(self.high) + 1, step)]
        raw = self.high / 4
        unit = 10 ** math.floor(math.log10(raw))
        step = next(m * unit for m in (1, 2, 2.5, 5, 10) if m * unit >= raw * 0.999)
        return [k * step for k in range(int(self.high / step) + 1)]


def curve_plot(drawn: Curve, shown: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], kind: str,
               title: str) -> str:  # fmt: skip
    """``shown`` (x, y) as a line of colour class ``kind``, ``other`` as a faint one, on axes that hold both."""
    lines = [_seen(drawn, *xy) for xy in (shown, other)]
    if not any(len(x) for x, _ in lines):
        return '<p class="note">Not measured: too short, or nowhere quiet.</p>'
    width, height = 480, 250
    x = _Axis(np.concatenate([x for x, _ in lines]), drawn.log_x, _LEFT, width - _RIGHT)
    y = _Axis(np.concatenate([y for _, y in lines]), drawn.log_y, height - _BOTTOM, _TOP)
    body = []
    for value, place in zip(x.ticks(), x.place(np.array(x.ticks())), strict=True):
        body.append(f'<line class="rule" x1="{place:.1f}" x2="{place:.1f}" y1="{_TOP}" y2="{height - _BOTTOM}"/>')
        body.append(f'<text class="tick mid" x="{place:.1f}" y="{height - _BOTTOM + 14}">{_tick(value)}</text>')
    for value, place in zip(y.ticks(), y.place(np.array(y.ticks())), strict=True):
        body.append(f'<line class="rule" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>')
        body.append(f'<text class="tick end" x="{_LEFT - 6}" y="{place + 4:.1f}">{_tick(value)}</text>')
    for (px, py), style in zip(reversed(lines), ("faint", f"line {kind}"), strict=True):
        if len(px):
            places = list(zip(x.place(px), y.place(py), strict=True))
            points = " ".join(f"{u:.1f},{v:.1f}" for u, v in places)
            body.append(f'<polyline class="{style}" points="{points}"/>')
            if len(places) == 1:  # a line of one point is invisible
                body.append(f'<circle class="{style}" cx="{places[0][0]:.1f}" cy="{places[0][1]:.1f}" r="3"/>')
    middle = (_LEFT + width - _RIGHT) / 2
    body.append(f'<text class="tick mid" x="{middle:.0f}" y="{height - 5}">{escape(drawn.x)}</text>')
    return (
        f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f'<title>{escape(title)}</title>{"".join(body)}</svg>'
    )  # fmt: skip


def _seen(drawn: Curve, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the axes can show."""
    good = np.isfinite(x) & np.isfinite(y)
    if drawn.log_x:
        good &= np.nan_to_num(x) > 0
    if drawn.log_y:
        good &= np.nan_to_num(y) > 0
    return x[good], y[good]


def _tick(value: float) -> str:
    if value == 0:
        return "0"
    if value >= 1000:
        return si(value, "", 2).replace(".0", "")
    return f"{value:g}" if value >= 1e-3 else f"10<tspan dy='-4' font-size='8'>{round(math.log10(value))}</tspan>"


def density_picture(counts: np.ndarray, width: int, height: int) -> str:
    """Address of a picture of the sensor: a pixel (or a block) has the colour of the polarity that it saw more often.

    ``counts`` int64 ``[2, H · W]`` (OFF, ON). Opacity grows with the logarithm of the number of events, up to that of
    one pixel in a thousand.
    """
    block = -(-width // _WIDEST)
    off, on = (_blocks(c.reshape(height, width), block) for c in counts)
    level = np.log1p(on + off)
    full = max(float(np.quantile(level, 0.999)), math.log(2))
    opacity = np.where(on + off > 0, 40 + 215 * np.minimum(level / full, 1), 0)
    picture = np.where((on >= off)[..., None], np.array(ON), np.array(OFF))
    rgba = np.concatenate([picture, opacity[..., None]], -1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rgba, "RGBA").quantize(64).save(buffer, "PNG", optimize=True)
    return data_uri(buffer.getvalue())


def _blocks(counts: np.ndarray, size: int) -> np.ndarray:
    height, width = counts.shape
    padded = np.pad(counts, ((0, -height % size), (0, -width % size)))
    return padded.reshape(padded.shape[0] // size, size, -1, size).sum((1, 3))

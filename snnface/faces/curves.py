"""Smooth curves that shapes, fields and paint are made of."""

from __future__ import annotations

import numpy as np


def gauss(x: np.ndarray, y: np.ndarray, at: tuple[float, float], sigma: tuple[float, float]) -> np.ndarray:
    """``exp(-½ ((x-x₀)/σx)² - ½ ((y-y₀)/σy)²)``, as a product so that an open grid takes few exponentials."""
    return np.exp(-0.5 * ((x - at[0]) / sigma[0]) ** 2) * np.exp(-0.5 * ((y - at[1]) / sigma[1]) ** 2)


def smoothstep(x: np.ndarray | float, a: float, b: float) -> np.ndarray:
    """0 below ``a``, 1 above ``b``, a smooth cubic between."""
    t = np.clip((np.asarray(x) - a) / (b - a), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def pchip(table: np.ndarray, at: np.ndarray) -> list[np.ndarray]:
    """Curves through the rows of ``table`` [N, 1 + C] (increasing place, then C values) at the places ``at``.

    Piecewise cubics that overshoot nowhere (PCHIP; Fritsch and Butland 1984); they go on as they end.
    """
    x, y = table[:, 0], table[:, 1:]
    h = np.diff(x)[:, None]
    d = np.diff(y, axis=0) / h
    slope = np.zeros_like(y)
    rising = d[:-1] * d[1:] > 0
    near, far = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    np.divide((near + far) * d[:-1] * d[1:], near * d[1:] + far * d[:-1], out=slope[1:-1], where=rising)
    for end, inward in ((0, 1), (-1, -2)):
        three_points = ((2 * h[end] + h[inward]) * d[end] - h[end] * d[inward]) / (h[end] + h[inward])
        limit = np.where(d[end] * d[inward] < 0, 3 * np.abs(d[end]), np.inf)
        slope[end] = np.where(three_points * d[end] > 0, np.clip(three_points, -limit, limit), 0.0)
    at = np.clip(at, x[0], x[-1])
    k = np.clip(np.searchsorted(x, at, "right") - 1, 0, len(h) - 1)
    step, t = h[k], ((at - x[k]) / h[k, 0])[..., None]
    rise = t * t * (3 - 2 * t)
    tangents = t * (1 - t) ** 2 * slope[k] - t * t * (1 - t) * slope[k + 1]
    return list(np.moveaxis(y[k] + rise * (y[k + 1] - y[k]) + step * tangents, -1, 0))

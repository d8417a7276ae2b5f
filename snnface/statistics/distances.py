"""Distances between two measured things: 0 for equal ones, symmetric, None where one of them was not measured.

Units: a *decade* is a factor of ten (0.3 decades: a factor of two).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance


def decades(a: float | None, b: float | None) -> float | None:
    """|log10(a / b)| of two numbers > 0; None where one is missing or not above 0."""
    if a is None or b is None or a <= 0 or b <= 0:
        return None
    return abs(math.log10(a) - math.log10(b))


def mean_decades(a: np.ndarray, b: np.ndarray) -> float | None:
    """Mean of |log10(a / b)| over the places of two curves ``[N]`` where both are above 0 (NaN: not measured)."""
    with np.errstate(invalid="ignore"):
        both = (a > 0) & (b > 0)
    return float(np.abs(np.log10(a[both]) - np.log10(b[both])).mean()) if both.any() else None


def wasserstein(places: np.ndarray, a: np.ndarray, b: np.ndarray) -> float | None:
    """Wasserstein-1 (earth mover's) distance of two histograms ``[N]`` over ``places`` ``[N]``, in their unit.

    The mean way that mass has to be moved to make one of the other (Rubner, Tomasi and Guibas 2000; Villani 2009).
    """
    if a.sum() <= 0 or b.sum() <= 0:
        return None
    return float(wasserstein_distance(places, places, a, b))


def wasserstein_of(a: np.ndarray, b: np.ndarray) -> float | None:
    """The same of two samples ``[N]`` and ``[M]``."""
    return float(wasserstein_distance(a, b)) if len(a) and len(b) else None


def jensen_shannon(a: np.ndarray, b: np.ndarray) -> float | None:
    """Jensen-Shannon distance of two histograms ``[N]``: the root of the divergence in bits, 0 to 1.

    The divergence is Lin's (1991); its root is a metric (Endres and Schindelin 2003).
    """
    if a.sum() <= 0 or b.sum() <= 0:
        return None
    with np.errstate(invalid="ignore"):
        distance = float(jensenshannon(a, b, base=2))
    return 0.0 if math.isnan(distance) else distance  # rounding can take a zero divergence below zero


def between_curves(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Twice the area between two Lorenz curves ``[N]`` over ``x`` from 0 to 1: at most 1."""
    return float(2 * np.trapezoid(np.abs(a - b), x))

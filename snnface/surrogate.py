"""Surrogate derivatives of the spike: what stands in for dH(v − θ)/dv in the backward pass.

Each is even in d = v − θ and equals 1 at d = 0 for slope 1, so that exchanging one for another keeps the scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


def fast_sigmoid(d: Tensor, slope: float) -> Tensor:
    """1 / (1 + slope·|d|)² (Zenke & Ganguli 2018, SuperSpike)."""
    return (d.abs() * slope + 1.0).square_().reciprocal_()


def atan(d: Tensor, slope: float) -> Tensor:
    """1 / (1 + (π/2·slope·d)²) (Fang et al. 2021)."""
    return (d * (math.pi / 2 * slope)).square_().add_(1.0).reciprocal_()


def triangle(d: Tensor, slope: float) -> Tensor:
    """max(0, 1 − slope·|d|) (Bellec et al. 2018): compact support, zero for |d| ≥ 1/slope."""
    return (1.0 - d.abs() * slope).clamp_(min=0.0)


SURROGATES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "fast_sigmoid": fast_sigmoid,
    "atan": atan,
    "triangle": triangle,
}


@dataclass(frozen=True)
class Surrogate:
    """A surrogate by name with its slope (1/threshold units)."""

    name: str = "fast_sigmoid"
    slope: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in SURROGATES:
            raise ValueError(f"surrogate {self.name!r} is unknown; use one of {', '.join(SURROGATES)}")

    def __call__(self, d: Tensor) -> Tensor:
        """Derivative at d = v − θ, same shape."""
        return SURROGATES[self.name](d, self.slope)

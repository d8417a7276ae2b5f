"""Surrogate derivatives of the spike: what stands in for dH(v − θ)/dv in the backward pass.

Each is even in d = v − θ and equals 1 at d = 0 for every slope, so that exchanging one for another keeps the scale.
Each comes with its smooth primitive S, S′ = derivative and S(0) = 1/2: with S in the spike's place the gradients are
those of a smooth function, which finite differences can check. As the derivative is 1 at the threshold whatever the
slope k, S does not run from 0 to 1: it rises by 2/k (fast sigmoid, atan) or 1/k (triangle).

A derivative with compact support is zero away from the threshold. No gradient passes a neuron there (unless through
its reset), so that skipping these neurons, as sparse spiking gradient descent does (Perez-Nieves & Goodman 2021), is
no approximation: the sparse evaluation and the dense one are the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


def fast_sigmoid(d: Tensor, slope: float) -> Tensor:
    """1 / (1 + slope·|d|)² (Zenke & Ganguli 2018, SuperSpike)."""
    return d.abs().mul_(slope).add_(1.0).square_().reciprocal_()


def fast_sigmoid_primitive(d: Tensor, slope: float) -> Tensor:
    """1/2 + d / (1 + slope·|d|)."""
    return 0.5 + d / (1.0 + slope * d.abs())


def atan(d: Tensor, slope: float) -> Tensor:
    """1 / (1 + (π/2·slope·d)²) (Fang et al. 2021)."""
    return (d * (math.pi / 2 * slope)).square_().add_(1.0).reciprocal_()


def atan_primitive(d: Tensor, slope: float) -> Tensor:
    """1/2 + atan(π/2·slope·d) / (π/2·slope)."""
    scale = math.pi / 2 * slope
    return 0.5 + (scale * d).atan() / scale


def triangle(d: Tensor, slope: float) -> Tensor:
    """max(0, 1 − slope·|d|) (Bellec et al. 2018): zero for |d| ≥ 1/slope."""
    return d.abs().mul_(-slope).add_(1.0).clamp_(min=0.0)


def triangle_primitive(d: Tensor, slope: float) -> Tensor:
    """1/2 + d·(1 − slope·|d|/2), constant for |d| ≥ 1/slope."""
    inside = d.clamp(-1.0 / slope, 1.0 / slope)
    return 0.5 + inside * (1.0 - slope / 2 * inside.abs())


class Shape(NamedTuple):
    """Derivative and primitive of d and slope; ``support``: the derivative is zero for |d| ≥ support/slope."""

    derivative: Callable[[Tensor, float], Tensor]
    primitive: Callable[[Tensor, float], Tensor]
    support: float


SURROGATES: dict[str, Shape] = {
    "fast_sigmoid": Shape(fast_sigmoid, fast_sigmoid_primitive, math.inf),
    "atan": Shape(atan, atan_primitive, math.inf),
    "triangle": Shape(triangle, triangle_primitive, 1.0),
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
        return SURROGATES[self.name].derivative(d, self.slope)

    def primitive(self, d: Tensor) -> Tensor:
        """The smooth function whose derivative this is, 1/2 at d = 0, same shape."""
        return SURROGATES[self.name].primitive(d, self.slope)

    @property
    def support(self) -> float:
        """Distance from the threshold from which on the derivative is zero; infinite where it never is."""
        return SURROGATES[self.name].support / self.slope

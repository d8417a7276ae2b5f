"""The grid on which a network's weights stand: bits, the chip's units in one level, the scale of each layer.

A weight of b bits is a whole number of levels, at most 2^(b−1) − 1 of either sign, and a level is a step of 2^k units
of the chip's signed 8-bit field with 2 ≤ 2^k ≤ 2^(9−b): 8 bits are even weights up to ±254, 4 bits are weights up to
±7 steps of 2, 4, 8, 16 or 32. netx reads both from the weights of a dense layer (``num_weight_bits`` = b,
``weight_exp`` = k − 9 + b), so the file says nothing more; it ignores them in convolutions, which are exact anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from snnface.errors import InputError

BITS_LEAST, BITS_MOST = 2, 8
#: Fractions of the largest weight among which the largest level is sought.
_RANGES = np.linspace(0.25, 1.0, 16)


def top(bits: int) -> int:
    """The most levels of either sign."""
    return (1 << (bits - 1)) - 1


def check_bits(bits: int, where: object = "--bits") -> None:
    """Raise :class:`InputError` where a weight cannot have so many bits."""
    if not BITS_LEAST <= bits <= BITS_MOST:
        raise InputError(where, f"is {bits}, weights have {BITS_LEAST} to {BITS_MOST} bits", "Use 8 or 4")


@dataclass(frozen=True)
class Grid:
    """What turns float weights into the chip's: weight = step · levels, levels = round(scale / step · float weight).

    ``steps``: units of a level, a power of two for each layer; ``scales``: units of the chip for a float weight of 1,
    float64 ``[1]``, or ``[O]`` where each output channel has its own (a readout, and all layers below 8 bits).
    ``input_mode``: "graded" or "unary", for which the currents are bounded.
    """

    bits: int
    input_mode: str
    steps: tuple[int, ...]
    scales: tuple[np.ndarray, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain numbers; they come back exactly."""
        scales = [scale.tolist() for scale in self.scales]
        return {"bits": self.bits, "input_mode": self.input_mode, "steps": list(self.steps), "scales": scales}

    @classmethod
    def from_json(cls, content: Any, where: object) -> Grid:
        """Read what :meth:`as_json` wrote; raises :class:`InputError` where it is garbled."""
        try:
            grid = cls(
                int(content["bits"]),
                str(content["input_mode"]),
                tuple(int(step) for step in content["steps"]),
                tuple(np.asarray(scale, np.float64) for scale in content["scales"]),
            )
            whole = len(grid.steps) == len(grid.scales) and all(
                step >= 2 and scale.ndim == 1 and (scale > 0).all() and np.isfinite(scale).all()
                for step, scale in zip(grid.steps, grid.scales, strict=True)
            )
        except (KeyError, TypeError, ValueError) as e:
            raise InputError(where, f"garbles its grid of weights ({e!r})", "Train it again") from e
        if not whole or not BITS_LEAST <= grid.bits <= BITS_MOST:
            raise InputError(where, "holds a grid of weights that no chip has", "Train it again")
        return grid


def levels(rows: np.ndarray, scale: np.ndarray, step: int, bits: int) -> np.ndarray:
    """Levels of weights ``[O, N]`` at a scale ``[1]`` or ``[O]``, whole numbers in float64."""
    return np.clip(np.rint(rows * scale[:, None] / step), -top(bits), top(bits))


def wanted_scale(rows: np.ndarray, bits: int, together: bool) -> np.ndarray:
    """The scale at steps of 2 that suits weights ``[O, N]`` best, ``[1]`` for all rows together, else ``[O]``.

    At 8 bits the largest weight is the largest level. With fewer bits the range is the one with the least squared
    error of rounding: cutting off a few large weights pays. All rows together count by their error's share in the
    row's own square, for small rows are neurons as well.
    """
    peak = np.abs(rows).max(1)
    peak = np.where(peak > 0, peak, peak.max())
    if together and bits == BITS_MOST:
        peak = peak.max(keepdims=True)
    widest = 2 * top(bits) / peak
    if bits == BITS_MOST:
        return widest
    if together:
        widest = widest.min(keepdims=True)
    energy = np.maximum((rows * rows).sum(1), np.finfo(float).tiny)
    errors = []
    for part in _RANGES:
        unit = 2 / widest[:, None] * part
        lost = ((rows - unit * np.clip(np.rint(rows / unit), -top(bits), top(bits))) ** 2).sum(1)
        errors.append((lost / energy).sum(keepdims=True) if together else lost)
    return widest / _RANGES[np.argmin(errors, 0)]


def chosen(wanted: np.ndarray, bound: np.ndarray, bits: int) -> tuple[int, np.ndarray]:
    """Step and scale of a layer: levels as ``wanted`` at the largest step whose scale stays within ``bound``.

    Where even steps of 2 leave it, the levels become as coarse as the bound asks.
    """
    for k in range(BITS_MOST - bits, 0, -1):
        if (wanted * (1 << k) <= bound).all():
            return 2 << k, wanted * (1 << k)
    return 2, np.minimum(wanted, bound)


def trained_grid(meta: dict[str, Any], where: object) -> Grid | None:
    """The grid that a checkpoint was trained on, from its ``meta``; None where it was trained in plain numbers."""
    return Grid.from_json(meta["quantise"], where) if "quantise" in meta else None

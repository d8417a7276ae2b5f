"""Logarithm and decay in single precision, for loops over pixels that the compiler turns into vectors.

Sums and products in a fixed order: the same bits on every processor, unlike numpy's.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

#: ln 2 in two parts: whole numbers up to some hundred times the first are exact.
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
#: Bits of √½: mantissas are taken from √½ to √2, where ln is near 0.
_ROOT_HALF = np.int32(0x3F3504F3)
_ONE, _HALF = np.float32(1), np.float32(0.5)
_PER_LN2 = np.float32(1 / np.log(2))
#: 2 / 3, 2 / 5, …: twice the inverse hyperbolic tangent, without its first term.
_R3, _R5, _R7, _R9 = (np.float32(2 / n) for n in (3, 5, 7, 9))
#: 1 / 2!, 1 / 3!, …
_F2, _F3, _F4, _F5, _F6, _F7 = (np.float32(1 / np.prod(range(1, n + 1))) for n in range(2, 8))
#: A decay by more than e^−80 is one.
_MOST = np.float32(80)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def log(x: Any) -> Any:
    """ln x of a normal float32 > 0, right to 1 unit in the last place."""
    bits = np.int32(np.float32(x).view(np.int32) - _ROOT_HALF)
    power = np.int32(bits >> np.int32(23))
    mantissa = np.int32((bits & np.int32(0x7FFFFF)) + _ROOT_HALF).view(np.float32)
    # ln(1 + f) = 2 atanh s with s = f / (2 + f), of which 2 s = f − s f.
    f = mantissa - _ONE
    s = f / (f + np.float32(2))
    z = s * s
    rest = z * (_R3 + z * (_R5 + z * (_R7 + z * _R9)))
    whole = np.float32(power)
    return whole * _LN2_HIGH + (f - (s * (f - rest) - whole * _LN2_LOW))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def decayed(x: Any) -> Any:
    """1 − e^−x of a float32 ≥ 0, right to 2 units in the last place also where it is small."""
    x = min(x, _MOST)
    power = np.int32(x * _PER_LN2 + _HALF)
    whole = np.float32(power)
    r = (whole * _LN2_HIGH - x) + whole * _LN2_LOW
    grown = r + r * r * (_F2 + r * (_F3 + r * (_F4 + r * (_F5 + r * (_F6 + r * _F7)))))
    scale = np.int32((np.int32(127) - power) << np.int32(23)).view(np.float32)
    return (_ONE - scale) - scale * grown

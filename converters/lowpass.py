"""Photoreceptor and low-pass of one block of pixels, from one picture to the next.

Pixels ``first`` to ``first + size`` of light float32 ``[N]`` and of ``planes`` (firing.py); ``before``, float32
``[BLOCK]``, takes the levels at the start. An age is radians of the low-pass at full light.

Each case is a loop of its own: numba counts references to arrays where a function branches, and that costs as much as
a block.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from snnface.converters.firing import LEVEL, LOG_LIGHT, SEEN
from snnface.converters.single import decayed, log

#: Light below which the logarithm flattens (dark current), as a fraction of full light.
DARK = 0.01
#: Bandwidth in the dark, as a fraction of the preset's figure.
DARK_BANDWIDTH = 0.05

_DARK, _DIM, _ONE = np.float32(DARK), np.float32(DARK_BANDWIDTH), np.float32(1)
_compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def log_of(light: Any) -> Any:
    """Log of light and dark current."""
    return log(light + _DARK)


@_compiled
def bandwidth(light: Any) -> Any:
    """As a fraction of that at full light."""
    return min(light + _DIM, _ONE)


@_compiled
def catch_up(first: Any, size: Any, missed: Any, planes: Any) -> None:
    """What a block has missed (an age) while it slept."""
    for j in range(size):
        i = first + j
        share = decayed(missed * bandwidth(planes[SEEN, i]))
        planes[LEVEL, i] += (planes[LOG_LIGHT, i] - planes[LEVEL, i]) * share


@_compiled
def settle(first: Any, size: Any, age: Any, planes: Any, before: Any) -> None:
    """Where the light is the same."""
    for j in range(size):
        i = first + j
        v = planes[LEVEL, i]
        before[j] = v
        planes[LEVEL, i] = v + (planes[LOG_LIGHT, i] - v) * decayed(age * bandwidth(planes[SEEN, i]))


@_compiled
def follow(first: Any, size: Any, light: Any, age: Any, planes: Any, before: Any) -> None:
    """The exact answer to log light that moved in a straight line."""
    for j in range(size):
        i = first + j
        x, v, was = light[i], planes[LEVEL, i], planes[LOG_LIGHT, i]
        now = log_of(x)
        mine = age * bandwidth(x)
        share = decayed(mine)
        before[j] = v
        planes[LEVEL, i] = v + (was - v) * share + (now - was) * (_ONE - share / mine)
        planes[LOG_LIGHT, i], planes[SEEN, i] = now, x


@_compiled
def jump(first: Any, size: Any, light: Any, planes: Any, before: Any) -> None:
    """Without low-pass."""
    for j in range(size):
        i = first + j
        now = log_of(light[i])
        before[j] = planes[LEVEL, i]
        planes[LEVEL, i] = planes[LOG_LIGHT, i] = now
        planes[SEEN, i] = light[i]

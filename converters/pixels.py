"""What all pixels do from one picture to the next, block by block; silent blocks cost a compare of their light.

A block of :data:`BLOCK` pixels sleeps while its light is the same and neither the low-pass, which only approaches
that light, nor the leak of the next steps can take any of its pixels to a threshold. When it wakes the low-pass gives
its exact answer to the time that has passed, and so does the leak, which is a function of time and is not added up.
Shot noise in a block that sleeps wakes its pixel alone.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from snnface.converters.firing import (
    DRIFT,
    HIGH,
    LEVEL,
    LOG_LIGHT,
    LOW,
    MEMORY,
    SEEN,
    fire,
    set_levels,
)
from snnface.converters.single import decayed, log

#: Pixels of a block, and the steps for which it must be silent to sleep.
BLOCK, SLEEP = 64, 16
#: Infinity's bits in single precision.
INFINITE = 0x7F800000
#: Light below which the logarithm flattens (dark current), as a fraction of full light.
DARK = 0.01
#: Bandwidth in the dark, as a fraction of the preset's figure.
DARK_BANDWIDTH = 0.05
#: Rows of ``of_block``, float64 ``[3, B]``, µs: since when ``LEVEL`` and ``MEMORY`` are (leak has been taken off the
#: memory until then), and until when a block sleeps.
SETTLED, EPOCH, SLEEPS = range(3)
#: How long leak stays apart from memory, µs.
_APART_US = 500_000

_DARK, _DIM, _ONE = np.float32(DARK), np.float32(DARK_BANDWIDTH), np.float32(1)
_compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def compare(light: Any, seen: Any, changed: Any) -> Any:
    """Largest of the bits of light uint32 ``[N]``; ``changed`` bool ``[B]`` tells where they are not those ``seen``.

    Bits of numbers ≥ 0 sort as the numbers do, those of negative numbers come after :data:`INFINITE`.
    """
    largest = np.uint32(0)
    for b in range(len(changed)):
        other = most = np.uint32(0)
        first, last = np.uint64(b * BLOCK), np.uint64(min((b + 1) * BLOCK, len(light)))
        for i in range(first, last):
            most = np.uint32(max(most, light[i]))
            other = np.uint32(other | (light[i] ^ seen[i]))
        changed[b] = other != 0
        largest = max(largest, most)
    return largest


@_compiled
def begin(light: Any, gap: Any, t_us: int, planes: Any, own: Any, of_block: Any) -> None:
    """Settle on light float32 ``[N]``, ``gap`` float64 ``[N]`` above what each pixel remembers."""
    for i in range(len(light)):
        level = log(light[i] + _DARK)
        planes[SEEN, i], planes[LOG_LIGHT, i], planes[LEVEL, i] = light[i], level, level
        own[i, MEMORY] = level - gap[i]
        set_levels(planes, own, i)
    of_block[SETTLED], of_block[EPOCH], of_block[SLEEPS] = t_us, t_us, t_us


@_compiled
def advance(
    from_block: int, to_block: int, light: Any, changed: Any, noise_pixel: Any, noise_t: Any, noise_on: Any,
    cutoff_hz: float, leaks: bool, refractory: int, start: int, stop: int, planes: Any, own: Any, of_block: Any,
    t_out: Any, who_out: Any,
) -> Any:  # fmt: skip
    """Move the pixels of some blocks from ``start`` to ``stop`` (µs).

    ``light`` float32 ``[N]`` at the end; ``changed`` bool ``[B]``: where it has; noise ``[K]``: by pixel, then time;
    ``leaks``: whether any pixel does; ``planes``, ``own``, ``of_block``: the state. Events go to ``t_out`` and
    ``who_out`` (twice the pixel, + 1 where ON), by pixel. Returns both, larger ones where there was no room (no burst
    is too large), and how many events they hold.
    """
    count, k = 0, np.searchsorted(noise_pixel, from_block * BLOCK)
    radians_us = np.float32(2e-6 * np.pi * cutoff_hz)
    duration, ahead = np.float32(stop - start), np.float32(SLEEP * (stop - start) * 1e-6)
    before, hits, restless = np.empty(BLOCK, np.float32), np.zeros(BLOCK, np.bool_), np.zeros(BLOCK, np.bool_)
    hit_words, restless_words = hits.view(np.uint64), restless.view(np.uint64)
    for b in range(from_block, to_block):
        first = np.uint64(b * BLOCK)
        size = np.uint64(min(BLOCK, len(light) - b * BLOCK))
        noise = k
        while noise < len(noise_pixel) and noise_pixel[noise] < (b + 1) * BLOCK:
            noise += 1
        if not changed[b] and of_block[SLEEPS, b] >= stop:
            while k < noise:
                # The pixel's level at both ends, as if its block were awake.
                i, until = noise_pixel[k], k + 1
                while until < noise and noise_pixel[until] == i:
                    until += 1
                ends = planes[LEVEL, i], planes[LEVEL, i]
                if cutoff_hz > 0:
                    rate = radians_us * min(planes[SEEN, i] + _DIM, _ONE)
                    apart = planes[LOG_LIGHT, i] - planes[LEVEL, i]
                    v0 = planes[LEVEL, i] + apart * decayed(rate * np.float32(start - of_block[SETTLED, b]))
                    ends = v0, v0 + (planes[LOG_LIGHT, i] - v0) * decayed(rate * duration)
                t_out, who_out, count = fire(
                    i, ends, k, until, noise_t, noise_on, refractory, start, stop, of_block[EPOCH, b],
                    planes, own, t_out, who_out, count,
                )  # fmt: skip
                leak = planes[DRIFT, i] * np.float32((of_block[SLEEPS, b] - of_block[EPOCH, b]) * 1e-6)
                highest, lowest = max(ends[1], planes[LOG_LIGHT, i]), min(ends[1], planes[LOG_LIGHT, i])
                if highest + leak >= planes[HIGH, i] or lowest <= planes[LOW, i]:
                    of_block[SLEEPS, b] = stop
                k = until
            continue
        if leaks and start - of_block[EPOCH, b] > _APART_US:
            _take_leak(first, size, start - of_block[EPOCH, b], planes, own)
            of_block[EPOCH, b] = start
        _follow(first, size, light, changed[b], start - of_block[SETTLED, b], duration, radians_us, planes, before)
        of_block[SETTLED, b] = stop
        leaked = np.float32((stop - of_block[EPOCH, b]) * 1e-6)
        _test(first, size, leaked, leaked + ahead, planes, hits, restless)
        for i in range(k, noise):
            hits[np.uint64(noise_pixel[i]) - first] = True
        hits[size:] = False
        restless[size:] = False
        some = rest = np.uint64(0)
        for w in range(BLOCK // 8):
            some |= hit_words[w]
            rest |= restless_words[w]
        of_block[SLEEPS, b] = stop if (rest | some) != 0 else stop + SLEEP * (stop - start)
        if some == 0:
            continue
        for w in range(BLOCK // 8):
            if hit_words[w] == 0:
                continue
            for j in range(8 * w, 8 * w + 8):
                if not hits[j]:
                    continue
                i, until = b * BLOCK + j, k
                while until < noise and noise_pixel[until] == i:
                    until += 1
                ends = before[j], planes[LEVEL, i]
                t_out, who_out, count = fire(
                    i, ends, k, until, noise_t, noise_on, refractory, start, stop, of_block[EPOCH, b],
                    planes, own, t_out, who_out, count,
                )  # fmt: skip
                k = until
    return t_out, who_out, count


@_compiled
def _take_leak(first: Any, size: Any, since: float, planes: Any, own: Any) -> None:
    """Take the leak of some µs off what the pixels remember."""
    for j in range(size):
        i = first + j
        own[i, MEMORY] -= planes[DRIFT, i] * (since * 1e-6)
        if planes[HIGH, i] > -np.inf:
            set_levels(planes, own, i)


@_compiled
def _follow(
    first: Any, size: Any, light: Any, changed: bool, slept: float, duration: Any, radians_us: Any, planes: Any,
    before: Any,
) -> None:  # fmt: skip
    """Low-pass of a block: its exact answer to log light that moved in a straight line; ``before``: at the start."""
    if slept > 0 and radians_us > 0:
        missed = radians_us * np.float32(slept)
        for j in range(size):
            i = first + j
            share = decayed(missed * min(planes[SEEN, i] + _DIM, _ONE))
            planes[LEVEL, i] += (planes[LOG_LIGHT, i] - planes[LEVEL, i]) * share
    if not changed:
        age = radians_us * duration
        for j in range(size):
            i = first + j
            v = planes[LEVEL, i]
            before[j] = v
            planes[LEVEL, i] = v + (planes[LOG_LIGHT, i] - v) * decayed(age * min(planes[SEEN, i] + _DIM, _ONE))
    elif radians_us > 0:
        age = radians_us * duration
        for j in range(size):
            i = first + j
            x, v, was = light[i], planes[LEVEL, i], planes[LOG_LIGHT, i]
            now = log(x + _DARK)
            mine = age * min(x + _DIM, _ONE)
            share = decayed(mine)
            before[j] = v
            planes[LEVEL, i] = v + (was - v) * share + (now - was) * (_ONE - share / mine)
            planes[LOG_LIGHT, i], planes[SEEN, i] = now, x
    else:
        for j in range(size):
            i = first + j
            now = log(light[i] + _DARK)
            before[j] = planes[LEVEL, i]
            planes[LEVEL, i] = planes[LOG_LIGHT, i] = now
            planes[SEEN, i] = light[i]


@_compiled
def _test(first: Any, size: Any, leaked: Any, later: Any, planes: Any, hits: Any, restless: Any) -> None:
    """Which pixels may fire in this step (``leaked``: s of leak at its end), and which in those to come."""
    for j in range(size):
        i = first + j
        v, goal, high, low = planes[LEVEL, i], planes[LOG_LIGHT, i], planes[HIGH, i], planes[LOW, i]
        x = v + leaked * planes[DRIFT, i]
        hits[j] = (x >= high) | (x <= low)
        restless[j] = (max(v, goal) + later * planes[DRIFT, i] >= high) | (min(v, goal) <= low)

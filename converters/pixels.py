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
    BLOCK,
    DRIFT,
    HIGH,
    LEVEL,
    LOG_LIGHT,
    LOW,
    MEMORY,
    SEEN,
    fire,
    larger,
    set_levels,
)
from snnface.converters.lowpass import bandwidth, catch_up, follow, jump, log_of, settle
from snnface.converters.single import decayed

#: Steps for which a block must be silent to sleep.
SLEEP = 16
#: Blocks whose state stays in the cache between moving its levels and firing.
_NEAR = 64
#: Infinity's bits in single precision.
INFINITE = 0x7F800000
#: Rows of ``of_block``, float64 ``[3, B]``, µs: since when ``LEVEL`` and ``MEMORY`` are (leak has been taken off the
#: memory until then), and until when a block sleeps.
SETTLED, EPOCH, SLEEPS = range(3)
#: How long leak stays apart from memory, µs.
_APART_US = 500_000

#: Brings the lowest bits of eight bytes together in the highest byte of the product.
_BITS = np.uint64(0x0102040810204080)
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
        level = log_of(light[i])
        planes[SEEN, i], planes[LOG_LIGHT, i], planes[LEVEL, i] = light[i], level, level
        own[i, MEMORY] = level - gap[i]
        set_levels(planes, own, i)
    of_block[SETTLED], of_block[EPOCH], of_block[SLEEPS] = t_us, t_us, t_us


@_compiled
def advance(
    from_block: int, to_block: int, light: Any, changed: Any, noise_pixel: Any, noise_t: Any, noise_on: Any,
    cutoff_hz: float, leaks: bool, least: float, refractory: int, start: int, stop: int, planes: Any, own: Any,
    of_block: Any, t_out: Any, who_out: Any,
) -> Any:  # fmt: skip
    """Move the pixels of some blocks from ``start`` to ``stop`` (µs).

    ``light`` float32 ``[N]`` at the end; ``changed`` bool ``[B]``: where it has; noise ``[K]``: by pixel, then time;
    ``leaks``: whether any pixel does; ``least``: threshold of all; ``planes``, ``own``, ``of_block``: the state.
    Events go to ``t_out`` and ``who_out`` (twice the pixel, + 1 where ON), by pixel. Returns both, larger ones where
    there was no room (no burst is too large), and how many events they hold.
    """
    radians_us = np.float32(2e-6 * np.pi * cutoff_hz)
    which, ends = np.empty(_NEAR * BLOCK, np.int64), np.empty((_NEAR * BLOCK, 2), np.float32)
    count, k = 0, np.searchsorted(noise_pixel, from_block * BLOCK)
    for b in range(from_block, to_block, _NEAR):
        found, until, far = _move(
            b, min(b + _NEAR, to_block), light, changed, noise_pixel, k, radians_us, leaks, start, stop,
            planes, own, of_block, which, ends,
        )  # fmt: skip
        # No fewer than they fire on their way.
        room = count + 2 * (found + until - k) + int(far / least) + 1
        if room > len(t_out):
            t_out, who_out = larger(t_out, room), larger(who_out, room)
        count = fire(
            which[:found], ends, k, noise_pixel, noise_t, noise_on, refractory, start, stop, of_block[EPOCH], planes,
            own, t_out, who_out, count,
        )  # fmt: skip
        _wake(which[:found], ends, stop, planes, of_block)
        k = until
    return t_out, who_out, count


@_compiled
def _wake(which: Any, ends: Any, stop: int, planes: Any, of_block: Any) -> None:
    """Wake the blocks that sleep where shot noise has brought a pixel close to its thresholds."""
    for n in range(len(which)):
        i, b = np.uint64(which[n]), np.uint64(which[n] // BLOCK)
        leak = planes[DRIFT, i] * np.float32((of_block[SLEEPS, b] - of_block[EPOCH, b]) * 1e-6)
        highest, lowest = max(ends[n, 1], planes[LOG_LIGHT, i]), min(ends[n, 1], planes[LOG_LIGHT, i])
        if of_block[SLEEPS, b] > stop and (highest + leak >= planes[HIGH, i] or lowest <= planes[LOW, i]):
            of_block[SLEEPS, b] = stop


@_compiled
def _move(
    from_block: int, to_block: int, light: Any, changed: Any, noise_pixel: Any, k: int, radians_us: Any, leaks: bool,
    start: int, stop: int, planes: Any, own: Any, of_block: Any, which: Any, ends: Any,
) -> Any:  # fmt: skip
    """Move levels; pixels that may fire go to ``which``, and from where to where their levels go to ``ends``.

    Returns how many they are, where the noise of the next blocks begins, and how far the levels go in all.
    """
    duration, ahead = np.float32(stop - start), np.float32(SLEEP * (stop - start) * 1e-6)
    was, hits, restless = np.empty(BLOCK, np.float32), np.zeros(BLOCK, np.bool_), np.zeros(BLOCK, np.bool_)
    hit_words, restless_words = hits.view(np.uint64), restless.view(np.uint64)
    found, far = 0, 0.0
    for b in range(from_block, to_block):
        first = np.uint64(b * BLOCK)
        size = np.uint64(min(BLOCK, len(light) - b * BLOCK))
        noise = k
        while noise < len(noise_pixel) and noise_pixel[noise] < (b + 1) * BLOCK:
            noise += 1
        if not changed[b] and of_block[SLEEPS, b] >= stop:
            for n in range(k, noise):
                i = noise_pixel[n]
                if n > k and noise_pixel[n - 1] == i:
                    continue
                # The pixel's level at both ends, as if its block were awake.
                v0 = v1 = planes[LEVEL, i]
                if radians_us > 0:
                    rate = radians_us * bandwidth(planes[SEEN, i])
                    apart = planes[LOG_LIGHT, i] - planes[LEVEL, i]
                    v0 = planes[LEVEL, i] + apart * decayed(rate * np.float32(start - of_block[SETTLED, b]))
                    v1 = v0 + (planes[LOG_LIGHT, i] - v0) * decayed(rate * duration)
                which[found], ends[found, 0], ends[found, 1] = i, v0, v1
                far += abs(v1 - v0) + planes[DRIFT, i] * duration * np.float32(1e-6)
                found += 1
            k = noise
            continue
        if leaks and start - of_block[EPOCH, b] > _APART_US:
            _take_leak(first, size, start - of_block[EPOCH, b], planes, own)
            of_block[EPOCH, b] = start
        if radians_us > 0 and start > of_block[SETTLED, b]:
            catch_up(first, size, radians_us * np.float32(start - of_block[SETTLED, b]), planes)
        if not changed[b]:
            settle(first, size, radians_us * duration, planes, was)
        elif radians_us > 0:
            follow(first, size, light, radians_us * duration, planes, was)
        else:
            jump(first, size, light, planes, was)
        of_block[SETTLED, b] = stop
        leaked = np.float32((stop - of_block[EPOCH, b]) * 1e-6)
        _test(first, size, leaked, leaked + ahead, planes, hits, restless)
        for n in range(k, noise):
            hits[np.uint64(noise_pixel[n]) - first] = True
        k = noise
        hits[size:] = False
        restless[size:] = False
        some = rest = np.uint64(0)
        for w in range(BLOCK // 8):
            # One bit of each byte.
            some |= ((hit_words[w] * _BITS) >> np.uint64(56)) << np.uint64(8 * w)
            rest |= restless_words[w]
        of_block[SLEEPS, b] = stop if (rest | some) != 0 else stop + SLEEP * (stop - start)
        while some != 0:
            lowest = some & (~some + np.uint64(1))
            some ^= lowest
            # Its place is the exponent.
            j = (np.float64(lowest).view(np.uint64) >> np.uint64(52)) - np.uint64(1023)
            i = first + j
            v0, v1 = was[j], planes[LEVEL, i]
            which[found], ends[found, 0], ends[found, 1] = i, v0, v1
            far += abs(v1 - v0) + planes[DRIFT, i] * duration * np.float32(1e-6)
            found += 1
    return found, k, far


@_compiled
def _take_leak(first: Any, size: Any, since: float, planes: Any, own: Any) -> None:
    """Take the leak of some µs off what the pixels remember."""
    for j in range(size):
        i = first + j
        own[i, MEMORY] -= planes[DRIFT, i] * (since * 1e-6)
        if planes[HIGH, i] > -np.inf:
            set_levels(planes, own, i)


@_compiled
def _test(first: Any, size: Any, leaked: Any, later: Any, planes: Any, hits: Any, restless: Any) -> None:
    """Which pixels may fire in this step (``leaked``: s of leak at its end), and which in those to come."""
    for j in range(size):
        i = first + j
        v, goal, high, low = planes[LEVEL, i], planes[LOG_LIGHT, i], planes[HIGH, i], planes[LOW, i]
        x = v + leaked * planes[DRIFT, i]
        hits[j] = (x >= high) | (x <= low)
        restless[j] = (max(v, goal) + later * planes[DRIFT, i] >= high) | (min(v, goal) <= low)

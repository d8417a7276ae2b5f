"""What all pixels do from one picture to the next, block by block; silent blocks cost a compare of their light.

A block of :data:`BLOCK` pixels sleeps while its light is the same, its low-pass has settled, no pixel recovers and no
leak can reach a threshold. What it misses is the leak of each step, which it adds up, step by step, when it wakes:
the same sums as if it had been awake.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

#: Pixels of a block, and the most steps that it sleeps.
BLOCK, LONGEST_SLEEP = 64, 256
#: Infinity's bits in single precision.
INFINITE = 0x7F800000


@numba.njit(cache=True, nogil=True)
def compare(light: Any, seen: Any, changed: Any) -> Any:
    """Largest of the bits of light uint32 ``[N]``; ``changed`` bool ``[B]`` tells where they are not those ``seen``.

    Bits of numbers ≥ 0 sort as the numbers do, those of negative numbers come after :data:`INFINITE`.
    """
    largest = np.uint32(0)
    for b in range(len(changed)):
        other = np.uint32(0)
        for i in range(b * BLOCK, min((b + 1) * BLOCK, len(light))):
            largest = max(largest, light[i])
            other |= light[i] ^ seen[i]
        changed[b] = other != 0
    return largest


@numba.njit(cache=True, nogil=True)
def awake(
    changed: Any, noise_pixel: Any, start: int, stop: int, step: int, busy_us: Any, wake_us: Any, rest_us: Any,
    slept: Any,
) -> Any:  # fmt: skip
    """Numbers int64 ``[A]`` of the blocks that have something to do between two pictures (µs).

    Of each block ``[B]``: ``changed``: its light; ``busy_us``: until when a pixel recovers; ``wake_us``: until when
    no leak reaches a threshold; ``rest_us``: the longest step in which the low-pass stays as it is; ``slept``: the
    first step that it has not counted. ``noise_pixel`` int64 ``[K]``: sorted.
    """
    blocks = np.empty(len(changed), np.int64)
    count = k = 0
    for b in range(len(changed)):
        noisy = k < len(noise_pixel) and noise_pixel[k] < (b + 1) * BLOCK
        while k < len(noise_pixel) and noise_pixel[k] < (b + 1) * BLOCK:
            k += 1
        settled = stop - start <= rest_us[b] and busy_us[b] <= start and wake_us[b] > stop
        if changed[b] or noisy or not settled or step - slept[b] >= LONGEST_SLEEP - 1:
            blocks[count] = b
            count += 1
    return blocks[:count]


@numba.njit(cache=True, nogil=True)
def gather(blocks: Any, light: Any, log_light: Any, level: Any) -> Any:
    """Light now, log light and level before: float32 ``[3, A · BLOCK]`` of some blocks; light past the end is 0."""
    out = np.zeros((3, len(blocks) * BLOCK), np.float32)
    for a, b in enumerate(blocks):
        first, last = b * BLOCK, min((b + 1) * BLOCK, len(light))
        out[0, a * BLOCK : a * BLOCK + last - first] = light[first:last]
        out[1, a * BLOCK : (a + 1) * BLOCK] = log_light[first : first + BLOCK]
        out[2, a * BLOCK : (a + 1) * BLOCK] = level[first : first + BLOCK]
    return out


@numba.njit(cache=True, nogil=True)
def scatter(
    blocks: Any, changed: Any, light: Any, log_light: Any, level: Any, duration: int, seen: Any, log_before: Any,
    level_before: Any, rest_us: Any,
) -> None:  # fmt: skip
    """Remember light, log light and level (float32 ``[A · BLOCK]``) of some blocks, and how settled they are."""
    for a, b in enumerate(blocks):
        behind = moved = 0
        for j in range(BLOCK):
            new, old = a * BLOCK + j, b * BLOCK + j
            behind |= level[new] != log_light[new]
            moved |= level[new] != level_before[old]
            seen[old], log_before[old], level_before[old] = light[new], log_light[new], level[new]
        # A level that a step no longer moves, to single precision, is not moved by a shorter one either.
        rest_us[b] = np.inf if not behind else (0.0 if moved or changed[b] else duration)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def crossings(
    blocks: Any, changed: Any, level: Any, before: Any, leaks: Any, leak_hz: float, step: int, gap: Any, ready: Any,
    on: Any, off: Any, on_least: Any, off_least: Any, drift: Any, noise_pixel: Any, noise_t: Any, noise_on: Any,
    refractory: int, start: int, stop: int, busy_us: Any, wake_us: Any, slept: Any,
) -> Any:  # fmt: skip
    """Move the pixels of some blocks from ``start`` to ``stop`` (µs); all but the levels is kept up to date.

    ``level``, ``before``: what they see at the end and at the start, float32 ``[A · BLOCK]``; ``leaks``
    ``[LONGEST_SLEEP]``: leak of the last steps, this one included, of which ``drift`` ``[N]`` is the effect on each
    pixel; ``leak_hz``: the same a second; ``gap``: how far the level is above what the pixel remembers; ``ready``:
    when it may fire again; ``on_least``, ``off_least`` ``[B]``: the least thresholds of each block. Returns t, pixel
    and polarity ``[E]`` of the events, by pixel. The three outputs grow as needed: no burst is too large.
    """
    t_out, pixel_out, on_out = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024, np.bool_)
    count = 0
    leak = leaks[step % LONGEST_SLEEP]
    ends, apart, active = np.empty(BLOCK), np.empty(BLOCK, np.bool_), np.empty(BLOCK, np.int64)
    for a, b in enumerate(blocks):
        first, here = b * BLOCK, a * BLOCK
        if leak_hz > 0:
            for s in range(slept[b], step):
                for i in range(first, first + BLOCK):
                    gap[i] += leaks[s % LONGEST_SLEEP] * drift[i]
        slept[b] = step + 1
        # Most pixels only add up; those that may fire are told apart without a branch.
        near, highest, lowest = 0, on_least[b], -off_least[b]
        for j in range(BLOCK):
            change = np.float64(level[here + j] - before[here + j])
            if leak_hz > 0:
                change += leak * drift[first + j]
            ends[j] = gap[first + j] + change
            near |= (ends[j] >= highest) | (ends[j] <= lowest)
        apart[:] = False
        if near:
            for j in range(BLOCK):
                apart[j] = (ends[j] >= on[first + j]) | (ends[j] <= -off[first + j])
        if busy_us[b] > start:
            for j in range(BLOCK):
                apart[j] = apart[j] | (ready[first + j] > start)
        k = np.searchsorted(noise_pixel, first) if len(noise_pixel) else 0
        noise = k
        while noise < len(noise_pixel) and noise_pixel[noise] < first + BLOCK:
            apart[noise_pixel[noise] - first] = True
            noise += 1
        some = 0
        for j in range(BLOCK):
            active[some] = j
            some += apart[j]
        if some == 0:
            gap[first : first + BLOCK] = ends
            wake_us[b] = _leak_arrives(gap, on, drift, leak_hz, first, stop) if not changed[b] else -np.inf
            continue
        wake_us[b] = -np.inf
        for j in range(BLOCK):
            gap[first + j] = gap[first + j] if apart[j] else ends[j]
        for j in active[:some]:
            i, n = first + j, here + j
            slope = (np.float64(level[n] - before[n]) + leak * drift[i]) / (stop - start)
            now = max(float(start), ready[i])
            while now < stop:
                crossing = np.inf
                if slope > 0:
                    crossing = max(now, now + (on[i] - gap[i]) / slope)
                elif slope < 0:
                    crossing = max(now, now - (off[i] + gap[i]) / slope)
                while k < len(noise_pixel) and noise_pixel[k] == i and noise_t[k] < now:
                    k += 1
                fired, positive = crossing, slope > 0
                if k < len(noise_pixel) and noise_pixel[k] == i and noise_t[k] < crossing:
                    fired, positive = noise_t[k], noise_on[k]
                    k += 1
                if fired > stop:
                    break
                if count == len(t_out):
                    t_out = np.concatenate((t_out, np.empty_like(t_out)))
                    pixel_out = np.concatenate((pixel_out, np.empty_like(pixel_out)))
                    on_out = np.concatenate((on_out, np.empty_like(on_out)))
                # A crossing at a whole µs stays there in spite of rounding errors.
                t_out[count] = min(max(int(np.ceil(fired - 1e-6)), start + 1), stop)
                pixel_out[count], on_out[count] = i, positive
                count += 1
                now = fired + refractory
                gap[i], ready[i] = 0.0, now
                busy_us[b] = max(busy_us[b], now)
            if now < stop:
                gap[i] += slope * (stop - now)
            while k < len(noise_pixel) and noise_pixel[k] == i:
                k += 1
    return t_out[:count], pixel_out[:count], on_out[:count]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _leak_arrives(gap: Any, on: Any, drift: Any, leak_hz: float, first: int, stop: int) -> float:
    """Until when (µs) leak alone takes no pixel of a block to its threshold: a little too early, never too late."""
    soonest = np.inf
    if leak_hz > 0:
        for i in range(first, first + BLOCK):
            if drift[i] > 0:
                soonest = min(soonest, (on[i] - gap[i]) / (leak_hz * drift[i]))
    return stop + soonest * (1e6 * (1 - 1e-6)) - 1


@numba.njit(cache=True, nogil=True)
def in_order(t: Any, pixel: Any, on: Any, start: int, stop: int, width: int) -> Any:
    """t, x, y and polarity ``[E]`` sorted by time, µs after µs; events of one µs stay as they are."""
    place = np.zeros(stop - start + 1, np.int64)
    for i in range(len(t)):
        place[t[i] - start] += 1
    total = 0
    for s in range(len(place)):
        place[s], total = total, total + place[s]
    t_out, on_out = np.empty_like(t), np.empty_like(on)
    x_out, y_out = np.empty(len(t), np.uint16), np.empty(len(t), np.uint16)
    columns = np.uint32(width)
    for i in range(len(t)):
        k = place[t[i] - start]
        place[t[i] - start] = k + 1
        at = np.uint32(pixel[i])
        y = at // columns
        t_out[k], on_out[k], x_out[k], y_out[k] = t[i], on[i], at - y * columns, y
    return t_out, x_out, y_out, on_out

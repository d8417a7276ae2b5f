"""Which times of a disturbed sequence to keep."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

#: Sensors step back by a few µs between their read-out columns; up to this much is theirs, more is damage.
JITTER_US = 1_000


def unwrapped(counter: np.ndarray, bits: int, fall: float = 0.75) -> np.ndarray:
    """A counter of ``bits`` bits as a continuous one, int64 ``[N]``.

    A fall by at least ``fall`` of its range is a wrap, a rise by three quarters a step back over one.
    """
    values = counter.astype(np.int64)
    step = np.diff(values) / (1 << bits)
    values[1:] += np.cumsum((step <= -fall).astype(np.int64) - (step >= 0.75)) << bits
    return values


def in_order(t: np.ndarray, jitter: int = 0) -> np.ndarray:
    """bool ``[N]``: the longest part of ``t`` that never runs backwards.

    With ``jitter``, times that are off that part by at most ``jitter`` are kept too. A single wild time is
    left out rather than everything after it. Patience sorting, O(N log N), and only where order is disturbed.
    """
    keep = np.ones(len(t), bool)
    if not (np.diff(t) < 0).any():
        return keep
    highest = np.maximum.accumulate(t)
    lowest = np.minimum.accumulate(t[::-1])[::-1]
    disturbed = np.flatnonzero((t < highest - jitter) | (t > lowest + jitter))
    if not disturbed.size:
        return keep
    first, last = int(disturbed[0]), int(disturbed[-1]) + 1
    part = t[first:last]
    longest = _longest_ordered(part)
    limits = np.iinfo(np.int64)
    before = np.maximum.accumulate(np.where(longest, part, limits.min + jitter))
    after = np.minimum.accumulate(np.where(longest, part, limits.max - jitter)[::-1])[::-1]
    keep[first:last] = (part >= before - jitter) & (part <= after + jitter)
    return keep


class Order:
    """:func:`in_order` for a sequence that comes in parts: each is judged with the next one in sight.

    What was kept of the parts before stays, so a disturbance longer than two parts may cost more than it must.
    """

    def __init__(self, jitter: int = 0) -> None:
        self._jitter = jitter
        self._latest = np.iinfo(np.int64).min + jitter

    def keep(self, t: np.ndarray, ahead: np.ndarray | None = None) -> np.ndarray:
        """bool ``[N]``: which of the times ``t`` to keep, with the part ``ahead`` of them."""
        ends = np.iinfo(np.int64).max if ahead is None or not len(ahead) else int(ahead.min())
        if not len(t) or (self._latest <= t[0] and t[-1] <= ends and not (t[1:] < t[:-1]).any()):
            self._latest = int(t[-1]) if len(t) else self._latest
            return np.ones(len(t), bool)
        seen = t if ahead is None else np.concatenate([t, ahead])
        good = seen >= self._latest - self._jitter
        good[good] = in_order(seen[good], self._jitter)
        good = good[: len(t)]
        self._latest = max(self._latest, int(t[good].max(initial=self._latest)))
        return good


def _longest_ordered(t: np.ndarray) -> np.ndarray:
    """bool ``[N]``: members of one longest non-decreasing subsequence."""
    ends: list[int] = []
    at: list[int] = []
    before = np.full(len(t), -1, np.int64)
    for i, value in enumerate(t.tolist()):
        length = bisect_right(ends, value)
        if length:
            before[i] = at[length - 1]
        if length == len(ends):
            ends.append(value)
            at.append(i)
        else:
            ends[length], at[length] = value, i
    member = np.zeros(len(t), bool)
    i = at[-1]
    while i >= 0:
        member[i] = True
        i = int(before[i])
    return member

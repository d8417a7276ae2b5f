"""The bus between pixels and output: one event after another, so that a burst waits and is stamped when it is read.

Time on the bus is counted in whole picoseconds. Whenever the bus is free it goes to the next row (or column) after
the last one, all around, in which a pixel waits, and reads all that wait there at that moment, each in a slot of its
own, in the order of their place. The moments at which it decides depend on nothing but the events, so that the
output is the same however the input is cut into calls.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from snnface.converters.preset import Readout
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, pack

PS_PER_US = 1_000_000
#: Longer than any recording, in ps.
NEVER = np.iinfo(np.int64).max


class Bus:
    """State of the readout of one sensor of ``width`` × ``height`` pixels.

    ``dropped``: events so far whose pixel still waited with an earlier one (only where the readout ``holds``).

    Raises
    ------
    InputError: the rate or the order makes no sense.
    """

    def __init__(self, width: int, height: int, readout: Readout) -> None:
        if not (0 < readout.events_per_s <= 1e12 and readout.line_us >= 0):
            raise InputError("readout", f"{readout.events_per_s} events a second", "Give a rate of up to 1e12")
        if readout.order not in ("row", "column", "arrival"):
            raise InputError("readout", f"order {readout.order!r}", "Use row, column or arrival")
        self._readout = readout
        self._slot_ps = max(1, round(1e12 / readout.events_per_s))
        self._line_ps = round(readout.line_us * PS_PER_US)
        self._lines = {"row": height, "column": width, "arrival": 1}[readout.order]
        self._width = width
        #: When each pixel's last event was read (ps); NEVER while it waits.
        self._read_ps = np.zeros(width * height if readout.holds else 0, np.int64)
        #: When the bus is free (ps), the line that it read last, and how many events it dropped.
        self._state = np.array([0, -1, 0], np.int64)
        #: Events that have happened, of which the first have been admitted; events with the time of their reading.
        self._queue, self._admitted = np.empty(0, EVENT_DTYPE), 0
        self._read = np.empty(0, EVENT_DTYPE)
        self._origin_us: int | None = None

    @property
    def dropped(self) -> int:
        return int(self._state[2])

    @property
    def waiting(self) -> int:
        """Events that have not been given out."""
        return len(self._queue) + len(self._read)

    def read(self, events: np.ndarray, until_us: int | None) -> np.ndarray:
        """Take events that happened (``[E]``, sorted, later than all before) and give those read by ``until_us``.

        ``until_us`` (µs): no event before it comes later; None: all that wait are read. The time of an event is that
        of its reading, in whole µs that have passed; far from saturation it is the time at which it happened.
        """
        if self._origin_us is None:
            if len(events) == 0:
                return events
            self._origin_us = int(events["t"][0])
        origin = self._origin_us
        asked = np.concatenate([self._queue, events])
        x, y = asked["x"].astype(np.int64), asked["y"].astype(np.int64)
        line, place = {"row": (y, x), "column": (x, y), "arrival": (0 * y, 0 * y)}[self._readout.order]
        # Events come at whole µs, so that all that is decided before the next one is known.
        limit = NEVER // 2 if until_us is None else (until_us - origin + 1) * PS_PER_US - 1
        when, which, left, self._admitted = _read(
            (asked["t"] - origin) * PS_PER_US, line, place, y * self._width + x, self._admitted, self._lines,
            self._slot_ps, self._line_ps, limit, self._state, self._read_ps,
        )  # fmt: skip
        done = asked[which]
        read = np.concatenate([self._read, pack(when // PS_PER_US + origin, done["x"], done["y"], done["p"])])
        self._queue = asked[left]
        given = len(read) if until_us is None else int(np.searchsorted(read["t"], until_us, side="right"))
        self._read = read[given:]
        return read[:given]


@numba.njit(cache=True, nogil=True)
def _read(
    asked_ps: Any, line: Any, place: Any, pixel: Any, admitted: int, lines: int, slot_ps: int, line_ps: int,
    until_ps: int, state: Any, read_ps: Any,
) -> Any:  # fmt: skip
    """Let the bus decide until a time; the first ``admitted`` events wait already. All times in ps.

    Returns when (``[R]``) which (``[R]``) events are read, those that are left (``[L]``), in order of asking, and how
    many of them are admitted.
    """
    total = len(asked_ps)
    when, which = np.empty(total, np.int64), np.empty(total, np.int64)
    head, tail, following = np.full(lines, -1), np.full(lines, -1), np.full(total, -1)
    burst = np.empty(total, np.int64)
    holds = len(read_ps) > 0
    free, last, done, waiting, next_one = state[0], state[1], 0, 0, 0
    while True:
        now = free
        if waiting == 0:
            if next_one == total:
                break
            now = max(free, asked_ps[next_one])
        if now > until_ps:
            break
        while next_one < total and asked_ps[next_one] <= now:
            i, new = next_one, next_one >= admitted
            next_one += 1
            if holds and new:
                if read_ps[pixel[i]] > asked_ps[i]:
                    state[2] += 1
                    continue
                read_ps[pixel[i]] = NEVER
            if head[line[i]] < 0:
                head[line[i]] = i
            else:
                following[tail[line[i]]] = i
            tail[line[i]] = i
            waiting += 1
        if waiting == 0:
            continue
        last = (last + 1) % lines
        while head[last] < 0:
            last = (last + 1) % lines
        size, i = 0, head[last]
        while i >= 0:
            burst[size] = i
            size += 1
            i = following[i]
        head[last] = -1
        free = now + line_ps
        for i in burst[:size][np.argsort(place[burst[:size]], kind="mergesort")]:
            free += slot_ps
            when[done], which[done] = free, i
            done += 1
            if holds:
                read_ps[pixel[i]] = free
        waiting -= size
    state[0], state[1] = free, last
    left = np.empty(total - next_one + waiting, np.int64)
    count = 0
    for i in head:
        while i >= 0:
            left[count] = i
            count += 1
            i = following[i]
    for i in range(next_one, total):
        left[count] = i
        count += 1
    # Where nothing was decided, those that waited before still do.
    return when[:done], which[:done], np.sort(left[:count]), waiting + max(admitted - next_one, 0)

"""When ticks are answered: at once, at a recording's own pace, or as a camera delivers them.

Each way gives groups of ticks that are to be answered together, as one. A group holds more than one tick only where
a tick was over before the one before it was answered: the tick is **widened**. All its steps are run and all its
events counted; what is left out are the answers in between.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

Ticks = Iterable[tuple[int, np.ndarray]]
"""(origin in µs, events) as :func:`snnface.ticks.ticks` gives them."""


class Due(NamedTuple):
    """A tick, and when it was over on the clock of ``time.perf_counter`` (None: its time does not matter)."""

    origin: int
    events: np.ndarray
    due: float | None


def at_once(ticks: Ticks) -> Iterator[list[Due]]:
    """Every tick on its own, as fast as they are taken."""
    return ([Due(*tick, None)] for tick in ticks)


def by_clock(ticks: Ticks, tick_us: int) -> Iterator[list[Due]]:
    """The ticks of a recording when they are over, counted from when the first one is asked for."""
    begin, over = time.perf_counter(), list[Due]()
    for number, tick in enumerate(ticks, 1):
        due = begin + number * tick_us / 1e6
        if over and due > time.perf_counter():
            yield over
            over = []
        time.sleep(max(0.0, due - time.perf_counter()))
        over.append(Due(*tick, due))
    if over:
        yield over


def as_they_come(ticks: Ticks) -> Iterator[list[Due]]:
    """Ticks of a live source, read by a thread of their own, so that the source never waits."""
    arrived: queue.SimpleQueue[Due | BaseException] = queue.SimpleQueue()

    def read() -> None:
        try:
            for tick in ticks:
                arrived.put(Due(*tick, time.perf_counter()))
        except BaseException as error:  # also Ctrl-C: the reader decides nothing
            arrived.put(error)
        else:
            arrived.put(StopIteration())

    threading.Thread(target=read, daemon=True).start()
    while True:
        group, end = list[Due](), None
        while end is None and (not group or not arrived.empty()):
            item = arrived.get()
            if isinstance(item, Due):
                group.append(item)
            else:
                end = item
        if group:
            yield group
        if isinstance(end, StopIteration):
            return
        if end is not None:
            raise end

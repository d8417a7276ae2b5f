"""The events of a recording, or of a part of it, and where its clock starts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snnface import io
from snnface.converters.published.layout import Options, UnusableError
from snnface.events import EVENT_DTYPE

#: The lines of text that a Prophesee file begins with.
_HEADER = re.compile(rb"(?:%(?! end\b)[^\n]*\n)*(?:% end[^\n]*\n)?")
#: Bytes that are searched for the first word with the time; sensors send one every few µs.
_SEARCHED = 1 << 20
#: Of the time words of each version: kind of word, bits below its kind, bits below its time, bits of the clock.
_TIME_WORDS: dict[str, tuple[np.dtype[Any], int, int, int]] = {
    "evt3": (np.dtype("<u2"), 12, 12, 24),
    "evt2": (np.dtype("<u4"), 28, 6, 34),
}


@dataclass(frozen=True)
class Taken:
    """What was taken of a recording.

    ``events``: structured ``[E]``, t in µs from the part's start; ``duration_us``: of the part; ``size``: sensor
    (width, height); ``dropped``: what was left out, by reason; ``end_us``: the recording's last event.
    """

    events: np.ndarray
    duration_us: int
    size: tuple[int, int]
    dropped: dict[str, int]
    end_us: int


def take(
    path: Path, options: Options, start_us: int | None = None, stop_us: int | None = None, own_clock: bool = False
) -> Taken:
    """Events with ``start_us ≤ t ≤ stop_us`` of a recording in any format; without one, from its start, to its end.

    Times count from where the recording's clock starts (``own_clock``: are those of the file). A RAW file starts with
    its first time word, as Prophesee's tools count; the others with their first event. No more than the events that
    are taken is held in memory; all are read and checked.

    Raises
    ------
    InputError: as :func:`snnface.io.read`; :class:`UnusableError` where there is no such file, or no such events.
    """
    if not path.is_file():
        raise UnusableError("missing_events", path, "does not exist", "Copy the recording again")
    parts = io.Parts(path, options.repair, options.size)
    found: list[np.ndarray] = []
    zero = start = end = seen = 0
    for events in parts:
        if not seen:
            zero = _clock_start(path, int(events["t"][0]), parts.format)
            start = zero if start_us is None else start_us if own_clock else zero + start_us
        stop = None if stop_us is None else stop_us if own_clock else zero + stop_us
        seen, end = seen + len(events), int(events["t"][-1])
        first = np.searchsorted(events["t"], start, "left")
        after = len(events) if stop is None else np.searchsorted(events["t"], stop, "right")
        if first < after:
            found.append(events[first:after].copy())
    taken = np.concatenate(found) if found else np.empty(0, EVENT_DTYPE)
    last = end - (0 if own_clock else zero)
    if not len(taken):
        what = f"has no events between {start_us} and {stop_us} µs; it ends at {last} µs"
        raise UnusableError("no_events", path, what, "Check the times, or copy the recording again")
    taken["t"] -= start
    dropped = parts.report.dropped | ({"outside_part": seen - len(taken)} if seen > len(taken) else {})
    duration = int(taken["t"][-1]) if stop_us is None else stop_us - (start if own_clock else start - zero)
    return Taken(taken, duration, (parts.width, parts.height), dropped, last)


def _clock_start(path: Path, first_us: int, version: str) -> int:
    """Time of the start, µs on the file's clock; ``first_us``: time of its first event."""
    if version not in _TIME_WORDS:
        return first_us
    word, kind, unit, bits = _TIME_WORDS[version]
    with path.open("rb") as file:
        data = _HEADER.sub(b"", file.read(_SEARCHED), count=1)
    words = np.frombuffer(data[: len(data) - len(data) % word.itemsize], word)
    high = np.flatnonzero(words >> kind == 8)
    if not high.size:
        return first_us
    start = (int(words[high[0]]) & ((1 << kind) - 1)) << unit
    return first_us - (first_us - start) % (1 << bits)

"""A flow of events cut into ticks of equal length, as they would come from a camera."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from snnface.errors import InputError
from snnface.events import Recording, pack

#: A longer silence is taken for a broken clock: answering it tick by tick would never end.
LONGEST_GAP_US = 600_000_000
_READ_BYTES = 1 << 16
#: Wide enough that what is outside the sensor is seen as such.
_WIDE = np.dtype([(name, "<i8") for name in "txyp"])


def ticks(
    blocks: Iterable[np.ndarray], tick_us: int, where: object, origin: int | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Cut blocks of structured events into ticks, counted from ``origin`` µs; silent ticks come empty.

    ``origin`` is the time of the first event where it is not given. Tick k takes k·tick < t ≤ (k + 1)·tick µs
    after it, the first tick t = 0 too. It is given as soon as a later event shows that it is over, as (origin,
    events with t from there). Raises :class:`InputError` where time runs backwards or stands still for more than
    ten minutes.
    """
    waiting: list[np.ndarray] = []
    end, last = tick_us, 0
    for block in blocks:
        if len(block) == 0:
            continue
        if origin is None:
            origin = int(block["t"][0])
        local = pack(*(block[name] for name in "txyp"))
        local["t"] -= origin
        t = np.ascontiguousarray(local["t"])  # a strided column would be copied at every search
        if t[0] < last:
            raise InputError(where, f"time runs backwards ({last + origin} → {t[0] + origin} µs)", "Sort the events")
        gap = int(np.diff(t, prepend=last).max())
        if gap > LONGEST_GAP_US:
            raise InputError(where, f"time jumps by {gap / 1e6:.0f} s", "Cut the recording at the jump")
        last, start = int(t[-1]), 0
        while last > end:
            stop = int(np.searchsorted(t, end, side="right"))
            yield origin, np.concatenate([*waiting, local[start:stop]])
            waiting, start, end = [], stop, end + tick_us
        waiting.append(local[start:])
    if origin is not None and waiting:
        yield origin, np.concatenate(waiting)


def csv_blocks(stream: BinaryIO, width: int, height: int) -> Iterator[np.ndarray]:
    """Blocks of events from lines ``t,x,y,p`` (µs, pixels, 0/1; a header line may come first) as they arrive.

    Raises :class:`InputError` with the line's number where a line is not four integers, and where a block is not
    sorted or leaves the sensor.
    """
    rest, line = b"", 1
    while chunk := stream.read1(_READ_BYTES):  # type: ignore[attr-defined]
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield _block(whole, line, width, height)
            line += whole.count(b"\n") + 1
    if rest.strip():
        yield _block(rest, line, width, height)


def _block(text: bytes, first_line: int, width: int, height: int) -> np.ndarray:
    where = f"standard input from line {first_line}"
    rows = []
    for number, row in enumerate(text.splitlines(), first_line):
        if not row.strip() or (number == 1 and row[:1].isalpha()):
            continue
        try:
            t, x, y, p = (int(field) for field in row.split(b","))
            rows.append((t, x, y, p))
        except ValueError as e:
            shown = row[:40].decode("ascii", "replace")
            raise InputError(
                f"standard input line {number}", f"is not t,x,y,p: '{shown}'", "Write four integers a line"
            ) from e
    try:
        events = np.array(rows, _WIDE)
    except OverflowError as e:
        raise InputError(where, "has a number of more than 64 bits", "Give t in µs") from e
    wrong = events["p"][(events["p"] != 0) & (events["p"] != 1)]
    if len(wrong):
        raise InputError(where, f"has a polarity other than 0 and 1: {wrong[0]}", "Write 0 for off")
    return Recording(events, width, height, where).events

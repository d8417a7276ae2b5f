"""One recording format into another, part by part: recordings may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from snnface import io
from snnface.io.heap import keep_large_blocks_apart
from snnface.progress import bar

#: Smaller files are done before anyone would look at a bar.
_WORTH_A_BAR = 50_000_000


def convert_recording(
    source: str | Path,
    target: str | Path,
    size: tuple[int, int] | None = None,
    repair: bool = False,
    encoding: str | None = None,
) -> dict[str, object]:
    """Read ``source``, write ``target`` in the format of its suffix; both may be any that ``snnface.io`` knows.

    ``size`` is the sensor's (width, height) where the source does not state it; ``encoding`` that of RAW files,
    "evt3" or "evt2". Memory is constant. Returns the events read and written, what ``repair`` dropped by reason, and
    ``t0_us``, the µs taken off all times where the target's format cannot begin late.

    Raises
    ------
    InputError: the source cannot be read, or the target cannot be written.
    """
    target = Path(target)
    io.check_target(target, encoding=encoding)
    keep_large_blocks_apart()
    parts = io.Parts(source, repair, size)
    written = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal written
        for events in watched(parts):
            written += len(events)
            yield events

    shift = io.write_parts(counted(), target, (parts.width, parts.height), encoding)
    return {
        "events_in": written + parts.report.events_dropped,
        "events_out": written,
        "dropped": parts.report.dropped,
        "t0_us": shift,
    }


def watched(parts: io.Parts) -> Iterator[np.ndarray]:
    """The parts, with a progress bar where the file is large."""
    if parts.path.stat().st_size < _WORTH_A_BAR:
        yield from parts
        return
    with bar() as display:
        task = display.add_task(f"convert {parts.path.name} (%)", total=100)
        for events in parts:
            display.update(task, completed=int(100 * parts.done))
            yield events

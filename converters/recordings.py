"""One recording format into another."""

from __future__ import annotations

from pathlib import Path

from snnface import io
from snnface.errors import InputError

_VIDEO = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif"})


def convert_recording(
    source: str | Path, target: str | Path, size: tuple[int, int] | None = None, repair: bool = False
) -> dict[str, object]:
    """Read ``source``, write ``target`` in the format of its suffix; both may be any that ``snnface.io`` knows.

    ``size`` is the sensor's (width, height) where the source does not state it. Returns the events read and
    written, what ``repair`` dropped by reason, and ``t0_us``, the µs taken off all times where the target's
    format cannot begin late.

    Raises
    ------
    InputError: the source cannot be read, or the target cannot be written.
    """
    source, target = Path(source), Path(target)
    if source.is_dir() or source.suffix.lower() in _VIDEO:
        kind = "a folder" if source.is_dir() else "a video"
        raise InputError(source, f"is {kind}; only recordings of events are converted", "Give an event file")
    if target.suffix.lower() not in io.SUFFIXES:
        raise InputError(target, "its suffix names no recording format", f"Use one of {' '.join(io.SUFFIXES)}")
    recording, report = io.read(source, repair, size)
    shift = io.write(recording, target)
    return {
        "events_in": len(recording) + report.events_dropped,
        "events_out": len(recording),
        "dropped": report.dropped,
        "t0_us": shift,
    }

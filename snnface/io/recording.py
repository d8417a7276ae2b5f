"""Read and write one recording in any of the formats, chosen by suffix."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import faery
import numpy as np

from snnface.errors import InputError
from snnface.events import Recording
from snnface.files import atomic_path
from snnface.io import aedat4, csv_file, dat, es, evt, hdf5_file
from snnface.io.columns import assemble
from snnface.io.damage import Damage
from snnface.io.decoding import Columns, contained

Size = tuple[int, int]


class _Format(NamedTuple):
    read: Callable[[Path, Size | None, Damage], tuple[Columns, Size, str]]
    write: Callable[[Path, np.ndarray, Size], int]
    largest_sensor: int


_FORMATS: dict[str, _Format] = {
    suffix: _Format(module.read, module.write, module.LARGEST_SENSOR)
    for module in (evt, dat, aedat4, es, csv_file, hdf5_file)
    for suffix in module.SUFFIXES
}
SUFFIXES = tuple(_FORMATS)


@dataclass(frozen=True)
class Report:
    """What reading found: the format, the number of events dropped, and the counts of what was dropped by reason.

    Reasons that count events: ``outside_sensor``, ``backwards``, ``time_jump``, ``negative_time``,
    ``bad_polarity``, ``garbled_rows`` (of HDF5), and ``undated`` (before the first time word of a RAW file, in
    healthy files too). The others count what could not be read as events: ``truncated_bytes``,
    ``unknown_words``, ``unreadable_rows``, ``garbled_packets``.
    """

    format: str
    dropped: dict[str, int]
    events_dropped: int


def read(path: str | Path, repair: bool = False, size: Size | None = None) -> tuple[Recording, Report]:
    """Read a recording (RAW with EVT2 or EVT3, DAT, AEDAT4, ES, CSV, HDF5), validated.

    Parameters
    ----------
    repair: keep the good part of a broken file and say in the report what was dropped.
    size: sensor (width, height) in pixels where the file does not state it; refused where the file states another.

    A damaged file that still decodes is taken only where every pixel is on the sensor, time never runs
    backwards (the sensor's own read-out jitter of up to 1 ms is held, not refused) and never pauses for more than
    an hour.

    Raises
    ------
    InputError: the file is absent, unreadable, of another format, or broken (and not to be repaired, or with
        nothing left).
    """
    path = Path(path)
    form = _format(path)
    check_file(path)
    damage = Damage(path, repair)
    try:
        columns, size, name = form.read(path, size, damage)
    except OSError as e:
        raise InputError(path, f"cannot be read: {e.strerror or e}", "Check the file and its permissions") from e
    events = assemble(*columns, size=size, damage=damage)
    return Recording(events, *size, where=str(path)), Report(name, damage.dropped, damage.events)


def write(recording: Recording, path: str | Path) -> int:
    """Write a recording in the format that the suffix names, whole or not at all.

    Returns the µs taken off all times: 0, but for ES, which cannot begin late.

    Raises
    ------
    InputError: unknown suffix, no events, a sensor too large for the format, negative times, or a failed write.
    """
    path = Path(path)
    form = _format(path)
    size = (recording.width, recording.height)
    if not len(recording):
        raise InputError(path, "there are no events to write", "Give a recording with events")
    if max(size) > form.largest_sensor:
        most = form.largest_sensor
        raise InputError(path, f"this format holds at most {most}x{most} pixels", "Choose another format")
    if recording.t[0] < 0:
        raise InputError(path, "event files hold no negative times", "Shift the times to begin at 0")
    if path.is_dir():
        raise InputError(path, "is a folder", "Name a file")
    events = np.empty(len(recording), faery.EVENTS_DTYPE)
    events["t"], events["x"], events["y"], events["on"] = recording.t, recording.x, recording.y, recording.p
    try:
        with atomic_path(path) as temporary, contained(Damage(path, repair=True)):
            return form.write(temporary, events, size)
    except OSError as e:
        raise InputError(path, f"cannot be written: {e.strerror or e}", "Choose a writable folder") from e


def check_file(path: Path) -> None:
    """Raise :class:`InputError` unless ``path`` is a readable file with something in it."""
    try:
        if not path.exists():
            raise InputError(path, "does not exist", "Check the path")
        if not path.is_file():
            raise InputError(path, "is not a file", "Give one recording file")
        if path.stat().st_size == 0:
            raise InputError(path, "is empty", "Record or copy the file again")
        with path.open("rb"):
            pass
    except OSError as e:
        raise InputError(path, f"cannot be read: {e.strerror}", "Check the path and its permissions") from e


def parse_size(text: str | None, where: str = "--size") -> Size | None:
    """``"640x480"`` as (640, 480); None stays None."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip())
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(1 <= n <= 65_535 for n in size):
        raise InputError(where, f"{text!r} is not a size in pixels", "Write it as WIDTHxHEIGHT, such as 640x480")
    return size


def _format(path: Path) -> _Format:
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        what = f"the suffix {path.suffix!r} names no recording format" if path.suffix else "the name has no suffix"
        raise InputError(path, what, f"Use one of {' '.join(SUFFIXES)}")
    return form

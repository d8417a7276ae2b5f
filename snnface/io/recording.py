"""Read and write one recording in any of the formats, chosen by suffix."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from snnface.errors import InputError
from snnface.events import Recording
from snnface.files import atomic_path
from snnface.io import aedat4, csv_file, dat, es, evt, hdf5_file
from snnface.io.columns import LONGEST_PAUSE_US, Stretches, assembled
from snnface.io.damage import Damage
from snnface.io.decoding import Decoded, contained

Size = tuple[int, int]


class _Format(NamedTuple):
    read: Callable[[Path, Size | None, Damage], Decoded]
    write: Callable[[Path, Iterator[np.ndarray], Size, str], int]
    largest_sensor: int
    encodings: tuple[str, ...]
    longest_pause_us: int


_FORMATS: dict[str, _Format] = {
    suffix: _Format(
        module.read,
        module.write,
        module.LARGEST_SENSOR,
        module.ENCODINGS,
        getattr(module, "LONGEST_PAUSE_US", LONGEST_PAUSE_US),
    )
    for module in (evt, dat, aedat4, es, csv_file, hdf5_file)
    for suffix in module.SUFFIXES
}
SUFFIXES = tuple(_FORMATS)
#: Events that are written together.
_ROWS = 1 << 19


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


class Parts:
    """A recording as it is read: its parts in order of time, structured ``[E]`` (``EVENT_DTYPE``), sorted, checked.

    Iterate once; memory is constant. ``width``, ``height`` in pixels are known at once, ``report`` is whole at the
    end, and ``done`` is how much of the file was read, 0-1. Errors are those of :func:`read`.
    """

    def __init__(self, path: str | Path, repair: bool = False, size: Size | None = None) -> None:
        self.path, self.done = Path(path), 0.0
        self._form = _format(self.path)
        check_file(self.path)
        self._declared = size
        self._damage, self._decoded = self._open(repair)
        (self.width, self.height), self.format, _ = self._decoded

    def _open(self, repair: bool) -> tuple[Damage, Decoded]:
        damage = Damage(self.path, repair)
        with _readable(self.path):
            return damage, self._form.read(self.path, self._declared, damage)

    def __iter__(self) -> Iterator[np.ndarray]:
        size = self.width, self.height
        with _readable(self.path):
            stretch = self._longest_stretch() if self._damage.repair else 0
            for events, done in assembled(self._decoded.blocks, size, self._damage, stretch):
                self.done = done
                yield events

    def _longest_stretch(self) -> int:
        """Which of the stretches between pauses of more than an hour to keep: a first reading tells."""
        damage, decoded = self._open(repair=True)
        stretches = Stretches()
        for events, _ in assembled(decoded.blocks, (self.width, self.height), damage, stretch=None):
            stretches.of(events["t"])
        return stretches.longest

    @property
    def report(self) -> Report:
        """What reading found so far."""
        return Report(self.format, dict(self._damage.dropped), self._damage.events)


def read(path: str | Path, repair: bool = False, size: Size | None = None) -> tuple[Recording, Report]:
    """Read a recording (RAW with EVT2 or EVT3, DAT, AEDAT4, ES, CSV, HDF5), validated, into memory.

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
    parts = Parts(path, repair, size)
    events = list(parts)
    joined = events[0] if len(events) == 1 else np.concatenate(events)
    return Recording(joined, parts.width, parts.height, where=str(path)), parts.report


def write(recording: Recording, path: str | Path, encoding: str | None = None) -> int:
    """Write a recording in the format that the suffix names, whole or not at all; see :func:`write_parts`."""
    starts = range(0, len(recording), _ROWS)
    parts = (recording.events[start : start + _ROWS] for start in starts)
    return write_parts(parts, path, (recording.width, recording.height), encoding)


def write_parts(parts: Iterable[np.ndarray], path: str | Path, size: Size, encoding: str | None = None) -> int:
    """Write a recording that comes in parts: structured ``[E]`` with t (µs), x, y, p, in order of time.

    ``size``: sensor (width, height) in pixels; ``encoding``: "evt3" (default) or "evt2" for RAW, others have one.
    Memory is constant. Returns the µs taken off all times: 0, but for ES, which cannot begin late.

    Raises
    ------
    InputError: unknown suffix or encoding, no events, a sensor too large for the format, negative times, time that
        runs backwards or pauses for more than an hour (DAT: 35 minutes), or a failed write.
    """
    path = Path(path)
    form = check_target(path, size, encoding)
    checked = _checked(parts, path, form.longest_pause_us)
    first = next(checked, None)
    if first is None:
        raise InputError(path, "there are no events to write", "Give a recording with events")
    try:
        with atomic_path(path) as temporary, contained(Damage(path, repair=True)):
            return form.write(temporary, itertools.chain([first], checked), size, encoding or form.encodings[0])
    except OSError as e:
        raise InputError(path, f"cannot be written: {e.strerror or e}", "Choose a writable folder") from e


def check_target(path: Path, size: Size | None = None, encoding: str | None = None) -> _Format:
    """Raise :class:`InputError` where :func:`write_parts` would refuse the file's name, the size or the encoding."""
    form = _format(path)
    if encoding not in (None, *form.encodings):
        fix = f"Use {' or '.join(form.encodings)}, or leave it out"
        raise InputError(f"--encoding {encoding}", f"is no encoding of {path.suffix} files", fix)
    if size is not None and max(size) > form.largest_sensor:
        most = form.largest_sensor
        raise InputError(path, f"this format holds at most {most}x{most} pixels", "Choose another format")
    if path.is_dir():
        raise InputError(path, "is a folder", "Name a file")
    return form


def _checked(parts: Iterable[np.ndarray], path: Path, longest_pause_us: int) -> Iterator[np.ndarray]:
    """Parts that are not empty; raises where their times cannot be written, or not be read again."""
    latest: int | None = None
    for events in parts:
        if not len(events):
            continue
        t = events["t"].astype(np.int64, copy=False)
        if latest is None and t[0] < 0:
            raise InputError(path, "event files hold no negative times", "Shift the times to begin at 0")
        step = np.diff(t, prepend=t[0] if latest is None else latest)
        if step.min() < 0:
            raise InputError(path, "time runs backwards between the events to write", "Sort them by time")
        if step.max() > longest_pause_us:
            minutes = longest_pause_us // 60_000_000
            what = f"{path.suffix} files hold no pauses of more than {minutes} minutes"
            raise InputError(path, what, "Write the parts by themselves")
        latest = int(t[-1])
        yield events


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        if isinstance(e, InputError):
            raise
        raise InputError(path, f"cannot be read: {e.strerror or e}", "Check the file and its permissions") from e


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

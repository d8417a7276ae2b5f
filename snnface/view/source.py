"""What can be looked at: a recording, or one clip of a data set with its labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.facs import AU_INDEX, AU_NAMES, AUS, EXPRESSIONS
from snnface.io import parse_size, read
from snnface.io.hdf5_file import holds_dataset
from snnface.io.recording import check_file

#: Pixels of the largest sensor that is drawn.
MOST_PIXELS = 1 << 26
#: Names of the classes of each head.
CLASSES: dict[str, tuple[str, ...]] = {
    "au": tuple(f"AU{n} {AU_NAMES[n]}" for n in AUS),
    "expression": EXPRESSIONS,
}


@dataclass(frozen=True)
class Labels:
    """What a data set says of the F frames of a span.

    ``t_us`` int64 ``[F]`` from the span's start (the first may lie before it); ``au_intensity`` ``[F, 24]``;
    ``landmarks`` ``[F, L, 2]`` event pixels, NaN where unlabelled or hidden; ``rgb``: F encoded pictures, or none;
    ``aligned``: whether RGB and events share pixels; ``classes``: head → index of the clip's class.
    """

    t_us: np.ndarray
    au_intensity: np.ndarray
    landmarks: np.ndarray
    rgb: list[bytes]
    aligned: bool
    classes: dict[str, int]

    @property
    def names(self) -> list[str]:
        """Names of the clip's classes."""
        return [CLASSES[head][index] for head, index in self.classes.items()]


class Source(NamedTuple):
    """Events on one clock that starts at 0: a clip's start, or a recording's first event.

    ``events(start, stop)``: those with start ≤ t < stop, structured ``[E]``, t in µs. ``labels(start, stop)``: the
    frames of a span, None where there are none. ``clip``: a clip of a data set, whose answers count from its start.
    """

    title: str
    width: int
    height: int
    duration_us: int
    events: Callable[[int, int], np.ndarray]
    labels: Callable[[int, int], Labels | None]
    clip: bool


class Span(NamedTuple):
    """The part to look at, µs on the source's clock, both ends included."""

    start_us: int
    stop_us: int

    @property
    def duration_us(self) -> int:
        """Its length in µs, at least 1."""
        return self.stop_us - self.start_us


def open_source(file: Path, clip: int = 0, size: str | None = None, repair: bool = False) -> Source:
    """Open a recording of any format, or a clip of a data set.

    Raises :class:`InputError` as the readers do, for a clip that is not there, and for a sensor too large to draw.
    """
    check_file(file)
    source = _clip(file, clip) if holds_dataset(file) else _recording(file, size, repair)
    if source.width * source.height > MOST_PIXELS:
        what = f"its sensor of {source.width}x{source.height} pixels is too large to be drawn"
        raise InputError(file, what, "Make it smaller with snnface convert --size WxH")
    return source


def span(source: Source, start_s: float, seconds: float | None) -> Span:
    """``seconds`` from ``start_s``, or to the end; raises :class:`InputError` where the source has nothing there."""
    end = source.duration_us
    if not 0 <= start_s * 1e6 <= end - 1:
        raise InputError(
            "--start", f"{start_s:g} s is outside the {end / 1e6:g} s of {source.title}", "Begin earlier"
        )
    start = round(start_s * 1e6)
    if seconds is None:
        return Span(start, end)
    if not seconds * 1e6 >= 1:
        raise InputError("--seconds", f"{seconds:g} s is no length", "Give at least 0.000001")
    return Span(start, round(min(end, start + seconds * 1e6)))


def _recording(file: Path, size: str | None, repair: bool) -> Source:
    found, _ = read(file, repair, parse_size(size))
    events = found.events
    events["t"] -= events["t"][0]
    t = np.ascontiguousarray(events["t"])  # a strided column would be copied at every search

    def within(start: int, stop: int) -> np.ndarray:
        return events[slice(*np.searchsorted(t, [start, stop]))]

    duration = max(1, int(t[-1]))
    return Source(file.name, found.width, found.height, duration, within, lambda start, stop: None, clip=False)


def _clip(file: Path, number: int) -> Source:
    store = Store(file)
    if number >= len(store):
        raise InputError("--clip", f"{number} is beyond the data set's {len(store)} clips", "Count from 0")

    def labels(start: int, stop: int) -> Labels | None:
        rows = store.frames(number, ("frame_t_us", "au_intensity", "landmarks", "visible"))
        t = rows["frame_t_us"]
        if not len(t):
            return None
        inside = slice(max(0, int(np.searchsorted(t, start, "right")) - 1), int(np.searchsorted(t, stop, "right")))
        classes = {"au": AU_INDEX.get(int(store.au[number]), -1), "expression": int(store.expression[number])}
        return Labels(
            t[inside] - start,
            rows["au_intensity"][inside],
            np.where(rows["visible"][inside, :, None], rows["landmarks"][inside], np.nan),
            store.encoded_rgb(number, inside),
            bool(store.attrs.get("rgb_aligned")),
            {head: index for head, index in classes.items() if index >= 0},
        )

    def within(start: int, stop: int) -> np.ndarray:
        return store.events(number, start, stop)

    title = f"{file.name}, clip {number}"
    duration = max(1, int(store.duration_us[number]))
    return Source(title, store.width, store.height, duration, within, labels, clip=True)

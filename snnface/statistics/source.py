"""Recordings and data sets as segments: stretches of time that are counted one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.events import Recording
from snnface.io import check_file, read
from snnface.io.hdf5_file import SUFFIXES, holds_dataset
from snnface.progress import track
from snnface.statistics.counts import Counts, Segment, count, segment, total


@dataclass(frozen=True)
class Counted:
    """Counts of a whole recording or data set, and of its two halves (None where there is nothing to halve)."""

    whole: Counts
    halves: tuple[Counts, Counts] | None


def counted(path: Path, size: tuple[int, int] | None = None, clips: int = 0) -> Counted:
    """Count a recording, or a data set clip by clip.

    A recording lasts from its first event to its last, its halves are those of that time. A clip lasts as long as the
    data set says; the halves of a data set are its even and its odd clips. Counting one takes memory for one clip.

    Parameters
    ----------
    size: sensor (width, height) in pixels where a recording does not state it.
    clips: at most so many clips of a data set, evenly spread; 0 for all.

    Raises
    ------
    InputError: the file cannot be read, or holds no two different times.
    """
    if path.suffix.lower() in SUFFIXES:
        check_file(path)
        if holds_dataset(path):
            return _of_dataset(Store(path), clips)
    return of_recording(read(path, size=size)[0])


def of_recording(recording: Recording) -> Counted:
    """Count one recording; raises :class:`InputError` where it holds no two different times."""
    events, shape = recording.events, (recording.width, recording.height)
    first, last = (int(events["t"][i]) for i in (0, -1)) if len(events) else (0, 0)
    if first == last:
        raise InputError(recording.where, "holds no two different times", "Give a longer recording")
    middle = (first + last) // 2
    cut = int(np.searchsorted(events["t"], middle))
    parts = [(events, first, last), (events[:cut], first, middle), (events[cut:], middle, last)]

    def counts(part: tuple[np.ndarray, int, int]) -> Counts:
        some, start, stop = part
        return count(segment(some, start, stop - start), *shape)

    with ThreadPoolExecutor(len(parts)) as threads:  # the kernels let go of the interpreter
        whole, early, late = threads.map(counts, parts)
    return Counted(whole, (early, late) if cut and middle > first else None)


def _of_dataset(store: Store, clips: int) -> Counted:
    wanted = len(store) if clips == 0 else min(clips, len(store))
    chosen = np.unique(np.linspace(0, len(store) - 1, wanted).astype(int)).tolist() if wanted else []
    shape = store.width, store.height
    even, odd = (
        total(_segments(store, chosen[start::2], f"{store.path.name}, {name} clips"), *shape)
        for start, name in ((0, "even"), (1, "odd"))
    )
    whole = even + odd
    if not whole.events:
        raise InputError(store.path, "holds no events", "Give a data set with events")
    return Counted(whole, (even, odd) if even.events and odd.events else None)


def _segments(store: Store, chosen: Iterable[int], label: str) -> Iterator[Segment]:
    for clip in track(list(chosen), label):
        duration = int(store.duration_us[clip])
        yield segment(store.events(clip, stop_us=duration + 1), 0, duration)

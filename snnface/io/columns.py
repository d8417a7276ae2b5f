"""Four decoded columns to one valid structured array: the checks that all formats share."""

from __future__ import annotations

import numpy as np

from snnface.events import pack
from snnface.io.damage import Damage
from snnface.io.order import in_order

#: A pause longer than this inside one recording is a garbled time stamp.
LONGEST_PAUSE_US = 3_600_000_000


def assemble(
    t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray, size: tuple[int, int], damage: Damage
) -> np.ndarray:
    """Integer columns ``[E]`` (µs, pixels, polarity) to a structured array of ``EVENT_DTYPE``, sorted by time.

    Raises :class:`~snnface.errors.InputError` (or, under repair, drops and counts) events with a polarity other
    than 0 and 1, a pixel outside ``size`` (width, height), a negative time, a time that runs backwards, or a
    pause of more than an hour; raises in any case where no event is left.
    """
    columns = [t, x, y, p]

    def check(reason: str, good: np.ndarray, what: str) -> None:
        bad = len(good) - int(np.count_nonzero(good))
        if not bad:
            return
        i = int(np.argmin(good))
        event = ", ".join(f"{n} {int(c[i])}" for n, c in zip("txyp", columns, strict=True))
        damage.found(reason, bad, f"{what} at event {i} ({event}), {{}} in all")
        columns[:] = [c[good] for c in columns]

    width, height = size
    check("bad_polarity", (p == 0) | (p == 1), "polarity is neither 0 nor 1")
    x, y = columns[1:3]
    outside = f"pixel outside the {width}x{height} sensor"
    check("outside_sensor", (x >= 0) & (y >= 0) & (x < width) & (y < height), outside)
    columns[0] = columns[0].astype(np.int64, copy=False)
    check("negative_time", columns[0] >= 0, "time is negative")
    check("backwards", in_order(columns[0]), "time runs backwards")
    check("time_jump", _longest_stretch(columns[0]), "time jumps by more than an hour")
    if not len(columns[0]):
        raise damage.lost("holds no valid events")
    return pack(*columns)


def _longest_stretch(t: np.ndarray) -> np.ndarray:
    """bool ``[E]``: the stretch with the most events between pauses of more than an hour."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(t) > LONGEST_PAUSE_US) + 1, [len(t)]])
    longest = int(np.argmax(np.diff(edges)))
    keep = np.zeros(len(t), bool)
    keep[edges[longest] : edges[longest + 1]] = True
    return keep

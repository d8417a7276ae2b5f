"""e-CK+ (Verschae and Bugueno-Cordova 2023, IEEE Access 11), as its authors' code reads it.

``Train_Set`` and ``Test_Set`` with class folders 1 to 7 (or 0 to 6: anger, contempt, disgust, fear, happy, sadness,
surprise) of files ``S<person>_<sequence>.npy``: rows x, y (of 346×260 pixels), t in seconds, p of −1 and 1. The
events were simulated from CK+. People occur in both sets.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from snnface.converters.published.layout import Layout, Options, Reading, Source, UnusableError, unlabelled
from snnface.converters.published.people import TEST, TRAIN, by_person, held_back
from snnface.errors import InputError
from snnface.events import pack
from snnface.facs import EXPRESSIONS

SIZE = (346, 260)
_SETS = {"Train_Set": TRAIN, "Test_Set": TEST}


def recognise(folder: Path) -> bool:
    """Whether a folder of this layout begins here."""
    return next(folder.glob("Train_Set/[0-7]/S*.npy"), None) is not None


def sources(folder: Path, options: Options) -> list[Source]:
    """The sequences by set, class and name."""
    files = sorted(path for name in _SETS for path in folder.glob(f"{name}/[0-7]/*.npy"))
    first = min((int(path.parent.name) for path in files), default=0)
    found = []
    for path in files:
        if not 0 <= int(path.parent.name) - first < len(EXPRESSIONS):
            raise InputError(path.parent, "class folders are neither 0 to 6 nor 1 to 7", "Copy the set again")
        name = "/".join(path.parts[-3:]).removesuffix(".npy")
        expression = int(path.parent.name) - min(first, 1)
        person = path.stem.partition("_")[0]
        found.append(Source(name, path, person=person, split=_SETS[path.parts[-3]], expression=expression))
    if options.by_identity:
        splits = by_person([s.person for s in found], options.validation)
        return [replace(s, split=splits[s.person]) for s in found]
    tested = {s.person for s in found if s.split == TEST}
    train = sorted({s.person for s in found if s.split == TRAIN} - tested)
    held = held_back(train, options.validation)
    return [replace(s, split=held.get(s.person, s.split)) for s in found]


def read(source: Source, options: Options) -> Reading:
    """A sequence from its first event to its last."""
    t, x, y, p = _columns(source.path)
    inside = (x >= 0) & (y >= 0) & (x < SIZE[0]) & (y < SIZE[1])
    ordered = t >= np.maximum.accumulate(t)
    wrong = {"outside_sensor": ~inside, "backwards": inside & ~ordered}
    dropped = {reason: int(np.count_nonzero(bad)) for reason, bad in wrong.items() if bad.any()}
    good = inside & ordered
    if not good.any() or (dropped and not options.repair):
        what = ", ".join(f"{count} of {len(t)} events {reason}" for reason, count in dropped.items())
        raise UnusableError("damaged", source.path, what, "Copy it again, or repair it")
    events = pack(t[good] - t[good][0], x[good], y[good], p[good] > 0)
    return Reading(unlabelled(events, int(events["t"][-1])), SIZE, dropped)


def _columns(path: Path) -> tuple[np.ndarray, ...]:
    """t (µs), x, y, p as int64 ``[E]``."""
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as e:
        raise UnusableError("unreadable", path, f"cannot be read as a NumPy array ({e})", "Copy it again") from e
    if rows.ndim != 2 or rows.shape[1] != 4 or rows.dtype.kind not in "iuf" or not len(rows):
        what = f"is {rows.dtype} of shape {rows.shape}, not rows of x, y, t, p"
        raise UnusableError("unreadable", path, what, "Copy it again")
    if not np.isfinite(rows).all():
        raise UnusableError("unreadable", path, "holds events that are not finite", "Copy it again")
    x, y, seconds, p = rows.astype(np.float64).T
    return tuple(np.rint(column).astype(np.int64) for column in (seconds * 1e6, x, y, p))


LAYOUT = Layout(recognise, sources, read)

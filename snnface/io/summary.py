"""What a data set of labelled clips holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.events import Recording


def summary(path: Path) -> dict[str, Any]:
    """Counts of a data set, clip by clip; times are from each clip's start, the duration is that of all clips.

    ``tasks`` names the labels that at least one clip has. Raises :class:`~snnface.errors.InputError` where the
    file is not of our layout or a clip is broken.
    """
    try:
        store = Store(path)
        first, last, on, events = [], [], 0, 0
        landmarks = False
        for i in range(len(store)):
            clip = Recording(store.events(i), store.width, store.height)
            landmarks = landmarks or bool(np.isfinite(store.frames(i)["landmarks"]).any())
            if len(clip):
                first.append(int(clip.t[0]))
                last.append(int(clip.t[-1]))
                on += int(clip.p.sum())
                events += len(clip)
    except (OSError, KeyError, RuntimeError, IndexError, ValueError) as e:
        if isinstance(e, InputError):
            raise
        raise InputError(path, f"cannot be read as a data set ({e})", "Make it again") from e
    labelled = {"au": (store.au >= 0).any(), "expression": (store.expression >= 0).any(), "landmarks": landmarks}
    return {
        "clips": len(store),
        "identities": len(np.unique(store.identity)),
        "tasks": [task for task, present in labelled.items() if present],
        "events": events,
        "width": int(store.width),
        "height": int(store.height),
        "t_first_us": min(first, default=None),
        "t_last_us": max(last, default=None),
        "duration_us": int(store.duration_us.sum()),
        "on_fraction": on / events if events else None,
        "format": "dataset",
        "dropped": {},
    }

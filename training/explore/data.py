"""A data set as a sensor of fewer pixels would have seen it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from snnface.datasets.layout import FRAME_FIELDS
from snnface.datasets.store import ClipData, Store, write_store
from snnface.downscale import Downscale
from snnface.errors import InputError
from snnface.progress import track


def shrink(source: Path, target: Path, longer_side: int) -> dict[str, Any]:
    """Write ``target``: every clip of ``source`` on ``longer_side`` pixels, labels moved with it, without RGB.

    A pixel fires where the mean of the pixels under it would have (:mod:`snnface.downscale`). Raises
    :class:`InputError` where the picture would not become smaller.
    """
    store = Store(source)
    factor = longer_side / max(store.width, store.height)
    width, height = (max(1, round(n * factor)) for n in (store.width, store.height))
    if factor >= 1 or min(width, height) < 4:
        what = f"makes {width}x{height} of {store.width}x{store.height} pixels"
        raise InputError(f"--vary size={longer_side}", what, "Give fewer pixels than the data set has, at least 4")
    made = {"name": "snnface explore", "settings": {"size": f"{width}x{height}", "of": store.generator}}
    write_store(target, _clips(store, width, height), width, height, made)
    return {"out": str(target), "width": width, "height": height}


def _clips(store: Store, width: int, height: int) -> Iterator[ClipData]:
    scale = np.array([width / store.width, height / store.height], np.float32)
    for i in track(range(len(store)), f"  {width}×{height} pixels"):
        frames: dict[str, Any] = store.frames(i, tuple(FRAME_FIELDS))
        box = frames["box"].reshape(-1, 2, 2)
        frames["landmarks"], frames["box"] = _moved(frames["landmarks"], scale), _moved(box, scale).reshape(-1, 4)
        yield ClipData(
            Downscale(store.width, store.height, width, height)(store.events(i)),
            int(store.duration_us[i]),
            int(store.identity[i]),
            int(store.au[i]),
            int(store.expression[i]),
            int(store.split[i]),
            **{name: frames[name] for name in FRAME_FIELDS},
        )


def _moved(points: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Points ``[..., 2]`` on the smaller picture; pixel centres have whole coordinates."""
    return (points + 0.5) * scale - 0.5

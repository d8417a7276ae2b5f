"""Labelled faces as a Tonic data set: whole clips or windows of them, read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tonic import Dataset

from snnface.batch import EventBatch, collate_events
from snnface.datasets.layout import FRAME_FIELDS
from snnface.datasets.store import SPLITS, Store
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE
from snnface.facs import AU_INDEX, AU_NAMES, EXPRESSIONS

#: What is said once of an item; everything else that :meth:`FaceEvents.collate` joins has a row for each frame.
ITEM_LABELS = ("au", "au_class", "expression", "identity", "clip", "start_us", "duration_us")

Target = dict[str, Any]


class FaceEvents(Dataset):
    """Clips of one split of a data set, for Tonic's transforms and caches and for torch's data loaders.

    An item is ``(events, target)``. ``events``: structured ``[E]`` of :attr:`dtype`, t in µs from the item's start.
    ``target`` has Python integers ``au`` (FACS number) and ``au_class`` (its index in ``classes["au"]``),
    ``expression`` (index), ``identity``, ``clip`` (number in the file), ``start_us`` (of the item in its clip) and
    ``duration_us``, −1 where unlabelled; and, for the F frames within the item, ``frame_t_us`` int64 ``[F]`` on the
    events' clock, ``au_intensity`` float32 ``[F, 24]``, ``landmarks`` float32 ``[F, L, 2]`` in event pixels (x, y),
    ``visible`` bool ``[F, L]``, ``coefficients`` float32 ``[F, K]``, ``pose`` ``[F, 3]`` and ``gaze`` ``[F, 2]``
    (degrees), ``box`` ``[F, 4]`` (x0, y0, x1, y1), and with ``rgb`` the pictures, uint8 ``[F, H, W, 3]``.

    Parameters
    ----------
    path: the data set (HDF5).
    split: "train", "validation", "test" or None for all clips.
    window_us: cut each clip into windows of this length, the last one shorter; an item is then a window, and only
        its events are read. An event on a border belongs to the later window, at the end of the clip to the last.
    transform, target_transform, transforms: applied to the events, to the target, to both, in this order.
    rgb: decode the pictures too.
    extra: labels beyond those that every data set has: ``landmarks98``, ``visible98``.

    Raises
    ------
    InputError: the file is broken, has no such clips or no pictures, or an argument is out of range.
    """

    dtype = EVENT_DTYPE
    ordering = EVENT_DTYPE.names
    #: Names of the classes of each task.
    classes = {  # noqa: RUF012 - Tonic's data sets have it on the class
        "au": tuple(f"AU{number} {name}" for number, name in AU_NAMES.items()),
        "expression": EXPRESSIONS,
    }

    def __init__(
        self,
        path: str | Path,
        split: str | None = None,
        window_us: int | None = None,
        transform: Callable[[np.ndarray], Any] | None = None,
        target_transform: Callable[[Target], Any] | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        rgb: bool = False,
        extra: Sequence[str] = (),
    ) -> None:
        super().__init__(str(Path(path).parent), transform, target_transform, transforms)
        if split is not None and split not in SPLITS:
            raise InputError(f"split {split!r}", "is unknown", f"Use one of {', '.join(SPLITS)} or None")
        if window_us is not None and window_us < 1:
            raise InputError(f"window_us {window_us}", "is no length", "Give a number of µs ≥ 1")
        self.store, self.window_us, self.rgb = Store(path), window_us, rgb
        if rgb and not self.store.has_rgb:
            raise InputError(path, "has no pictures", "Leave out rgb, or make the data set with --rgb")
        missing = [name for name in extra if name not in self.store.extra]
        if missing:
            raise InputError(path, f"has no {missing[0]}", "Leave it out, or make the data set again")
        self.names = (*FRAME_FIELDS, *extra)
        chosen = np.arange(len(self.store))
        if split is not None:
            chosen = np.flatnonzero(self.store.split == SPLITS.index(split))
        if len(chosen) == 0:
            raise InputError(path, f"has no {split} clips", "Choose another split, or make a data set of more people")
        self.sensor_size = (self.store.width, self.store.height, 2)
        duration_us = self.store.duration_us[chosen]
        windows = np.ones(len(chosen), np.int64) if window_us is None else -(-duration_us // window_us)
        #: Clip of each item, and its place among the windows of the clip.
        self._clip = np.repeat(chosen, windows)
        self._window = np.arange(len(self._clip)) - np.repeat(windows.cumsum() - windows, windows)

    def __len__(self) -> int:
        return len(self._clip)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        clip = int(self._clip[index])
        duration_us = int(self.store.duration_us[clip])
        start = int(self._window[index]) * (self.window_us or 0)
        stop = duration_us if self.window_us is None else min(start + self.window_us, duration_us)
        events = self.store.events(clip, start, None if stop == duration_us else stop)
        events["t"] -= start
        target = self._target(clip, start, stop)
        if self.transform is not None:
            events = self.transform(events)
        if self.target_transform is not None:
            target = self.target_transform(target)
        if self.transforms is not None:
            events, target = self.transforms(events, target)
        return events, target

    def _target(self, clip: int, start: int, stop: int) -> Target:
        store = self.store
        frames = store.frames(clip, self.names)
        t = frames["frame_t_us"]
        last = stop == int(store.duration_us[clip])
        inside = slice(int(np.searchsorted(t, start)), len(t) if last else int(np.searchsorted(t, stop)))
        target: Target = {
            "au": int(store.au[clip]),
            "au_class": AU_INDEX.get(int(store.au[clip]), -1),
            "expression": int(store.expression[clip]),
            "identity": int(store.identity[clip]),
            "clip": clip,
            "start_us": start,
            "duration_us": stop - start,
        }
        target |= {name: rows[inside] for name, rows in frames.items()} | {"frame_t_us": t[inside] - start}
        if self.rgb:
            target["rgb"] = store.rgb(clip, inside)
        return target

    def collate(self, items: Sequence[tuple[np.ndarray, Target]]) -> tuple[EventBatch, dict[str, torch.Tensor]]:
        """Join B items into a ragged batch, for ``DataLoader(..., collate_fn=data.collate)``.

        In the targets, what is said of an item becomes int64 ``[B]``, rows of frames follow one another, and item b
        owns the frames ``frame_offsets[b]:frame_offsets[b + 1]`` (int64 ``[B + 1]``). Nothing is padded.
        """
        events, targets = zip(*items, strict=True)
        width, height, _ = self.sensor_size
        batch = collate_events(events, [int(t["duration_us"]) for t in targets], width, height)
        joined = {name: torch.tensor([int(t[name]) for t in targets]) for name in ITEM_LABELS}
        for name in targets[0].keys() - joined.keys():
            joined[name] = torch.from_numpy(np.concatenate([t[name] for t in targets]))
        counts = [0, *(len(t["frame_t_us"]) for t in targets)]
        return batch, joined | {"frame_offsets": torch.tensor(counts).cumsum(0)}

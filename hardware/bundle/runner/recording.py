"""Events from an HDF5 file, brought to the network's size and cut into its steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from .files import Problem

_ROWS = 1 << 20


class Events(NamedTuple):
    """Columns of the same length: t (µs, int64), x and y (pixels), p (0 or 1)."""

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray

    def cut(self, part: slice | np.ndarray) -> Events:
        """Some of the events."""
        return Events(*(column[part] for column in self))


class Recording:
    """One recording (``events/{t, x, y, p}``, attributes width and height) or one clip of a data set, as snnface
    writes them.

    ``origin``: where time begins, the first event's time or 0 in a clip; ``duration_us``: of a clip, else None.
    """

    def __init__(self, path: Path, clip: int = 0) -> None:
        self.path, self.first, self.duration_us = path, 0, None
        try:
            with h5py.File(path, "r") as file:
                self.width, self.height = (int(file.attrs[n]) for n in ("width", "height"))
                self.end, self.origin = len(file["events/t"]), None
                if "offsets" in file:
                    if not 0 <= clip < len(file["offsets"]) - 1:
                        raise Problem("--clip", f"{clip} is beyond the last clip", "Count from 0")
                    self.first, self.end = (int(n) for n in file["offsets"][clip : clip + 2])
                    self.origin, self.duration_us = 0, int(file["duration_us"][clip])
                elif self.end:
                    self.origin = int(file["events/t"][0])
        except FileNotFoundError as e:
            raise Problem(path, "does not exist", "Check the path") from e
        except (OSError, KeyError, TypeError, ValueError) as e:
            fix = "Give an HDF5 file with events/t, x, y, p, as snnface convert writes it"
            raise Problem(path, f"is not a readable recording ({e})", fix) from e

    def blocks(self) -> Iterator[Events]:
        """The events in order, many at a time."""
        last = None
        for start in range(self.first, self.end, _ROWS):
            try:
                with h5py.File(self.path, "r") as file:
                    rows = slice(start, min(start + _ROWS, self.end))
                    t, x, y, p = (file[f"events/{name}"][rows].astype(np.int64) for name in "txyp")
            except (OSError, KeyError) as e:
                raise Problem(self.path, f"its events cannot be read ({e})", "Copy it again") from e
            if (np.diff(t, prepend=t[0] if last is None else last) < 0).any():
                raise Problem(self.path, "time runs backwards", "Sort it by time")
            if min(x.min(), y.min(), p.min()) < 0 or x.max() >= self.width or y.max() >= self.height or p.max() > 1:
                raise Problem(self.path, f"has events outside its {self.width}x{self.height} pixels", "Repair it")
            last = t[-1]
            yield Events(t, x, y, p)

    def steps(self, step_us: int) -> Iterator[Events]:
        """Events of every step, t from the origin: step k takes k·step < t ≤ (k + 1)·step µs, the first t = 0 too.

        It ends with the step of the last event; silent steps come empty.
        """
        waiting: list[Events] = []
        end = step_us
        for block in self.blocks():
            local = block._replace(t=block.t - (self.origin or 0))
            start = 0
            while local.t[-1] > end:
                stop = int(np.searchsorted(local.t, end, side="right"))
                yield _joined([*waiting, local.cut(slice(start, stop))])
                waiting, start, end = [], stop, end + step_us
            waiting.append(local.cut(slice(start, None)))
        if waiting:
            yield _joined(waiting)


def _joined(parts: list[Events]) -> Events:
    return parts[0] if len(parts) == 1 else Events(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Scaling:
    """A large sensor's events as the network's smaller input would have seen them, event by event.

    The largest centred box of the target's aspect is kept. A pixel of the target fires where the signed sum of the
    events of the n sensor pixels beneath it reaches n; the sums are kept from call to call.
    """

    def __init__(self, width: int, height: int, to_width: int, to_height: int) -> None:
        box = [width, height]
        if width * to_height >= height * to_width:
            box[0] = max(1, height * to_width // to_height)
        else:
            box[1] = max(1, width * to_height // to_width)
        self.axes = [_Axis(*a) for a in zip((width, height), box, (to_width, to_height), strict=True)]
        self.to_width = to_width
        pixels = [
            np.bincount(a.table[a.table >= 0], minlength=n)
            for a, n in zip(self.axes, (to_width, to_height), strict=True)
        ]
        self.needed = np.outer(pixels[1], pixels[0]).ravel()
        self.sums = np.zeros_like(self.needed)

    def __call__(self, events: Events) -> Events:
        """Events of the sensor → those of the target, in the same order."""
        x, y = self.axes[0].table[events.x], self.axes[1].table[events.y]
        inside = np.flatnonzero((x >= 0) & (y >= 0))
        cell = y[inside] * self.to_width + x[inside]
        fired = inside[self._fire(cell, 2 * events.p[inside] - 1)]
        return Events(events.t[fired], x[fired], y[fired], events.p[fired])

    def _fire(self, cell: np.ndarray, change: np.ndarray) -> np.ndarray:
        """bool ``[e]``: which events make their pixel fire; the k-th events of all pixels are taken together."""
        fires = np.ones(len(cell), bool)
        order = np.argsort(cell, kind="stable")
        order = order[self.needed[cell[order]] > 1]  # above a single pixel every event passes
        place = cell[order]
        rank = np.arange(len(place)) - np.searchsorted(place, place)
        turns = order[np.argsort(rank, kind="stable")]
        for now in np.split(turns, np.cumsum(np.bincount(rank))[:-1]) if len(rank) else ():
            total, needed = self.sums[cell[now]] + change[now], self.needed[cell[now]]
            fires[now] = total * change[now] >= needed
            self.sums[cell[now]] = np.where(fires[now], total - change[now] * needed, total)
        return fires

    def to_sensor(self, points: np.ndarray) -> np.ndarray:
        """Points ``[..., 2]`` (x, y) in target pixels → sensor pixels."""
        return np.stack([axis.to_sensor(points[..., i]) for i, axis in enumerate(self.axes)], axis=-1)


class _Axis:
    """One axis: sensor pixels [start, start + box) fall on all target pixels; −1 in ``table``: on none."""

    def __init__(self, size: int, box: int, target: int) -> None:
        self.start, self.scale = (size - box) // 2, box / target
        position = np.arange(size) - self.start
        self.table = np.where((position >= 0) & (position < box), position * target // box, -1)

    def to_sensor(self, x: np.ndarray) -> np.ndarray:
        return self.start + (x + 0.5) * self.scale - 0.5


class Coding:
    """How the network takes events: an event's weight is exp(−age / tau) at the end of its step.

    graded: the payload of a pixel and step is min(P, round(p₁ · sum of weights)); unary: a spike where there is an
    event.
    """

    def __init__(self, manifest: dict, input_shape: tuple[int, int, int]) -> None:
        self.shape, self.graded = input_shape, manifest["input_mode"] == "graded"
        self.one, self.most = int(manifest["payload_one"]), int(manifest["payload_max"])
        self.weights = np.exp(-np.arange(int(manifest["step_us"]) + 1) / float(manifest["tau_syn_us"]))

    def __call__(self, events: Events, end_us: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Active input neurons (flat, CHW, rising) and payloads (None: spikes) of a step that ends at ``end_us``."""
        _, height, width = self.shape
        cell = (events.p * height + events.y) * width + events.x
        active, inverse = np.unique(cell, return_inverse=True)
        if not self.graded:
            return active, None
        total = np.bincount(inverse, weights=self.weights[end_us - events.t], minlength=len(active))
        payload = np.minimum(np.rint(total * self.one), self.most)
        return active[payload > 0], payload[payload > 0]

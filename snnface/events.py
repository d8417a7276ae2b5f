"""One recording of an event camera, validated once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnface.errors import InputError

#: Default layout of an event: t in µs, x and y in pixels, p True where the light grew.
EVENT_DTYPE = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "?")])


@dataclass(frozen=True)
class Recording:
    """Events of one sensor, sorted by time.

    Parameters
    ----------
    events: structured array ``[E]`` with the fields t (integer µs), x, y (integer pixels) and p (bool or 0/1),
        in any order and width: a Tonic array is taken as it is, without a copy.
    width, height: sensor size in pixels.
    where: what to call the recording in errors.

    Raises
    ------
    InputError: a field is missing or of the wrong kind, time runs backwards, or a pixel is outside the sensor.
    """

    events: np.ndarray
    width: int
    height: int
    where: str = "recording"

    def __post_init__(self) -> None:
        names = self.events.dtype.names or ()
        missing = [n for n in "txyp" if n not in names]
        if missing or self.events.ndim != 1:
            raise InputError(
                self.where,
                f"events need the fields t, x, y, p in one dimension, got {names} with shape {self.events.shape}",
                "Pass a structured array as Tonic makes them",
            )
        for n in "txyp":
            if self.events[n].dtype.kind not in "iub":
                raise InputError(self.where, f"field {n} is {self.events[n].dtype}", "Use an integer type")
        if self.width < 1 or self.height < 1:
            raise InputError(self.where, f"sensor size {self.width}x{self.height}", "Give a width and height ≥ 1")
        if len(self.events) == 0:
            return
        back = np.flatnonzero(np.diff(self.t.astype(np.int64, copy=False)) < 0)
        if back.size:
            i = int(back[0]) + 1
            raise InputError(
                self.where,
                f"time runs backwards at event {i} ({self.t[i - 1]} → {self.t[i]} µs)",
                "Use --repair to keep the part that is in order",
            )
        outside = self.outside()
        if outside.any():
            i = int(outside.argmax())
            raise InputError(
                self.where,
                f"event {i} at pixel ({self.x[i]}, {self.y[i]}) is outside the {self.width}x{self.height} sensor",
                "Give the right sensor size, or use --repair to drop such events",
            )

    def outside(self) -> np.ndarray:
        """bool ``[E]``: which events lie outside the sensor."""
        x, y = self.x, self.y
        return (x < 0) | (y < 0) | (x >= self.width) | (y >= self.height)

    def __len__(self) -> int:
        return len(self.events)

    @property
    def t(self) -> np.ndarray:
        """Time in µs ``[E]`` (a view)."""
        return self.events["t"]

    @property
    def x(self) -> np.ndarray:
        """Column in pixels ``[E]`` (a view)."""
        return self.events["x"]

    @property
    def y(self) -> np.ndarray:
        """Row in pixels ``[E]`` (a view)."""
        return self.events["y"]

    @property
    def p(self) -> np.ndarray:
        """Polarity ``[E]`` (a view): True or 1 where the light grew."""
        return self.events["p"]

    @classmethod
    def from_tonic(cls, events: np.ndarray, sensor_size: tuple[int, int, int], where: str = "recording") -> Recording:
        """Wrap a Tonic array (``sensor_size`` is ``(width, height, polarities)``) without a copy."""
        return cls(events, int(sensor_size[0]), int(sensor_size[1]), where)

    def to_tonic(self) -> np.ndarray:
        """The structured array itself, as Tonic's transforms take it (no copy)."""
        return self.events

    @classmethod
    def from_columns(
        cls, t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray, width: int, height: int
    ) -> Recording:
        """Pack four columns into one array of :data:`EVENT_DTYPE`."""
        return cls(pack(t, x, y, p), width, height)


def pack(t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Four columns ``[E]`` as one structured array ``[E]`` of :data:`EVENT_DTYPE`."""
    events = np.empty(len(t), EVENT_DTYPE)
    events["t"], events["x"], events["y"], events["p"] = t, x, y, p
    return events


def by_step(events: np.ndarray, step_us: int, steps: int) -> list[np.ndarray]:
    """Sorted events of each of ``steps`` steps, (step·k, step·(k + 1)] µs; the first takes t = 0 too, later events
    are left out."""
    ends = np.searchsorted(events["t"], np.arange(1, steps + 1) * step_us, side="right")
    return np.split(events[: ends[-1]], ends[:-1])

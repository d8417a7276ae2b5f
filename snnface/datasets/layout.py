"""What a data set's fields are called, how they are stored, and which shapes they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnface.errors import InputError
from snnface.events import Recording
from snnface.facs import AUS, EXPRESSIONS

SPLITS = ("train", "validation", "test")
EVENT_FIELDS: dict[str, Any] = {"t": np.int64, "x": np.uint16, "y": np.uint16, "p": np.uint8}
#: Where a clip starts in the arrays of events, of milliseconds and of frames.
OFFSETS = ("offsets", "index_offsets", "frame_offsets")
#: One number a clip.
CLIP_FIELDS: dict[str, Any] = {
    "identity": np.int32,
    "au": np.int16,
    "expression": np.int8,
    "split": np.int8,
    "duration_us": np.int64,
}
#: One row a frame.
FRAME_FIELDS: dict[str, Any] = {
    "frame_t_us": np.int64,
    "au_intensity": np.float32,
    "landmarks": np.float32,
    "visible": np.bool_,
    "coefficients": np.float32,
    "pose": np.float32,
    "gaze": np.float32,
    "box": np.float32,
}
#: Shape of a frame's row; L landmarks and K coefficients are the same for all clips of a data set.
FRAME_SHAPES: dict[str, tuple[int | str, ...]] = {
    "frame_t_us": (),
    "au_intensity": (len(AUS),),
    "landmarks": ("L", 2),
    "visible": ("L",),
    "coefficients": ("K",),
    "pose": (3,),
    "gaze": (2,),
    "box": (4,),
}
#: One row a frame, in data sets that have them: the 98 landmarks of WFLW.
EXTRA_FIELDS: dict[str, Any] = {"landmarks98": np.float32, "visible98": np.bool_}
EXTRA_SHAPES: dict[str, tuple[int | str, ...]] = {"landmarks98": (98, 2), "visible98": (98,)}


@dataclass(frozen=True)
class ClipData:
    """One clip of F frames.

    ``events``: structured ``[E]``, t in µs from the clip's start and at most ``duration_us``, x, y in pixels, p;
    ``identity``, ``au`` (FACS number), ``expression`` (index of ``EXPRESSIONS``), ``split`` (index of ``SPLITS``);
    ``frame_t_us`` ``[F]`` µs; ``au_intensity`` ``[F, 24]``; ``landmarks`` ``[F, L, 2]`` event pixels; ``visible``
    ``[F, L]`` bool; ``coefficients`` ``[F, K]``; ``pose`` ``[F, 3]`` and ``gaze`` ``[F, 2]`` degrees; ``box``
    ``[F, 4]`` x0, y0, x1, y1 event pixels; ``rgb``: F encoded pictures (JPEG or PNG bytes) or None.
    ``landmarks98`` ``[F, 98, 2]`` and ``visible98`` ``[F, 98]``: those of WFLW, or None.
    Unlabelled floats are NaN, unlabelled classes −1.
    """

    events: np.ndarray
    duration_us: int
    identity: int
    au: int
    expression: int
    split: int
    frame_t_us: np.ndarray
    au_intensity: np.ndarray
    landmarks: np.ndarray
    visible: np.ndarray
    coefficients: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray
    box: np.ndarray
    rgb: Sequence[bytes] | None = None
    landmarks98: np.ndarray | None = None
    visible98: np.ndarray | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """Name and type of each label that has a row for each frame."""
        return FRAME_FIELDS | {n: kind for n, kind in EXTRA_FIELDS.items() if getattr(self, n) is not None}

    def check(self, width: int, height: int, where: str) -> None:
        """Raise :class:`InputError` where a field's shape or value is not as the layout says."""
        events = Recording(self.events, width, height, where)
        if len(events) and not 0 <= int(events.t[0]) <= int(events.t[-1]) <= self.duration_us:
            span = f"{events.t[0]} … {events.t[-1]} µs"
            raise InputError(where, f"events at {span}, outside 0 … {self.duration_us}", "Count time from its start")
        for name, allowed in (("au", (-1, *AUS)), ("expression", range(-1, len(EXPRESSIONS))), ("split", range(3))):
            if getattr(self, name) not in allowed:
                raise InputError(
                    where, f"{name} is {getattr(self, name)}", f"Use one of {', '.join(map(str, allowed))}"
                )
        frames = len(self.frame_t_us)
        sizes: dict[str, int] = {}
        for name in self.fields:
            row = (FRAME_SHAPES | EXTRA_SHAPES)[name]
            check_shape(where, name, np.shape(getattr(self, name)), frames, row, sizes)
        if self.rgb is not None and len(self.rgb) != frames:
            raise InputError(
                where, f"rgb has {len(self.rgb)} pictures for {frames} frames", "Pass one for each frame"
            )


def check_shape(
    where: object, name: str, found: tuple[int, ...], rows: int, row: tuple[int | str, ...], sizes: dict[str, int]
) -> None:
    """Raise :class:`InputError` unless ``found`` is ``(rows, *row)``.

    ``row`` may hold names of sizes; the first use of a name sets it in ``sizes``.
    """
    if len(found) == len(row) + 1:
        for size, length in zip(row, found[1:], strict=True):
            if isinstance(size, str):
                sizes.setdefault(size, length)
    wanted = (rows, *(sizes.get(size, size) if isinstance(size, str) else size for size in row))
    if found != wanted:
        named = "[" + ", ".join(str(size) for size in wanted) + "]"
        raise InputError(where, f"{name} has shape {list(found)}, not {named}", "Make the data set again")

"""What a reader of a published set is: it lists the recordings of a folder, and reads one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from snnface.converters.sensors import sensor
from snnface.datasets.layout import ClipData
from snnface.errors import InputError
from snnface.facs import AUS


@dataclass(frozen=True)
class Options:
    """Choices; the defaults follow what the authors of a set train on.

    ``whole``: keep the whole recording where the set names the part to use; ``frames``: of that part keep the first
    so many pictures of the RGB camera (0: all); ``rgb``: take the pictures along; ``reported``: labels that people
    reported rather than those that were expected of them; ``by_identity``: split by person even where the published
    split is another; ``validation``: share of the training people held back, because published splits name none;
    ``size``: sensor (width, height) in pixels where the files do not state it, and of simulated events;
    ``sensor``: preset of simulated events; ``repair``: keep the good part of a damaged recording instead of leaving
    it out; ``strict``: stop at the first recording that cannot be read.

    Raises
    ------
    InputError: an option is out of its range.
    """

    whole: bool = False
    frames: int = 75
    rgb: bool = True
    reported: bool = False
    by_identity: bool = False
    validation: float = 0.1
    size: tuple[int, int] | None = None
    sensor: str = "davis346"
    repair: bool = False
    strict: bool = False

    def __post_init__(self) -> None:
        if self.frames < 0:
            raise InputError(f"frames {self.frames}", "is negative", "Give a number of pictures, or 0 for all")
        if not 0 <= self.validation < 1:
            raise InputError(f"validation {self.validation}", "is no share of the people", "Give 0 ≤ share < 1")
        sensor(self.sensor)


@dataclass(frozen=True)
class Source:
    """One clip to make.

    ``name``: what to call it, unique in its set; ``path``: where its events are; ``files``: what else it is made
    of, whose size and date tell whether it has changed; ``person``: the set's own name, "" where unknown; ``split``
    (index of ``SPLITS``), ``au`` (FACS number), ``expression`` (index of ``EXPRESSIONS``); ``start_us`` and
    ``stop_us``: the part to use, on the recording's clock.
    """

    name: str
    path: Path
    files: tuple[Path, ...] = ()
    person: str = ""
    split: int = 0
    au: int = -1
    expression: int = -1
    start_us: int | None = None
    stop_us: int | None = None


@dataclass(frozen=True)
class Reading:
    """One clip, read: ``size`` of its sensor, events left out by reason, and labels that it should have but lacks."""

    clip: ClipData
    size: tuple[int, int]
    dropped: dict[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """One published layout: how to recognise a folder of it, to list its recordings and to read one of them."""

    recognise: Callable[[Path], bool]
    sources: Callable[[Path, Options], list[Source]]
    read: Callable[[Source, Options], Reading]
    rgb_aligned: bool = False
    landmark_scheme: str = "ibug68"


class UnusableError(InputError):
    """A recording that is left out, with the reason under which it is counted."""

    def __init__(self, reason: str, where: object, what: str, fix: str) -> None:
        super().__init__(where, what, fix)
        self.reason = reason


def unlabelled(
    events: np.ndarray,
    duration_us: int,
    frame_t_us: np.ndarray | None = None,
    landmark_count: int = 68,
    coefficient_count: int = 1,
    **labels: object,
) -> ClipData:
    """A clip whose labels are all absent (NaN, −1) but for those given.

    ``events``: structured ``[E]``, t in µs from the clip's start; ``frame_t_us``: int64 ``[F]`` µs, none without;
    ``landmark_count``, ``coefficient_count``: how many of them to have.
    """
    t = np.empty(0, np.int64) if frame_t_us is None else frame_t_us

    def nan(*shape: int) -> np.ndarray:
        return np.full((len(t), *shape), np.nan, np.float32)

    absent = {
        "identity": -1,
        "au": -1,
        "expression": -1,
        "split": 0,
        "au_intensity": nan(len(AUS)),
        "landmarks": nan(landmark_count, 2),
        "visible": np.zeros((len(t), landmark_count), np.bool_),
        "coefficients": nan(coefficient_count),
        "pose": nan(3),
        "gaze": nan(2),
        "box": nan(4),
    }
    return ClipData(events=events, duration_us=duration_us, frame_t_us=t, **(absent | labels))  # type: ignore[arg-type]

"""Pictures of a video, or of a folder of pictures, with the times at which they were taken."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from snnface.io.damage import Damage

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif")


class Picture(NamedTuple):
    """sRGB, uint8 ``[H, W, 3]``, and its time in µs on the film's own clock."""

    t_us: int
    rgb: np.ndarray


class Film(Protocol):
    """Pictures in order of time; each iteration begins anew and counts what it drops in ``damage``.

    ``width``, ``height`` in pixels; ``count``: pictures that it states, None where it does not say; ``rate``:
    pictures a second on average.
    """

    path: Path
    width: int
    height: int
    count: int | None
    rate: Fraction
    damage: Damage

    def __iter__(self) -> Iterator[Picture]: ...


def in_time(pictures: Iterator[Picture], damage: Damage) -> Iterator[Picture]:
    """Pictures that are later than those before; others are found damaged."""
    latest: int | None = None
    for number, picture in enumerate(pictures):
        if latest is not None and picture.t_us <= latest:
            what = f"time does not go on at picture {number} ({latest} → {picture.t_us} µs), {{}} so far"
            damage.found("backwards_pictures", 1, what)
            continue
        latest = picture.t_us
        yield picture

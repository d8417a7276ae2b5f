"""FACEMORPHIC (Becattini et al. 2024, arXiv 2409.10213), as its authors' own tools read it.

In ``recordings/USER/AU_<n>/``: the events ``event_<k>.raw`` (Prophesee, 1280×720); the RGB pictures
``frames_<k>/frame_<i>_HH:MM:SS.ffffff.jpg`` (about 30 a second, times in their names); 3D-face coefficients fitted to
them, ``frames_<k>/alphas32*.npz`` (``alphas``: one vector of 32 a picture, empty where the fit failed); and which
pictures show the action, ``event_frames_<k>/annotation.json`` (``start``, ``end``). ``AU_FREE`` and ``AU_READING``
hold no single action.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from snnface.converters.published.layout import Layout, Options, Reading, Source, UnusableError, unlabelled
from snnface.converters.published.people import by_person
from snnface.converters.published.pickled import read_archive
from snnface.converters.published.raw import take
from snnface.errors import InputError
from snnface.facs import AU_INDEX
from snnface.files import read_json

#: Components of the action model in the coefficients.
COEFFICIENTS = 32
#: Time between two pictures where a recording has one only.
_FRAME_US = 33_333
_DAY_US = 86_400_000_000
# Some systems cannot store a colon, so that unpacking puts an underscore there.
_PICTURE = re.compile(r"_(\d+)_(\d{2})[:_](\d{2})[:_](\d{2})\.(\d{6})\.jpg$")


def _people(folder: Path) -> Path:
    return folder / "recordings" if (folder / "recordings").is_dir() else folder


def recognise(folder: Path) -> bool:
    """Whether a folder of this layout begins here."""
    found = (path for kind in ("event_*.raw", "frames_*") for path in _people(folder).glob(f"*/AU_*/{kind}"))
    return next(found, None) is not None


def sources(folder: Path, options: Options) -> list[Source]:
    """The recordings, by user, action and number; those too that have only their pictures or only their events."""
    root = _people(folder)
    users = sorted(path.name for path in root.iterdir() if path.is_dir())
    split = by_person(users, options.validation)
    found = []
    for user in users:
        for action in sorted((root / user).glob("AU_*"), key=_by_number):
            for number in sorted(_numbers(action)):
                number_of_au = _by_number(action)[0]
                pictures = action / f"frames_{number}"
                found.append(
                    Source(
                        f"{user}/{action.name}/event_{number}",
                        action / f"event_{number}.raw",
                        (pictures, *sorted(pictures.glob("alphas32*.npz")), _annotation(action, number)),
                        person=user,
                        split=split[user],
                        au=number_of_au if number_of_au in AU_INDEX else -1,
                    )
                )
    return found


def _by_number(action: Path) -> tuple[int, str]:
    digits = action.name.removeprefix("AU_")
    return (int(digits) if digits.isdigit() else 1000), action.name


def _numbers(action: Path) -> set[int]:
    names = (re.fullmatch(r"event_(\d+)\.raw|frames_(\d+)", path.name) for path in action.iterdir())
    return {int(match[1] or match[2]) for match in names if match}


def _annotation(action: Path, number: int) -> Path:
    return action / f"event_frames_{number}" / "annotation.json"


def read(source: Source, options: Options) -> Reading:
    """A recording, cut to its action; picture i is at the end of the events that belong to it."""
    folder = source.files[0]
    pictures, taken_us = _pictures(folder)
    # The event stream starts with the first picture's own interval: picture i ends interval i.
    interval = round(float(np.mean(np.diff(taken_us)))) if len(taken_us) > 1 else _FRAME_US
    frame_t_us = taken_us - taken_us[0] + interval
    coefficients, missing = _coefficients(folder, len(pictures))
    start, stop, about = _action(source, len(pictures), options)
    chosen = slice(start, stop)
    whole = (start, stop) == (0, len(pictures))
    start_us = int(frame_t_us[start - 1]) if start > 0 else 0
    taken = take(source.path, options, start_us, None if whole else int(frame_t_us[stop - 1]))
    t = frame_t_us[chosen] - start_us
    clip = unlabelled(
        taken.events,
        max(taken.duration_us, int(t[-1])),
        t,
        coefficients=coefficients[chosen],
        rgb=[_jpeg(path) for path in pictures[chosen]] if options.rgb else None,
    )
    return Reading(clip, taken.size, taken.dropped, (*missing, *about))


def _pictures(folder: Path) -> tuple[list[Path], np.ndarray]:
    """Pictures in the order of their numbers, and when they were taken, int64 ``[F]`` µs of the day."""
    named = [(match, path) for path in folder.glob("*.jpg") if (match := _PICTURE.search(path.name))]
    if not named:
        what = "has no pictures with times in their names" if folder.is_dir() else "does not exist"
        raise UnusableError("missing_frames", folder, what, "Copy the pictures again")
    named.sort(key=lambda pair: int(pair[0][1]))
    clock = [[int(part) for part in match.groups()[1:]] for match, _ in named]
    taken = np.array([((h * 60 + m) * 60 + s) * 1_000_000 + us for h, m, s, us in clock], np.int64)
    taken[1:] += np.cumsum(np.diff(taken) < -_DAY_US // 2) * _DAY_US  # past midnight
    back = np.flatnonzero(np.diff(taken) <= 0)
    if back.size:
        name = named[int(back[0]) + 1][1].name
        raise UnusableError("bad_frame_times", folder, f"{name} is not later than the one before", "Copy them again")
    return [path for _, path in named], taken


def _coefficients(folder: Path, frames: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """float32 ``[F, 32]``, those of the nearest picture where the fit failed; NaN and a note where there are none."""
    absent = np.full((frames, COEFFICIENTS), np.nan, np.float32)
    # The authors' data set reads the later fit, with more landmarks, before the first one.
    files = sorted(folder.glob("alphas32*.npz"), key=lambda path: (path.name != "alphas32_mediapipe.npz", path.name))
    if not files:
        return absent, ("no_coefficients",)
    try:
        rows = _alphas(read_archive(files[0]))
        if len(rows) != frames:
            return absent, ("coefficients_of_other_length",)
        fitted = np.array([row.size > 0 and bool(np.isfinite(row).all()) for row in rows])
        values = [row for row, good in zip(rows, fitted, strict=True) if good]
        if not values:
            return absent, ("no_coefficients",)
        table = np.array(values, np.float32).reshape(len(values), COEFFICIENTS)
    except (InputError, ValueError, TypeError, KeyError, StopIteration):
        return absent, ("unreadable_coefficients",)
    return table[_nearest(np.flatnonzero(fitted), frames)], ()


def _alphas(archive: dict[str, Any]) -> list[np.ndarray]:
    """One vector a picture, out of an array ``alphas`` or of the dictionary that the authors save."""
    held = archive if "alphas" in archive else next(v for v in archive.values() if isinstance(v, dict))
    return [np.asarray(row, np.float64).ravel() for row in held["alphas"]]


def _nearest(known: np.ndarray, count: int) -> np.ndarray:
    """For each of ``count`` places the index in ``known`` (sorted places) of the nearest, of two the earlier one."""
    places = np.arange(count)
    after = np.searchsorted(known, places).clip(0, len(known) - 1)
    before = (after - 1).clip(0)
    return np.where(places - known[before] <= np.abs(known[after] - places), before, after)


def _action(source: Source, frames: int, options: Options) -> tuple[int, int, Iterable[str]]:
    """The pictures to keep, [start, stop), and what there is to note."""
    if options.whole or source.au == -1:
        return 0, frames, ()
    most = options.frames or frames
    try:
        annotation = read_json(source.files[-1])
        start, stop = int(annotation["start"]), min(int(annotation["end"]), frames)
    except (InputError, KeyError, TypeError, ValueError):
        return 0, min(frames, most), ("no_annotation",)
    if start < 0 or stop - start <= 1:  # as the authors do with faulty annotations
        return 0, min(frames, most), ("faulty_annotation",)
    return start, min(stop, start + most), ()


def _jpeg(path: Path) -> bytes:
    data = path.read_bytes()
    if not (data.startswith(b"\xff\xd8") and b"\xff\xd9" in data[-64:]):
        raise UnusableError("broken_pictures", path, "is no whole JPEG picture", "Copy it again")
    return data


LAYOUT = Layout(recognise, sources, read)

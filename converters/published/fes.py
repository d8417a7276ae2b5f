"""FES, Faces in Event Streams (Bissarinova et al. 2024, Sensors 24(5):1409): boxes and five points, 30 a second.

A recording ``<group>_<n>.raw`` (Prophesee) has its labels in ``<group>_<n>_bbox.npy`` (fields t or ts in µs, x, y, w,
h, track_id, x0, y0 … x4, y4) or in the table ``<group>_<n>.txt`` that it was made of (tabs, no header: timestamp,
object, command, class, x, y, w, h, then x0 … y4 where the points are known, confidence). The group is a subject of
the lab, or a place. The folders around them are not described in public, so that files are matched by name alone. The
preprocessed ``.h5`` files of the set hold pictures, no events.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snnface.converters.published.layout import Layout, Options, Reading, Source, UnusableError, unlabelled
from snnface.converters.published.people import by_person
from snnface.converters.published.raw import take

POINTS = 5
_BOX = "_bbox.npy"


@dataclass(frozen=True)
class _Faces:
    """Labels by row: time int64 ``[F]`` µs, object int64 ``[F]``, box ``[F, 4]`` x, y, w, h, points ``[F, 5, 2]``."""

    t: np.ndarray
    track: np.ndarray
    box: np.ndarray
    points: np.ndarray


def recognise(folder: Path) -> bool:
    """Whether there are labels that are named as the set's are."""
    return next(folder.rglob(f"*_[0-9]*{_BOX}"), None) is not None


def sources(folder: Path, options: Options) -> list[Source]:
    """The labelled recordings by group and number; those too whose events are missing."""
    labels = {path.name.removesuffix(_BOX): path for path in sorted(folder.rglob(f"*{_BOX}"))}
    events = {path.stem: path for path in sorted(folder.rglob("*.raw"))}
    tables = {path.stem: path for path in sorted(folder.rglob("*_*.txt")) if path.stem in events}
    labels = tables | labels
    splits = by_person([_group(name) for name in labels], options.validation)
    return [
        Source(
            name,
            events.get(name, path.with_name(f"{name}.raw")),
            (path,),
            person=_group(name),
            split=splits[_group(name)],
        )
        for name, path in sorted(labels.items(), key=lambda item: (_group(item[0]), len(item[0]), item[0]))
    ]


def _group(name: str) -> str:
    return name.rpartition("_")[0] or name


def read(source: Source, options: Options) -> Reading:
    """A whole recording with the labels of the face that is labelled longest."""
    faces = _table(source.files[0]) if source.files[0].suffix == ".txt" else _array(source.files[0])
    taken = take(source.path, options)
    tracks, counts = np.unique(faces.track, return_counts=True)
    order = np.argsort(faces.t, kind="stable")
    order = order[faces.track[order] == tracks[int(counts.argmax())]]
    t, first = np.unique(faces.t[order], return_index=True)
    rows = order[first]
    box, points = faces.box[rows], faces.points[rows]
    visible = ((points >= 0) & (points < taken.size)).all(-1)
    clip = unlabelled(
        taken.events,
        max(taken.duration_us, int(t[-1])),
        t,
        landmarks=points,
        visible=visible,
        box=np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], 1).astype(np.float32),
    )
    notes = ("no_landmarks",) if np.isnan(points).all() else ()
    return Reading(clip, taken.size, taken.dropped, notes)


def _array(path: Path) -> _Faces:
    """Labels of a structured array, fields by name."""
    try:
        rows = np.load(path, allow_pickle=False)
        names = rows.dtype.names or ()
        time = next(name for name in ("t", "ts", "timestamp") if name in names)
        track = next((name for name in ("track_id", "object_id") if name in names), None)
        box = np.stack([rows[name].astype(np.float32) for name in "xywh"], 1)
        points = np.full((len(rows), POINTS, 2), np.nan, np.float32)
        for i in range(POINTS if "x0" in names else 0):
            points[:, i] = np.stack([rows[f"x{i}"], rows[f"y{i}"]], 1)
        tracks = np.zeros(len(rows), np.int64) if track is None else rows[track].astype(np.int64)
        return _checked(path, _Faces(rows[time].astype(np.int64), tracks, box, points))
    except (OSError, ValueError, EOFError, IndexError, KeyError, StopIteration) as e:
        if isinstance(e, UnusableError):
            raise
        raise _unreadable(path, f"is no table of boxes ({e})") from e


def _table(path: Path) -> _Faces:
    """Labels of a tab-separated table with 9 columns, or 19 with points."""
    times: list[int] = []
    tracks: list[int] = []
    numbers: list[list[float]] = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.reader(file, delimiter="\t"):
            if len(row) not in (9, 19):
                raise _unreadable(path, f"line {len(times) + 1} has {len(row)} columns, not 9 or 19")
            try:
                times.append(int(row[0]))
                tracks.append(int(row[1]))
                numbers.append([float(cell) for cell in row[4:-1]] + [np.nan] * (19 - len(row)))
            except ValueError as e:
                raise _unreadable(path, f"line {len(times)} cannot be read ({e})") from e
    values = np.array(numbers, np.float32).reshape(len(times), 4 + 2 * POINTS)
    points = values[:, 4:].reshape(-1, POINTS, 2)
    return _checked(path, _Faces(np.array(times, np.int64), np.array(tracks, np.int64), values[:, :4], points))


def _checked(path: Path, faces: _Faces) -> _Faces:
    if not len(faces.t):
        raise _unreadable(path, "labels no face")
    if faces.t.min() < 0:
        raise _unreadable(path, "has labels before the recording's start")
    return faces


def _unreadable(path: Path, what: str) -> UnusableError:
    return UnusableError("unreadable_labels", path, what, "Copy it again")


LAYOUT = Layout(recognise, sources, read, landmark_scheme="fes5")

"""Small folders in the layouts of published sets, written as the sets' own tools write them."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image

from snnface import io as event_io
from snnface.events import Recording, pack

SENSOR = (1280, 720)
FRAME_US = 33_333
#: What stands between hours, minutes and seconds in names of pictures, and what unpacking makes of it on Windows.
COLON = "_" if os.name == "nt" else ":"


def recording(frames: int = 6, start_us: int = 0, size: tuple[int, int] = SENSOR, seed: int = 0) -> Recording:
    """Ten events in each picture's interval, 33,333 µs long; x is the number of the picture."""
    rng = np.random.default_rng(seed)
    t = start_us + np.sort(rng.integers(1, FRAME_US, (frames, 10)), 1) + np.arange(frames)[:, None] * FRAME_US
    t[0, 0] = start_us
    x = np.repeat(np.arange(frames), 10)
    return Recording(pack(t.ravel(), x, rng.integers(0, size[1], len(x)), rng.integers(0, 2, len(x))), *size)


def jpeg(value: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (value % 256, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def alphas(frames: int, seed: int = 0, failed: Sequence[int] = ()) -> list:
    """What the fit gives: one vector of 32 a picture, an empty list where it failed."""
    rows = np.random.default_rng(seed).normal(size=(frames, 32))
    return [[] if i in failed else row for i, row in enumerate(rows)]


def facemorphic_clip(
    root: Path, user: str, action: str, number: int = 1, frames: int = 6, annotation: tuple[int, int] | None = None,
    failed: Sequence[int] = (), fitted: int | None = None, first: str = "15:19:28.385380", colon: str = COLON,
    events: Recording | None = None, taken_us: Sequence[int] | None = None, shades: Sequence[int] | None = None,
) -> Path:  # fmt: skip
    """One recording of FACEMORPHIC; returns the folder of its action.

    ``taken_us``: when each picture was taken, from the first one on; ``shades``: its brightness.
    """
    folder = root / "recordings" / user / action
    pictures = folder / f"frames_{number}"
    pictures.mkdir(parents=True)
    event_io.write(recording(frames) if events is None else events, folder / f"event_{number}.raw")
    hour, minute, second = first.split(":")
    start = (int(hour) * 60 + int(minute)) * 60_000_000 + round(float(second) * 1e6)
    for i in range(frames):
        after = i * FRAME_US if taken_us is None else taken_us[i]
        ms, us = divmod((start + after) % 86_400_000_000, 1_000_000)
        clock = colon.join(f"{part:02d}" for part in (ms // 3600, ms // 60 % 60, ms % 60))
        (pictures / f"frame_{i}_{clock}.{us:06d}.jpg").write_bytes(jpeg(shades[i] if shades else i))
    fit = {"alphas": alphas(frames if fitted is None else fitted, failed=failed), "identity_alphas": np.zeros(22)}
    np.savez_compressed(pictures / "alphas32_mediapipe.npz", fit)
    if annotation is not None:
        drawn = folder / f"event_frames_{number}"
        drawn.mkdir()
        (drawn / "annotation.json").write_text(json.dumps(dict(zip(("start", "end"), annotation, strict=True))))
    return folder


def nefer(root: Path, users: dict[str, str], clips: int = 2, inner: str = "raw") -> list[Path]:
    """NEFER with some users in "train" or "validation", the first emotions of its list; returns the event files."""
    emotions = ("Disgust", "Contempt", "Happiness", "Fear", "Anger", "Surprise", "Sadness")
    tables: dict[str, list[list[str]]] = {"train": [], "validation": []}
    files = []
    for user, split in users.items():
        for clip in range(clips):
            name = f"{user.replace('_', '')}_2022-06-08_12-20-{clip:02d}"
            path = root / "event_raw" / inner / user / f"{name}.raw"
            event_io.write(recording(3, seed=clip), path)
            files.append(path)
            for picture in range(3):
                drawn = f"../event_frame_NEW/{user}/{name}_cd/frame_{picture:02d}.png"
                tables[split].append([user, f"{name}_cd", drawn, emotions[clip]])
    for split, rows in tables.items():
        for kind, behind in (("expected_emotions", ""), ("reported_emotions", "_subjective")):
            table = root / "annotations" / kind / f"{split}_event{behind}.csv"
            table.parent.mkdir(parents=True, exist_ok=True)
            reported = [[*row[:3], "None" if behind and row[3] == emotions[0] else row[3]] for row in rows]
            _write_rows(table, reported)
    return files


def _write_rows(path: Path, rows: Sequence[Sequence[object]], delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def eck(root: Path, sequences: Sequence[tuple[str, int, str]]) -> list[Path]:
    """e-CK+: (Train_Set or Test_Set, class 1-7, name) each."""
    files = []
    for number, (kind, label, name) in enumerate(sequences):
        path = root / kind / str(label) / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        events = recording(3, size=(346, 260), seed=number).events
        np.save(path, np.stack([events["x"], events["y"], events["t"] / 1e6 + 0.5, events["p"] * 2.0 - 1], 1))
        files.append(path)
    return files


#: A box as Metavision stores it, with the five points that FES adds.
FES_DTYPE = np.dtype(
    [("t", "<u8"), ("x", "<f4"), ("y", "<f4"), ("w", "<f4"), ("h", "<f4"), ("class_id", "<u4"), ("track_id", "<u4")]
    + [(f"{axis}{i}", "<f4") for i in range(5) for axis in "xy"]
    + [("class_confidence", "<f4")]
)


def fes_labels(frames: int = 4, track: int = 0) -> np.ndarray:
    """A face that moves right by one pixel a picture."""
    rows = np.zeros(frames, FES_DTYPE)
    i = np.arange(frames)
    rows["t"], rows["track_id"], rows["class_confidence"] = i * 1_000_000 // 30, track, 1
    rows["x"], rows["y"], rows["w"], rows["h"] = 100 + i, 50, 80, 90
    for point in range(5):
        rows[f"x{point}"], rows[f"y{point}"] = 110 + 10 * point + i, 60 + 10 * point
    return rows


def fes(root: Path, name: str, labels: np.ndarray, table: bool = False) -> Path:
    """A recording of FES; its labels as the array, or as the table that the array was made of."""
    path = root / "raw" / "lab" / f"{name}.raw"
    event_io.write(recording(5, size=(640, 480)), path)
    if table:
        names = ("x", "y", "w", "h", *(f"{axis}{i}" for i in range(5) for axis in "xy"))
        rows = [[r["t"], r["track_id"], "BB_CREATE", 0, *(float(r[n]) for n in names), 1] for r in labels]
        _write_rows(path.with_suffix(".txt"), rows, "\t")
    else:
        np.save(path.with_name(f"{name}_bbox.npy"), labels)
    return path


def wflw_v(root: Path, name: str, frames: int = 4, labelled: int | None = None) -> np.ndarray:
    """A video of WFLW-V, a square that moves right by four pixels a picture; returns its landmarks ``[F, 98, 2]``."""
    for folder in ("videos", "landmarks", "bboxes"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    with av.open(str(root / "videos" / f"{name}.mp4"), "w") as video:
        stream = video.add_stream("mpeg4", 30)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for i in range(frames):
            picture = np.full((120, 160, 3), 60, np.uint8)
            picture[40:80, 50 + 4 * i : 90 + 4 * i] = 200
            video.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        video.mux(stream.encode())
    count = frames if labelled is None else labelled
    corner = np.stack([50 + 4.0 * np.arange(count), np.full(count, 40.0)], 1)
    points = corner[:, None] + np.random.default_rng(0).uniform(0, 40, (1, 98, 2))
    np.save(root / "landmarks" / f"{name}.npy", points)
    np.save(root / "bboxes" / f"{name}.npy", np.concatenate([corner, corner + 40, np.ones((count, 1))], 1))
    return points

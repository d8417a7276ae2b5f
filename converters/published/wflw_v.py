"""WFLW-V (Micaelli et al. 2023, arXiv 2304.00600), as its authors' code reads it: videos with 98 landmarks a picture.

``videos/<id>.mp4``, ``landmarks/<id>.npy`` (``[F, 98, 2]``) and ``bboxes/<id>.npy`` (x0, y0, x1, y1, …), in pixels of
the video. There are no events in it: they are simulated from the part of the picture where the face is, scaled to the
sensor. Nothing is known of what moves between two pictures, so light changes evenly from one to the next.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

from snnface.converters.published.layout import Layout, Options, Reading, Source, UnusableError, unlabelled
from snnface.converters.published.people import by_person
from snnface.converters.sensors import sensor
from snnface.converters.simulator import EventSimulator
from snnface.faces.picture import luminance

POINTS = 98
#: Sensor of the simulated events where no other is asked for (DAVIS346).
SIZE = (346, 260)
#: Room around the face's box, as the set's authors crop.
_ROOM = 1.2
_LINEAR = np.arange(256, dtype=np.float32) / 255
_LINEAR = np.where(_LINEAR <= 0.04045, _LINEAR / 12.92, ((_LINEAR + 0.055) / 1.055) ** 2.4).astype(np.float32)


@dataclass(frozen=True)
class _Crop:
    """The part of a video that the sensor sees: upper left corner in pixels of the video, and event pixels to one."""

    corner: np.ndarray
    scale: float
    size: tuple[int, int]

    def moved(self, points: np.ndarray) -> np.ndarray:
        """Points ``[…, 2]`` in pixels of the video as float32 event pixels."""
        return ((points - self.corner) * self.scale).astype(np.float32)

    def picture(self, frame: np.ndarray) -> Image.Image:
        """The part of a picture ``[H, W, 3]`` of the video, as large as the sensor; black outside."""
        x, y = self.corner.tolist()
        box = (x, y, x + self.size[0] / self.scale, y + self.size[1] / self.scale)
        whole = Image.fromarray(frame)
        data = (box[0], box[1], box[0], box[3], box[2], box[3], box[2], box[1])
        if self.scale >= 1:
            return whole.transform(self.size, Image.Transform.QUAD, data, Image.Resampling.BILINEAR)
        outer = tuple(round(edge) for edge in box)
        return whole.crop(outer).resize(self.size, Image.Resampling.BOX)


def recognise(folder: Path) -> bool:
    """Whether a folder of this layout begins here."""
    return next(folder.glob("landmarks/*.npy"), None) is not None and (folder / "videos").is_dir()


def sources(folder: Path, options: Options) -> list[Source]:
    """The labelled videos; each shows one person, and splits are made by video, as none are published."""
    names = sorted(path.stem for path in folder.glob("landmarks/*.npy"))
    splits = by_person(names, options.validation)
    return [
        Source(
            name,
            folder / "videos" / f"{name}.mp4",
            (folder / "landmarks" / f"{name}.npy", folder / "bboxes" / f"{name}.npy"),
            person=name,
            split=splits[name],
        )
        for name in names
    ]


def read(source: Source, options: Options) -> Reading:
    """A whole video as events, with its landmarks, boxes and pictures in event pixels."""
    landmarks = _numbers(source.files[0], (POINTS, 2))
    boxes = _numbers(source.files[1], None)[:, :4]
    if len(boxes) != len(landmarks):
        raise _wrong_counts(source.files[1], len(boxes), len(landmarks))
    if not source.path.is_file():
        raise UnusableError("missing_video", source.path, "does not exist", "Download the video")
    size = options.size or SIZE
    crop = _crop(boxes, size)
    simulator = EventSimulator(*size, sensor(options.sensor), zlib.crc32(source.name.encode()))
    times, events, pictures = [], [], []
    for t, frame in _frames(source.path):
        picture = crop.picture(frame)
        events.append(simulator.step(luminance(_LINEAR[np.asarray(picture)]), t))
        times.append(t)
        if options.rgb:
            pictures.append(_jpeg(picture))
    if len(times) != len(landmarks):
        raise _wrong_counts(source.path, len(times), len(landmarks))
    points = crop.moved(landmarks)
    clip = unlabelled(
        np.concatenate(events),
        times[-1],
        np.array(times, np.int64),
        landmarks=points,
        visible=((points >= 0) & (points < size)).all(-1),
        box=crop.moved(boxes.reshape(-1, 2, 2)).reshape(-1, 4),
        rgb=pictures if options.rgb else None,
    )
    return Reading(clip, size)


def _crop(boxes: np.ndarray, size: tuple[int, int]) -> _Crop:
    """One crop for the whole video, with all boxes in it: a moving one would be seen as motion."""
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    scale = float((np.array(size) / ((high - low) * _ROOM)).min())
    return _Crop((low + high) / 2 - np.array(size) / scale / 2, scale, size)


def _frames(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Time in µs from the first picture, and picture uint8 ``[H, W, 3]``."""
    try:
        with av.open(str(path)) as video:
            first = None
            for frame in video.decode(video=0):
                t = round(float(frame.time or 0) * 1e6)
                first = t if first is None else first
                yield t - first, frame.to_ndarray(format="rgb24")
    except (OSError, ValueError, IndexError) as e:
        raise UnusableError("unreadable", path, f"cannot be decoded ({e})", "Download the video again") from e


def _numbers(path: Path, row: tuple[int, ...] | None) -> np.ndarray:
    """float64 ``[F, *row]``, or ``[F, ≥ 4]``."""
    try:
        values = np.load(path, allow_pickle=False).astype(np.float64)
    except (OSError, ValueError, EOFError) as e:
        raise UnusableError("unreadable_labels", path, f"cannot be read ({e})", "Copy it again") from e
    fits = values.shape[1:] == row if row else values.ndim == 2 and values.shape[1] >= 4
    if not (fits and len(values) and np.isfinite(values[..., :4]).all()):
        raise UnusableError("unreadable_labels", path, f"holds numbers of shape {values.shape}", "Copy it again")
    return values


def _wrong_counts(path: Path, found: int, wanted: int) -> UnusableError:
    return UnusableError("wrong_counts", path, f"has {found} pictures, its landmarks have {wanted}", "Copy it again")


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


LAYOUT = Layout(recognise, sources, read, rgb_aligned=True, landmark_scheme="wflw98")

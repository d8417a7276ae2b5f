"""Video files, decoded by PyAV."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from snnface.converters.video_film import Picture, in_time
from snnface.io.damage import Damage

#: The last pictures may be shorter than the file's length says: two of them, or this share of all.
_MAY_MISS, _MAY_MISS_SHARE = 2, 0.02
_US = 1_000_000


class Video:
    """A video file, decoded by PyAV; its times are the container's, or ``fps`` pictures a second where it is given.

    Raises
    ------
    InputError: the file is no video, holds no video stream, or states no times and ``fps`` is not given.
    """

    def __init__(self, path: Path, fps: Fraction | None, repair: bool) -> None:
        self.path, self._fps, self._repair = path, fps, repair
        self.damage = Damage(path, repair)
        with self._open() as container:
            stream = _stream(container, self.damage)
            frame = self._first(container)
            if frame.pts is None and fps is None:
                raise self.damage.lost("its pictures carry no times", "Give their rate with --fps")
            shape = _upright(frame).shape
            self.height, self.width = shape[:2]
            self.rate = fps or Fraction(stream.average_rate or stream.guessed_rate or 25)
            self._end = _stated_end(stream)
            begin = Fraction((stream.start_time or 0) * stream.time_base)
            self.count = round((self._end - begin) * self.rate) if self._end and not fps else stream.frames or None
        if path.suffix.lower() == ".gif":  # decoders do not miss the end of a GIF
            with path.open("rb") as f:
                f.seek(max(0, path.stat().st_size - 64))
                self._ends = f.read().rstrip(b"\0").endswith(b";")
        else:
            self._ends = True

    def __iter__(self) -> Iterator[Picture]:
        self.damage = Damage(self.path, self._repair)
        return in_time(self._pictures(), self.damage)

    def _open(self) -> Any:
        try:
            return av.open(str(self.path))
        except av.error.FFmpegError as e:
            raise self.damage.lost(f"cannot be opened as a video ({_said(e)})", "Copy or encode it again") from e

    def _first(self, container: Any) -> Any:
        try:
            frame = next(container.decode(_stream(container, self.damage)), None)
        except av.error.FFmpegError as e:
            frame = next((f for f in self._frames()), None) if self._repair else None
            if frame is None:
                fix = "Copy or encode it again" if self._repair else "Try --repair, or copy it again"
                raise self.damage.lost(f"its first picture cannot be decoded ({_said(e)})", fix) from e
        if frame is None:
            raise self.damage.lost("holds no pictures", "Copy or encode it again")
        return frame

    def _pictures(self) -> Iterator[Picture]:
        if not self._ends:
            self.damage.found("truncated_bytes", 1, "is cut off: its end is missing")
        decoded, end = 0, Fraction(0)
        for number, frame in enumerate(self._frames()):
            decoded = number + 1
            if frame.pts is not None:
                end = frame.pts * frame.time_base + (frame.duration * frame.time_base or 1 / self.rate)
            if frame.is_corrupt:
                self.damage.found("corrupt_pictures", 1, f"picture {number} is damaged")
                continue
            rgb = _upright(frame)
            if rgb.shape != (self.height, self.width, 3):
                size = f"{rgb.shape[1]}x{rgb.shape[0]}, not {self.width}x{self.height}"
                self.damage.found("resized_pictures", 1, f"picture {number} is {size}")
                continue
            if self._fps is None and frame.pts is None:
                self.damage.found("undated_pictures", 1, f"picture {number} carries no time")
                continue
            t = number / self._fps if self._fps else frame.pts * Fraction(frame.time_base)
            yield Picture(round(t * _US), rgb)
        missing = round(((self._end or end) - end) * self.rate)
        if missing > max(_MAY_MISS, _MAY_MISS_SHARE * decoded):
            what = f"ends at {float(end):.3f} s of {float(self._end or 0):.3f} s, some {{}} pictures are missing"
            self.damage.found("missing_pictures", missing, what)

    def _frames(self) -> Iterator[Any]:
        """Decoded frames in order of showing; packets that do not decode are passed over under repair."""
        damage = self.damage
        with self._open() as container:
            stream = _stream(container, damage)
            stream.thread_type = "AUTO"
            packets = container.demux(stream)
            for number in itertools.count():
                try:
                    packet = next(packets, None)
                except av.error.FFmpegError as e:  # nothing comes after this
                    damage.found("truncated_bytes", 1, f"is cut off or garbled after packet {number} ({_said(e)})")
                    return
                if packet is None:
                    return
                try:
                    frames = packet.decode()
                except av.error.FFmpegError as e:
                    damage.found("undecodable_packets", 1, f"packet {number} cannot be decoded ({_said(e)})")
                    continue
                yield from frames


def _stream(container: Any, damage: Damage) -> Any:
    cover = av.stream.Disposition.attached_pic
    stream = next((s for s in container.streams.video if not s.disposition & cover), None)
    if stream is None:
        raise damage.lost("holds no video stream", "Give a file with moving pictures")
    return stream


def _stated_end(stream: Any) -> Fraction | None:
    """Time in s at which the stream says that it ends; None where it says nothing."""
    if stream.duration:
        return Fraction(((stream.start_time or 0) + stream.duration) * stream.time_base)
    try:  # Matroska
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    except ValueError:
        return None


def _upright(frame: Any) -> np.ndarray:
    """sRGB uint8 ``[H, W, 3]``, turned as the file says that it is to be shown."""
    turns = round(frame.rotation / 90) % 4
    return np.rot90(frame.to_ndarray(format="rgb24"), turns)


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)

"""Pictures between the pictures, moved along with what moves: FFmpeg's ``minterpolate``, which PyAV brings.

Block matching finds where each block went (https://ffmpeg.org/ffmpeg-filters.html, "minterpolate"). It guesses: what
turns, blinks or appears between two pictures is blended or smeared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import av.filter
import numpy as np

from snnface.converters.video_film import Picture
from snnface.errors import InputError

_CLOCK = Fraction(1, 1_000_000)
#: Copies of the last picture that push the ones before out of the filter.
_FLUSH = 3
#: The filter needs a few blocks of 16 pixels.
_LEAST = 32


def check_slow(slow: int, width: int, height: int) -> None:
    """Raise :class:`InputError` where pictures cannot be put in between."""
    if not 1 <= slow <= 64:
        raise InputError(f"--slow {slow}", "is no number of pictures in the place of one", "Give 1 to 64")
    if slow > 1 and "minterpolate" not in av.filter.filters_available:
        raise InputError("--slow", "this FFmpeg has no minterpolate", "pip install av, whose FFmpeg has it")
    if slow > 1 and min(width, height) < _LEAST:
        raise InputError("--slow", f"pictures of {width}x{height} are too small", f"Use sides of ≥ {_LEAST} pixels")


def slowed(pictures: Iterable[Picture], rate: Fraction, slow: int) -> Iterator[Picture]:
    """``slow`` times as many pictures at equal distances, in the same time; ``rate``: of the pictures, a second."""
    graph: Any = None
    start = 0
    last: Picture | None = None
    fps = rate * slow
    for picture in pictures:
        if graph is None:
            start = picture.t_us
            graph = _graph(picture.rgb, fps)
        last = picture
        graph.push(_frame(picture, picture.t_us - start))
        yield from _pulled(graph, start, fps, last.t_us)
    if graph is None or last is None:
        return
    for number in range(1, _FLUSH + 1):
        graph.push(_frame(last, round(last.t_us - start + number * 10**6 / rate)))
        yield from _pulled(graph, start, fps, last.t_us)
    graph.push(None)
    yield from _pulled(graph, start, fps, last.t_us)


def _graph(rgb: np.ndarray, fps: Fraction) -> Any:
    graph = av.filter.Graph()
    height, width = rgb.shape[:2]
    pixels = av.VideoFormat("yuv444p")
    source = graph.add_buffer(width=width, height=height, format=pixels, time_base=_CLOCK)
    settings = f"fps={fps.numerator}/{fps.denominator}:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1:scd=none"
    middle, sink = graph.add("minterpolate", settings), graph.add("buffersink")
    source.link_to(middle)
    middle.link_to(sink)
    graph.configure()
    return graph


def _frame(picture: Picture, t_us: int) -> Any:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture.rgb), "rgb24").reformat(format="yuv444p")
    frame.pts, frame.time_base = t_us, _CLOCK
    return frame


def _pulled(graph: Any, start: int, fps: Fraction, until_us: int) -> Iterator[Picture]:
    """What the filter has ready, up to the time of the last true picture (to the nearest)."""
    until_us += round(10**6 / fps / 2)
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        t_us = start + round(frame.pts * 10**6 / fps)
        if t_us <= until_us:
            yield Picture(t_us, frame.to_ndarray(format="rgb24"))

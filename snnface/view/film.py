"""Boards in a row as a film (mp4), an animation (gif), or one as a picture (png)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from snnface.errors import InputError
from snnface.files import atomic_path
from snnface.progress import track
from snnface.view.board import Board

#: Pictures of the largest gif: all of them are in memory until it is written.
MOST_GIF_FRAMES = 500
#: Shorter films than this many seconds are slowed down, so that they last this long.
SHORTEST_S, SLOWED_S = 0.5, 4.0
#: Quality of H.264 (0 best, 51 worst), and bits a pixel and picture of MPEG-4.
_CRF, _BITS = 20, 0.25


def times(duration_us: int, fps: float, slow: float) -> np.ndarray:
    """Moments that a film shows, int64 ``[n]`` µs: the ends of n equal parts, the last one at the end."""
    part = 1e6 / (fps * slow)
    count = max(1, int(np.ceil(duration_us / part - 1e-9)))
    return np.minimum(np.rint(np.arange(1, count + 1) * part), duration_us).astype(np.int64)


def slow_motion(duration_us: int, slow: float | None) -> float:
    """How many times slower than life: as asked, or 1, or what makes a very short span visible."""
    if slow is not None:
        return slow
    seconds = duration_us / 1e6
    return 1.0 if seconds >= SHORTEST_S else SLOWED_S / seconds


def write_png(out: Path, board: Board, at_us: int) -> dict[str, Any]:
    """One board."""
    with atomic_path(out) as path:
        board.picture(at_us).save(path, optimize=True)
    return {"frames": 1, "at_us": at_us + board.look.span.start_us}


def write_gif(out: Path, board: Board, fps: float, slow: float) -> dict[str, Any]:
    """An endless animation. Its format counts in hundredths of a second: the nearest rate is taken and told."""
    hundredths = max(2, round(100 / fps))
    fps = 100 / hundredths
    moments = times(board.look.span.duration_us, fps, slow)
    if len(moments) > MOST_GIF_FRAMES:
        what = f"{len(moments)} pictures are more than a gif's {MOST_GIF_FRAMES}"
        raise InputError(out, what, "Write .mp4, or choose a part with --start and --seconds, or fewer --fps")
    pictures = list(_paletted(board.picture(int(t)) for t in track(list(moments), "gif")))
    with atomic_path(out) as path:
        pictures[0].save(
            path, save_all=True, append_images=pictures[1:], duration=10 * hundredths, loop=0, optimize=False
        )
    return {"frames": len(pictures), "fps": fps, "slow": slow}


def _paletted(pictures: Iterator[Image.Image]) -> Iterator[Image.Image]:
    """All in the colours of the first: then only what moves is stored."""
    first = next(pictures).quantize(255, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    yield first
    for picture in pictures:
        yield picture.quantize(palette=first, dither=Image.Dither.NONE)


def write_mp4(out: Path, board: Board, fps: float, slow: float) -> dict[str, Any]:
    """H.264 where PyAV has an encoder for it, else MPEG-4; one picture in memory at a time."""
    codec = next((c for c in ("libx264", "libopenh264") if c in av.codecs_available), "mpeg4")
    moments = times(board.look.span.duration_us, fps, slow)
    with atomic_path(out) as path, av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream: Any = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height = board.size
        stream.pix_fmt = "yuv420p"
        if codec == "libx264":
            stream.options = {"crf": str(_CRF), "preset": "veryfast"}
        else:
            stream.bit_rate = int(_BITS * fps * stream.width * stream.height)
        for t in track(list(moments), "mp4"):
            container.mux(stream.encode(av.VideoFrame.from_image(board.picture(int(t)))))
        container.mux(stream.encode())
    return {"frames": len(moments), "fps": fps, "slow": slow, "codec": codec}

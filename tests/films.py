"""Short films for tests, and what the simulator makes of their pictures without any film."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from snnface.converters.sensors import sensor
from snnface.converters.simulator import EventSimulator
from snnface.converters.video_light import Light

WIDTH, HEIGHT = 64, 48
CODECS = {
    "mp4": ("libx264", "yuv420p", {"crf": "10"}),
    "mkv": ("ffv1", "bgr0", {}),
    "avi": ("mpeg4", "yuv420p", {"qscale": "2"}),
    "mov": ("png", "rgb24", {}),
    "webm": ("libvpx", "yuv420p", {"deadline": "realtime", "crf": "4", "b": "4M"}),
    "gif": ("gif", "rgb8", {}),
}
#: Uneven times of pictures, ms.
UNEVEN = [0, 40, 50, 130, 140, 200, 290, 300, 340, 420]


def picture(number: int) -> np.ndarray:
    """A bright bar on grey that moves by two pixels a picture."""
    rgb = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    rgb[10:38, 4 + 2 * number : 14 + 2 * number] = (220, 200, 180)
    return rgb


def film(
    path: Path,
    pictures: int = 10,
    times_ms: list[int] | None = None,
    turn: int = 0,
    layout: dict[str, str] | None = None,
) -> Path:
    """A film of :func:`picture`, 25 a second or at the given times; ``layout``: options of the container."""
    codec, pixels, options = CODECS[path.suffix[1:]]
    with av.open(str(path), "w", options=layout or {}) as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        if path.suffix != ".avi":  # which has no uneven times
            stream.codec_context.time_base = Fraction(1, 1000)
        if turn:
            stream.set_display_rotation(turn)
        for number in range(pictures):
            frame = av.VideoFrame.from_ndarray(picture(number), "rgb24")
            frame.pts = times_ms[number] if times_ms else 40 * number
            frame.time_base = Fraction(1, 1000)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def folder(path: Path, names: list[str]) -> Path:
    path.mkdir()
    for number, name in enumerate(names):
        Image.fromarray(picture(number)).save(path / name)
    return path


def simulated(name: str, times_us: list[int], seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> list:
    """What the simulator makes of the pictures, without a film."""
    simulator, light = EventSimulator(*size, sensor(name), seed), Light(WIDTH, HEIGHT, size)
    made = [simulator.step(light(picture(n)), t) for n, t in enumerate(times_us)]
    return np.concatenate([*made, simulator.flush()]).tolist()

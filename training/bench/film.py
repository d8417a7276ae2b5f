"""Pictures for event simulators, and the events that they must give where there is no noise."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from snnface.errors import InputError
from snnface.faces import ClipSpec, FaceClip
from snnface.faces.picture import luminance
from snnface.files import atomic_path
from snnface.progress import say, track

SCENES = ("face", "grating")
#: Log contrast that makes an event where there is no noise. A sum of powers of two, so that sums of it are exact in
#: single precision and rounding decides no event.
THRESHOLD = 0.1875
#: By how much all of the first picture is brighter than whole grey values, so that none later is just a whole number
#: of thresholds away from it: that again would be for rounding to decide.
FIRST_ABOVE = 0.47
#: Where v2e's mapping of grey values turns from linear to logarithmic.
LINEAR_BELOW = 20


@dataclass(frozen=True)
class Film:
    """``frames`` pictures of ``width`` × ``height`` grey values, ``step_us`` apart.

    Raises
    ------
    InputError: a setting is out of range.
    """

    scene: str
    width: int
    height: int
    frames: int
    step_us: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scene not in SCENES:
            raise InputError(f"--scene {self.scene}", "is unknown", f"Use one of {', '.join(SCENES)}")
        if self.frames < 3:
            raise InputError(f"--frames {self.frames}", "is not a film", "Give at least 3")

    def pictures(self) -> np.ndarray:
        """uint8 ``[F, H, W]``."""
        return _face(self) if self.scene == "face" else _grating(self)


def _face(film: Film) -> np.ndarray:
    """A head that turns before a still background, while it turns fastest."""
    clip = FaceClip(ClipSpec(film.seed, 51, -1, 1.0, film.width, film.height, film.seed), intensity=1.0)
    small = FaceClip(ClipSpec(film.seed, 51, -1, 1.0, 48, 48, film.seed), intensity=1.0)
    looks = np.linspace(0, clip.duration_us, 33).astype(np.int64)
    seen = np.array([luminance(picture) for picture in small.film(looks)])
    busiest = looks[np.abs(np.diff(seen, axis=0)).mean((1, 2)).argmax()]
    length = film.step_us * film.frames
    first = max(0, min(busiest + looks[1] // 2 - length // 2, clip.duration_us - length))
    grey = np.empty((film.frames, film.height, film.width), np.uint8)
    shots = clip.film(first + film.step_us * np.arange(film.frames))
    for i, picture in enumerate(track(shots, "film", total=film.frames)):
        grey[i] = np.rint(255 * np.minimum(luminance(picture), 1))
    return grey


def _grating(film: Film) -> np.ndarray:
    """Bars of a sine that move half a pixel a picture: all pixels change."""
    phase = 2 * math.pi * (np.arange(film.width) - 0.5 * np.arange(film.frames)[:, None]) / 60
    row = np.rint(130 + 90 * np.sin(phase)).astype(np.uint8)
    return np.repeat(row[:, None], film.height, 1)


def log_of_grey(above: float = 0.0) -> np.ndarray:
    """float64 ``[256]``: v2e's logarithm of grey values (``above`` the whole numbers), linear below 20, so that black
    is finite."""
    grey = np.arange(256) + above
    linear = grey * math.log(LINEAR_BELOW) / LINEAR_BELOW
    return np.where(grey <= LINEAR_BELOW, linear, np.log(np.maximum(grey, 1)))


def marks(pixels: int) -> np.ndarray:
    """A number for each pixel and polarity ``[pixels · 2]``, int64: the sum over events tells who fired how often."""
    return np.random.default_rng(4).integers(1, 1 << 31, 2 * pixels)


def expected(pictures: np.ndarray) -> tuple[list[float], list[int]]:
    """Sum of the marks of each picture's events, and their number, by the definition: a memory that moves in whole
    thresholds."""
    level, mark = log_of_grey(), marks(pictures[0].size).reshape(-1, 2)
    memory = log_of_grey(FIRST_ABOVE)[pictures[0].ravel()]
    sums, counts = [0.0], [0]
    for picture in pictures[1:]:
        steps = np.trunc((level[picture.ravel()] - memory) / THRESHOLD).astype(np.int64)
        memory += steps * THRESHOLD
        on, off = np.maximum(steps, 0), np.maximum(-steps, 0)
        sums.append(float((on * mark[:, 1]).sum() + (off * mark[:, 0]).sum()))
        counts.append(int(on.sum() + off.sum()))
    return sums, counts


def prepared(film: Film, cache: Path) -> Path:
    """File of the film's pictures, made where the folder does not hold it yet."""
    key = hashlib.sha256(json.dumps([asdict(film), _source()]).encode()).hexdigest()[:12]
    path = cache / f"film-{film.scene}-{film.width}x{film.height}-{key}.npy"
    if not path.is_file():
        pictures = film.pictures()
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.save(file, pictures)
    say(f"{film.scene} {film.width}x{film.height}: {film.frames} pictures, {film.step_us} µs apart")
    return path


@functools.cache
def _source() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()

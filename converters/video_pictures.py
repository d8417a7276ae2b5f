"""A folder of pictures as a film; names may carry the times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from snnface.converters.video_film import Picture, in_time
from snnface.errors import InputError
from snnface.io.damage import Damage

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
#: A number at the end of a name, with its unit.
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s)?$")
_UNITS = {"ns": Fraction(1, 1000), "us": Fraction(1), "µs": Fraction(1), "ms": Fraction(1000), "s": Fraction(10**6)}
#: Whole numbers of so many digits are times since 1970.
_UNIX = {19: "ns", 16: "us", 13: "ms"}


def pictures_in(folder: Path) -> list[Path]:
    """Files of a folder with a picture's suffix, those that begin with a point left out; numbers in names count."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    return sorted(
        found, key=lambda p: [(int(n), "") if n.isdecimal() else (0, n) for n in re.split(r"(\d+)", p.stem)]
    )


def time_in_name(stem: str) -> Fraction | None:
    """µs that a name without its suffix ends in; None where it ends in a counter or in no number.

    A time has a unit (``left_33ms``, ``12.5s``), a decimal point (seconds: ``0.0333``), or as many digits as a time
    since 1970 has: 13 (ms), 16 (µs), 19 (ns).
    """
    match = _NUMBER.search(stem)
    if not match:
        return None
    number, unit = match.groups()
    unit = unit or ("s" if "." in number else _UNIX.get(len(number)))
    return Fraction(number) * _UNITS[unit] if unit else None


class Folder:
    """Pictures of a folder, in order of their times, or of their names at ``fps`` pictures a second.

    Raises
    ------
    InputError: it holds no pictures, or their names carry no times and ``fps`` is not given.
    """

    def __init__(self, path: Path, fps: Fraction | None, repair: bool) -> None:
        self.path, self._repair = path, repair
        self.damage = Damage(path, repair)
        files = pictures_in(path)
        if not files:
            raise self.damage.lost("holds no pictures", f"Use one of {' '.join(SUFFIXES)}")
        if fps:
            times = [Fraction(10**6 * n) / fps for n in range(len(files))]
        else:
            found = [time_in_name(file.stem) for file in files]
            undated = next((f.name for f, t in zip(files, found, strict=True) if t is None), None)
            if undated:
                raise self.damage.lost(f"the name {undated} carries no time", "Give the rate of the pictures: --fps")
            times = [t for t in found if t is not None]
        self._shots = sorted(zip(times, files, strict=True))
        self.count: int | None = len(files)
        span = self._shots[-1][0] - self._shots[0][0]
        self.rate = fps or (Fraction(10**6 * (len(files) - 1)) / span if span else Fraction(25))
        first = next((rgb for _, file in self._shots if (rgb := self._picture(file)) is not None), None)
        if first is None:
            raise self.damage.lost("none of its pictures can be read", "Copy them again")
        self.height, self.width = first.shape[:2]

    def __iter__(self) -> Iterator[Picture]:
        self.damage = Damage(self.path, self._repair)
        return in_time(self._pictures(), self.damage)

    def _pictures(self) -> Iterator[Picture]:
        for t, file in self._shots:
            rgb = self._picture(file)
            if rgb is None:
                continue
            if rgb.shape != (self.height, self.width, 3):
                size = f"{rgb.shape[1]}x{rgb.shape[0]}, not {self.width}x{self.height}"
                self.damage.found("resized_pictures", 1, f"{file.name} is {size}")
                continue
            yield Picture(round(t), rgb)

    def _picture(self, file: Path) -> np.ndarray | None:
        """uint8 ``[H, W, 3]``; None where it cannot be read and is passed over."""
        try:
            with Image.open(file) as image:
                upright = ImageOps.exif_transpose(image)
                if upright.mode.startswith("I"):  # 16 bits of grey
                    grey = (np.asarray(upright).clip(0, 65_535) >> 8).astype(np.uint8)
                    return np.repeat(grey[:, :, None], 3, axis=2)
                return np.asarray(upright.convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
            if isinstance(e, InputError):
                raise
            self.damage.found("undecodable_pictures", 1, f"{file.name} cannot be read ({e})")
            return None

"""A video, or a folder of pictures, to the events that a sensor in the camera's place would have sent.

Memory is constant. Finished parts wait in a folder beside the output, with the simulator's state after the last one,
so that an interrupted run goes on where it stopped and ends with the same events.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from snnface import converters, io
from snnface.converters.sensors import sensor as preset
from snnface.converters.simulator import EventSimulator
from snnface.converters.video_file import Video
from snnface.converters.video_film import Film, Picture
from snnface.converters.video_light import Changes, Light
from snnface.converters.video_parts import Parts
from snnface.converters.video_pictures import Folder, pictures_in
from snnface.converters.video_slow import check_slow, slowed
from snnface.errors import InputError
from snnface.files import file_sha256
from snnface.io.heap import keep_large_blocks_apart
from snnface.progress import bar, say

#: A part ends after so many pictures, or once it has so many events.
PICTURES_A_PART = 300
EVENTS_A_PART = 4_000_000


@dataclass(frozen=True)
class Settings:
    """How a film is seen.

    ``size``: sensor (width, height), by default that of the film; ``sensor``: name of a preset; ``fps``: pictures a
    second where the film carries no times, or in place of its own; ``slow``: pictures in the place of one; ``seed``
    of the sensor's mismatch and noise.

    Raises
    ------
    InputError: a setting is out of its range.
    """

    size: tuple[int, int] | None = None
    sensor: str = "davis346"
    fps: float | None = None
    slow: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        preset(self.sensor)
        if self.fps is not None and not 0.01 <= self.fps <= 1e6:
            raise InputError(f"--fps {self.fps:g}", "is no number of pictures a second", "Give 0.01 to 1000000")
        if self.seed < 0:
            raise InputError("--seed", "is below 0", "Give a number ≥ 0")

    @property
    def rate(self) -> Fraction | None:
        """``fps`` as a fraction: 29.97 is meant as 30000/1001."""
        if self.fps is None:
            return None
        broadcast = Fraction(round(self.fps) * 1000, 1001)
        near = round(self.fps) > 0 and abs(float(broadcast) - self.fps) < 0.005 * self.fps / 30
        return broadcast if near and self.fps != round(self.fps) else Fraction(self.fps).limit_denominator(10**6)


def convert_video(
    source: str | Path,
    target: str | Path,
    settings: Settings | None = None,
    repair: bool = False,
    resume: bool = False,
    encoding: str | None = None,
) -> dict[str, Any]:
    """Write the events of a film to ``target``, in the format of its suffix; times begin at 0 with the first picture.

    ``encoding``: of RAW files, "evt3" or "evt2". Returns events_in (made), events_out (written), dropped (by
    reason: ``readout`` counts events, the others what of the film was passed over), t0_us (time of the first picture
    on the film's own clock), pictures, seconds, width, height, sensor, and largest_change: of a pixel from one
    picture to the next, in thresholds, and the largest share of pixels that change by more than three at once.

    Raises
    ------
    InputError: the film cannot be read, is damaged (and not to be repaired) or shows no change; an unfinished run is
        there and ``resume`` is not set, or was made with other settings; the target cannot be written.
    """
    source, target, settings = Path(source), Path(target), settings or Settings()
    keep_large_blocks_apart()
    io.check_target(target, settings.size, encoding)
    if not source.is_dir():
        io.check_file(source)
    film: Film = (Folder if source.is_dir() else Video)(source, settings.rate, repair)
    size = settings.size or (film.width, film.height)
    io.check_target(target, size, encoding)
    check_slow(settings.slow, film.width, film.height)
    simulator = EventSimulator(*size, preset(settings.sensor), settings.seed)
    with Parts(target, _plan(source, size, settings), simulator, resume) as parts:
        run = _Run(film, settings, Light(film.width, film.height, size), parts)
        run.simulate(simulator)
        written = 0

        def counted() -> Iterator[np.ndarray]:
            nonlocal written
            for events in parts.events():
                written += len(events)
                yield events

        whole = parts.folder / f"whole{target.suffix}"
        if not parts.holds_events():
            raise InputError(
                source, "shows no change that the sensor would see", "Give a film in which light changes"
            )
        shift = io.write_parts(counted(), whole, size, encoding)
        os.replace(whole, target)
        parts.finished = True
    if warning := run.changes.warning():
        say(warning)
    readout = {"readout": simulator.dropped} if simulator.dropped else {}
    return {
        "events_in": written + simulator.dropped,
        "events_out": written,
        "dropped": film.damage.dropped | readout,
        "t0_us": run.first_us + shift,
        "pictures": run.pictures,
        "seconds": run.seconds,
        "width": size[0],
        "height": size[1],
        "sensor": settings.sensor,
        "largest_change": {"thresholds": round(run.changes.largest, 3), "jumping": round(run.changes.jumping, 6)},
    }


class _Run:
    """Shows a film to the simulator from where the parts end."""

    def __init__(self, film: Film, settings: Settings, light: Light, parts: Parts) -> None:
        self._film, self._settings, self._light, self._parts = film, settings, light, parts
        self.changes = Changes(**parts.extra.get("changes", {}))
        self.pictures = self.first_us = 0
        self.seconds = 0.0

    def simulate(self, simulator: EventSimulator) -> None:
        """Make all parts that are missing."""
        parts = self._parts
        start, made, count = parts.pictures, list[np.ndarray](), 0
        before: tuple[np.ndarray, int] | None = None
        with closing(self._watched()) as shown:
            for number, picture in enumerate(shown):
                t_us = picture.t_us - self.first_us
                if number < start - 1:
                    continue
                light = self._light(picture.rgb)
                if number >= start:
                    if before is not None:
                        self.changes.add(before[0], light, (before[1], t_us), simulator.sensor)
                    made.append(simulator.step(light, t_us))
                    count += len(made[-1])
                before = light, t_us
                if number >= start and (count >= EVENTS_A_PART or (number + 1) % PICTURES_A_PART == 0):
                    parts.add(made, simulator, number + 1, {"changes": asdict(self.changes)})
                    made, count = [], 0
        if self.pictures < 2:
            raise InputError(
                self._film.path, f"holds {self.pictures} pictures; events need two", "Give a longer film"
            )
        parts.add([*made, simulator.flush()])

    def _watched(self) -> Generator[Picture]:
        """The pictures to show, with a progress bar; counts them."""
        film, slow = self._film, self._settings.slow
        with bar() as display:
            task = display.add_task(f"convert {film.path.name}", total=film.count)
            last = None

            def counted() -> Iterator[Picture]:
                nonlocal last
                for picture in film:
                    if last is None:
                        self.first_us = picture.t_us
                    self.pictures += 1
                    last = picture.t_us
                    self.seconds = (last - self.first_us) / 1e6
                    display.update(task, completed=self.pictures)
                    yield picture

            yield from slowed(counted(), film.rate, slow) if slow > 1 else counted()


def _plan(source: Path, size: tuple[int, int], settings: Settings) -> dict[str, Any]:
    """What decides the events, as JSON values: the film, the settings, and the code that makes them."""
    room = Path(str(converters.__file__)).parent
    code = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(room.glob("*.py")))).hexdigest()
    if source.is_dir():
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in pictures_in(source)]
        film = hashlib.sha256(repr(stats).encode()).hexdigest()
    else:
        film = file_sha256(source)
    return asdict(settings) | {"size": list(size), "film": film, "code": code, "av": av.__version__}

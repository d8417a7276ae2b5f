"""``snnface convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from snnface import io
from snnface.converters.recordings import convert_recording
from snnface.errors import InputError


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="A recording (raw dat aedat4 es csv h5), a video (mp4 avi mov mkv webm gif), a folder of pictures, "
            "or a folder in a published layout.",
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write; its suffix is its format.")],
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH", help="Sensor size: of a recording that does not state it; of a film, to scale to."
        ),
    ] = None,
    sensor: Annotated[
        str | None, typer.Option(metavar="NAME", help="Sensor that sees a film (davis346); recordings have theirs.")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Keep the good part of a broken input.")] = False,
    encoding: Annotated[str | None, typer.Option(metavar="NAME", help="Of .raw files: evt3 (default), evt2.")] = None,
    fps: Annotated[
        float | None, typer.Option(help="Pictures a second, where a film has no times or the wrong ones.")
    ] = None,
    slow: Annotated[int, typer.Option(help="Film: so many pictures in the place of one, interpolated.")] = 1,
    layout: Annotated[str | None, typer.Option(metavar="NAME", help="Published layout of a folder.")] = None,
    seed: Annotated[int, typer.Option(help="Film: decides the sensor's mismatch and noise.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run (films, folders).")] = False,
) -> dict[str, Any]:
    """Turn a recording, a video or a folder into events of any format, or a published set into a data set.

    Examples:

        snnface convert recording.raw recording.h5

        snnface convert film.mp4 film.raw --size 346x260 --sensor davis346

        snnface convert FACEMORPHIC faces.h5
    """
    pixels = io.parse_size(size)
    film_options = {"--sensor": sensor is not None, "--fps": fps is not None, "--slow": slow != 1}
    kind = _kind(source, layout)
    if kind == "recording":
        _refuse(film_options | {"--resume": resume}, "a recording already comes from a sensor")
        return convert_recording(source, target, pixels, repair, encoding)
    if kind == "film":
        from snnface.converters.video import Settings, convert_video  # brings FFmpeg and the simulator

        settings = Settings(pixels, sensor or "davis346", fps, slow, seed)
        return convert_video(source, target, settings, repair, resume, encoding)
    from snnface.converters.published import Options, convert_published

    _refuse({n: film_options[n] for n in ("--fps", "--slow")} | {"--encoding": encoding is not None}, "is for films")
    if target.suffix.lower() not in (".h5", ".hdf5"):
        raise InputError(target, "a data set is HDF5", "Name it with the suffix .h5")
    options = (
        Options(size=pixels, repair=repair) if sensor is None else Options(size=pixels, repair=repair, sensor=sensor)
    )
    return convert_published(source, target, layout, resume, options)


def _kind(source: Path, layout: str | None) -> str:
    """ "recording", "film" or "published"; raises InputError for folders that are neither of the latter."""
    if not source.is_dir():
        from snnface.converters.video_film import SUFFIXES

        if layout is not None:
            raise InputError(f"--layout {layout}", f"{source} is no folder", "Leave it out, or give the set's folder")
        return "film" if source.suffix.lower() in SUFFIXES else "recording"
    from snnface.converters.published import LAYOUTS, detect

    if layout is not None or detect(source) is not None:
        return "published"
    from snnface.converters.video_pictures import pictures_in

    if pictures_in(source):
        return "film"
    known = ", ".join(LAYOUTS)
    raise InputError(
        source, f"is a folder without pictures in it, and of no published layout ({known})", "See docs/convert.md"
    )


def _refuse(options: dict[str, bool], why: str) -> None:
    given = next((name for name, is_given in options.items() if is_given), None)
    if given:
        raise InputError(given, why, f"Leave out {given}")

"""The command ``snnface view``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from snnface.downscale import Fit, Rule
from snnface.errors import InputError
from snnface.view.answers import ask
from snnface.view.board import Board
from snnface.view.colours import Theme
from snnface.view.film import slow_motion, write_gif, write_mp4, write_png
from snnface.view.look import Look
from snnface.view.page import check_fits, write_page
from snnface.view.source import open_source, span

#: Which options belong to which output.
_ONLY = {
    "--fps": (".mp4", ".gif"),
    "--slow": (".mp4", ".gif"),
    "--at": (".png",),
    "--width": (".mp4", ".gif", ".png"),
    "--theme": (".mp4", ".gif", ".png"),
}
SUFFIXES = (".html", ".mp4", ".gif", ".png")
WIDTHS = {".mp4": 1280, ".gif": 640, ".png": 1280}
RATES = {".mp4": 30.0, ".gif": 20.0}


def view(
    file: Annotated[Path, typer.Argument(help="A recording (raw dat aedat4 es csv h5) or a data set (h5).")],
    out: Annotated[
        Path,
        typer.Option(
            help="What to write: .html, a page that plays it and loads nothing; .mp4, a film; .gif, an animation; "
            ".png, one moment."
        ),
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Draw what this network says: a checkpoint (.safetensors) or a netx network (.net)."),
    ] = None,
    clip: Annotated[int, typer.Option(help="Number of the clip where FILE is a data set.", min=0)] = 0,
    start: Annotated[
        float, typer.Option(help="Begin here: seconds from the first event, or the clip's start.")
    ] = 0.0,
    seconds: Annotated[float | None, typer.Option(help="Length of the part to look at; default: to the end.")] = None,
    decay: Annotated[float, typer.Option(help="Milliseconds in which an event fades to 37 %.")] = 30.0,
    slow: Annotated[
        float | None,
        typer.Option(help="Slow motion: times slower than life. Default: 1, or 4 s for less than half a second."),
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Pictures a second; default: 30 (mp4), 20 (gif).")] = None,
    at: Annotated[
        float | None, typer.Option(help="Moment of a png, seconds as --start; default: where most events are.")
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Pixels across, at most; default: 1280 (mp4, png), 640 (gif).")
    ] = None,
    theme: Annotated[
        Theme | None, typer.Option(help="Of mp4, gif and png; default: dark. A page follows its reader.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Sensor size where the file does not state it.")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Look at the good part of a broken recording.")] = False,
    fit: Annotated[Fit, typer.Option(help="How the network sees another aspect, as in snnface run.")] = "crop",
    downscale: Annotated[
        Rule, typer.Option(help="How the network sees a larger sensor, as in snnface run.")
    ] = "mean",
) -> dict[str, Any]:
    """A look at a recording or at a clip of a data set, with a network's predictions drawn on it.

    Events fade exponentially; colour pictures stand beside them where the data set has some, with landmarks, true
    intensities of action units and predictions. A page holds at most 10 million events: of a longer recording show a
    part, or make a film.

    Example: snnface view faces.h5 --clip 3 --checkpoint model.safetensors --out look.html

    Example: snnface view street.raw --start 2 --seconds 0.5 --slow 20 --out street.mp4
    """
    suffix = out.suffix.lower()
    given = {"--fps": fps, "--slow": slow, "--at": at, "--width": width, "--theme": theme}
    _check(out, suffix, given)
    if not 0.001 <= decay <= 60_000:
        raise InputError("--decay", f"{decay:g} ms is no time to fade in", "Use 0.001 to 60000")
    source = open_source(file, clip, size, repair)
    part = span(source, start, seconds)
    if suffix == ".html":
        check_fits(source, part, out)
    answers = None if checkpoint is None else ask(source, part, checkpoint, fit, downscale)
    look = Look(source, part, source.labels(part.start_us, part.stop_us), answers)
    try:
        if suffix == ".html":
            written = write_page(out, look, decay * 1000)
        else:
            written = _pictures(out, suffix, look, decay * 1000, given)
    except OSError as e:
        raise InputError(out, f"cannot be written: {e.strerror or e}", "Choose a writable folder") from e
    about = {"out": str(out), "width": source.width, "height": source.height}
    about |= {"start_us": part.start_us, "stop_us": part.stop_us}
    return written | about | {"bytes": out.stat().st_size}


def _check(out: Path, suffix: str, given: dict[str, Any]) -> None:
    """Raise :class:`InputError` for an output that nobody writes, and for options that say nothing about it."""
    if suffix not in SUFFIXES:
        raise InputError(out, "is no kind of look", f"End it in one of {' '.join(SUFFIXES)}")
    if out.is_dir():
        raise InputError(out, "is a folder", "Name a file")
    for name, value in given.items():
        if value is not None and suffix not in _ONLY[name]:
            raise InputError(name, f"says nothing about a {suffix}", f"Use it with {' '.join(_ONLY[name])}")
    for name in ("--fps", "--slow"):
        value = given[name]
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(name, f"{value:g} is no rate", "Use a number above 0")
    if given["--fps"] is not None and not 1 <= given["--fps"] <= 240:
        raise InputError("--fps", f"{given['--fps']:g} is no rate of a film", "Use 1 to 240")
    if given["--width"] is not None and not 64 <= given["--width"] <= 7680:
        raise InputError("--width", f"{given['--width']} pixels cannot be drawn", "Use 64 to 7680")


def _pictures(out: Path, suffix: str, look: Look, tau_us: float, given: dict[str, Any]) -> dict[str, Any]:
    board = Board(look, given["--width"] or WIDTHS[suffix], tau_us, given["--theme"] or "dark")
    duration = look.span.duration_us
    if suffix == ".png":
        at = given["--at"]
        moment = look.liveliest(tau_us) if at is None else round(at * 1e6) - look.span.start_us
        if not 0 <= moment <= duration:
            first, last = look.span.start_us / 1e6, look.span.stop_us / 1e6
            raise InputError("--at", f"{at:g} s is outside {first:g} … {last:g} s", "Choose a moment between them")
        return write_png(out, board, moment) | {"picture": list(board.size)}
    fps, slow = given["--fps"] or RATES[suffix], slow_motion(duration, given["--slow"])
    write = write_gif if suffix == ".gif" else write_mp4
    return write(out, board, fps, slow) | {"picture": list(board.size)}

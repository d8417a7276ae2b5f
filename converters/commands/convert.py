"""``snnface convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from snnface.converters.recordings import convert_recording
from snnface.errors import InputError
from snnface.io import parse_size


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A recording (raw dat aedat4 es csv h5).")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write; its suffix is its format.")],
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Sensor size where the input does not state it.")
    ] = None,
    sensor: Annotated[
        str | None, typer.Option(metavar="NAME", help="Camera model for video input; recordings have their own.")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Keep the good part of a broken input.")] = False,
) -> dict[str, Any]:
    """Turn a recording of one format into another.

    Example: snnface convert recording.raw recording.h5
    """
    if sensor is not None:
        raise InputError("--sensor", "a recording already comes from a sensor", "Leave out --sensor")
    return convert_recording(source, target, parse_size(size), repair)

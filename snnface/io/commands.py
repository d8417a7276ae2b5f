"""``snnface info``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from snnface.io.hdf5_file import SUFFIXES as HDF5
from snnface.io.hdf5_file import holds_dataset
from snnface.io.recording import Parts, check_file, parse_size


def info(
    file: Annotated[Path, typer.Argument(help="A recording (raw dat aedat4 es csv h5) or a data set (h5).")],
    repair: Annotated[bool, typer.Option("--repair", help="Count the good part of a broken file.")] = False,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Sensor size where the file does not state it.")
    ] = None,
) -> dict[str, Any]:
    """What a recording or data set holds.

    Example: snnface info recording.raw --json
    """
    if file.suffix.lower() in HDF5:
        check_file(file)
        if holds_dataset(file):
            from snnface.io.summary import summary  # data sets bring Tonic; recordings need none of it

            return summary(file)
    parts = Parts(file, repair, parse_size(size))
    events = on = first = last = 0
    for part in parts:
        first = first if events else int(part["t"][0])
        last, on = int(part["t"][-1]), on + int(np.count_nonzero(part["p"]))
        events += len(part)
    return {
        "events": events,
        "width": parts.width,
        "height": parts.height,
        "t_first_us": first,
        "t_last_us": last,
        "duration_us": last - first,
        "on_fraction": on / events,
        "format": parts.format,
        "dropped": parts.report.dropped,
    }

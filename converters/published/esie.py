"""E-SIE and the event version of WFLW-V (arXiv 2509.24968), as their authors' code reads them: pictures only.

E-SIE: ``label/<user>/<part>/<name>.txt`` (5 points, box) beside pictures in ``rgb`` and ``frame``, ``voxel`` or
``timesurface``; WFLW-V: ``labels/<video>.txt`` (98 points) beside ``images_selected`` and the same kinds. The
pictures are drawn from events, the events themselves are in neither, and neither can be downloaded yet.
"""

from __future__ import annotations

from pathlib import Path

from snnface.converters.published.layout import Layout, Options, Reading, Source
from snnface.errors import InputError

_DRAWN = ("frame", "voxel", "timesurface")


def recognise(folder: Path) -> bool:
    """Whether a folder of this layout begins here."""
    folders = {path.name for path in folder.iterdir() if path.is_dir()}
    labelled = {"label", "rgb"} <= folders or {"labels", "images_selected"} <= folders
    return labelled and any(name in folders for name in _DRAWN)


def sources(folder: Path, options: Options) -> list[Source]:
    """Always refuses: there are no events to read."""
    what = "holds pictures drawn from events, as E-SIE and the event WFLW-V are published, but no events"
    fix = "Ask its authors for the recordings, and give them as CLASS/RECORDING with labels.csv (layout folder)"
    raise InputError(folder, what, fix)


def read(source: Source, options: Options) -> Reading:
    """Never called, because there is nothing to list."""
    raise NotImplementedError


LAYOUT = Layout(recognise, sources, read)

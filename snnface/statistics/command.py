"""``snnface compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from snnface.io import read


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A recording (raw dat aedat4 es csv h5).")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    out: Annotated[Path, typer.Option(help="The page to write.", show_default=False)],
) -> dict[str, Any]:
    """Event statistics of two recordings, side by side.

    Example: snnface compare faces.h5 street.raw --out compare.html
    """
    return {"events": [len(read(path)[0]) for path in (first, second)], "out": str(out)}

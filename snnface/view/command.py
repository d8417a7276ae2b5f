"""The command ``snnface view``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from snnface.errors import InputError


def view(
    file: Annotated[Path, typer.Argument(help="A recording (raw dat aedat4 es csv h5) or a data set (h5).")],
    out: Annotated[Path, typer.Option(help="What to write: .html, .mp4, .gif or .png.")],
) -> dict[str, Any]:
    """A look at a recording, with predictions drawn on it.

    Example: snnface view recording.raw --out look.html
    """
    raise InputError(out, "cannot be written yet", "Use snnface info")

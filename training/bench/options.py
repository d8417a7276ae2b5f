"""Options that the bench's commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Against = Annotated[
    list[str] | None, typer.Option(help="Compare with this library or row only; may be given again. Default: all.")
]
Rounds = Annotated[int, typer.Option(min=1, help="Measured turns of each.")]
Ticks = Annotated[int, typer.Option(min=8, help="Ticks of 1 ms before the input starts again.")]
Laps = Annotated[int, typer.Option(min=1, help="Measured passes over the input.")]
Events = Annotated[list[int] | None, typer.Option(help="Events a tick; may be given again. 100 and 1000.")]
Source = Annotated[str, typer.Option(help="Where they come from: faces or noise.")]
Size = Annotated[int, typer.Option(help="Side of the input, pixels.")]
Seed = Annotated[int, typer.Option(min=0, help="Decides weights and noise.")]
Cache = Annotated[Path, typer.Option(help="Folder for recordings and calibrated weights.")]
Out = Annotated[Path | None, typer.Option(help="Write the answer to this file too (JSON).")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the sweep in --out.")]

#: Where recordings and calibrated weights are kept by default.
CACHE = Path("out/bench")

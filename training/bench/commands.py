"""``snnface bench``: this package beside other libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from snnface.cli import answering
from snnface.training.bench.integer_command import integer
from snnface.training.bench.io_command import io
from snnface.training.bench.options import CACHE
from snnface.training.bench.page import write_page
from snnface.training.bench.simulate_command import simulate
from snnface.training.bench.stream_command import stream
from snnface.training.bench.train_command import train

app = typer.Typer(no_args_is_help=True, help="This package beside other libraries, the same numbers checked first.")


def figures(
    results: Annotated[Path, typer.Option(help="Folder with the answers of the other commands.")] = CACHE,
    out: Annotated[Path, typer.Option(help="Folder of bench.md and its pictures.")] = Path("docs"),
) -> dict[str, Any]:
    """Draw the pictures and write the tables of docs/bench.md.

    Example: snnface bench figures --results out/bench --out docs
    """
    return {"out": str(out), "files": write_page(results, out)}


for function in (train, stream, integer, io, simulate, figures):
    app.command(function.__name__)(answering(function))

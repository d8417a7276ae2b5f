"""The command ``snnface run``."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import numpy as np
import torch
import typer

from snnface.downscale import Downscale, Fit, Rule
from snnface.files import atomic_path
from snnface.io import parse_size, read
from snnface.live import Live, describe
from snnface.stream import open_stream
from snnface.ticks import csv_blocks, ticks


def run(
    model: Annotated[Path, typer.Argument(help="A checkpoint (.safetensors) or a netx network (.net).")],
    recording: Annotated[str, typer.Argument(help="A recording, or - for lines t,x,y,p on standard input.")],
    rate: Annotated[
        Literal["real", "max"], typer.Option(help="real: at the recording's own pace; max: as fast as it goes.")
    ] = "max",
    tick_us: Annotated[int | None, typer.Option(help="Length of a tick, a multiple of the network's step.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write one JSON line a tick here.")] = None,
    size: Annotated[
        str | None, typer.Option(help="Sensor WxH where the recording does not say it; of -, else the network's.")
    ] = None,
    fit: Annotated[Fit, typer.Option(help="Keep the centre of another aspect, or all of it with borders.")] = "crop",
    downscale: Annotated[
        Rule, typer.Option(help="mean: events as a small sensor has them; all: every one.")
    ] = "mean",
) -> dict[str, Any]:
    """Stream events through a network and answer tick by tick, as a camera would deliver them.

    Latencies are those of a tick's down-scaling and network, without reading and writing files. Ctrl-C ends a run
    and keeps its answers.

    Example: snnface run out/demo/model.safetensors street.raw --rate real --out answers.jsonl
    """
    given = parse_size(size) if size else None
    stream = open_stream(model)
    _, to_height, to_width = stream.input_shape
    if recording == "-":
        source = "standard input"
        width, height = given or (to_width, to_height)
        blocks: Iterable[np.ndarray] = csv_blocks(sys.stdin.buffer, width, height)
    else:
        source = recording
        whole, _ = read(recording, size=given)
        width, height, blocks = whole.width, whole.height, [whole.events]
    live = Live(stream, Downscale(width, height, to_width, to_height, fit, downscale), tick_us)
    flow = ticks(blocks, live.tick_us, source)
    with _one_thread(), _lines(out) as file, contextlib.suppress(KeyboardInterrupt):
        for answered in live.run(flow, paced=rate == "real" and recording != "-"):
            if file:
                file.write(json.dumps(describe(answered, live.scaling.to_sensor)) + "\n")
    answer = {"source": source, "width": width, "height": height, "input_width": to_width, "input_height": to_height}
    return answer | live.summary()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """A tick is too small to share out: waking other threads costs more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _lines(out: Path | None) -> Iterator[TextIO | None]:
    if out is None:
        yield None
        return
    with atomic_path(out) as path, open(path, "w", encoding="utf-8") as file:
        yield file

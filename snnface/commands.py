"""The command ``snnface run``."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TextIO

import numpy as np
import typer

from snnface.datasets.store import Store
from snnface.downscale import Downscale, Fit, Rule
from snnface.errors import InputError
from snnface.events import Recording
from snnface.files import atomic_path
from snnface.io import parse_size, read
from snnface.io.hdf5_file import holds_dataset
from snnface.live import Live, describe
from snnface.pace import as_they_come, at_once, by_clock
from snnface.stream import open_stream
from snnface.ticks import csv_blocks, ticks
from snnface.udp import SCHEME, UdpSource

STANDARD_INPUT = "standard input"


def run(
    model: Annotated[Path, typer.Argument(help="A checkpoint (.safetensors), a netx (.net) or a NIR file (.nir).")],
    recording: Annotated[
        str,
        typer.Argument(
            help="A recording, a data set (see --clip), - for lines t,x,y,p on standard input, or udp://HOST:PORT to "
            "listen there (13 bytes an event: t u64, x u16, y u16, p u8; an empty packet ends it)."
        ),
    ],
    rate: Annotated[
        Literal["real", "max"],
        typer.Option(
            help="real: at the recording's own pace, or as the source delivers; max: every tick, as fast as it goes. "
            "udp:// is always real."
        ),
    ] = "max",
    tick_us: Annotated[int | None, typer.Option(help="Length of a tick, a multiple of the network's step.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write one JSON line a tick here.")] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Sensor WxH where the recording does not say it; of - and udp://, else the network's."),
    ] = None,
    clip: Annotated[int, typer.Option(help="Number of the clip where the recording is a data set.", min=0)] = 0,
    repeat: Annotated[int, typer.Option(help="Stream it this many times, end to end, for a longer run.", min=1)] = 1,
    fit: Annotated[Fit, typer.Option(help="Keep the centre of another aspect, or all of it with borders.")] = "crop",
    downscale: Annotated[
        Rule, typer.Option(help="mean: events as a small sensor has them; all: every one.")
    ] = "mean",
) -> dict[str, Any]:
    """Stream events through a network and answer tick by tick, as a camera would deliver them.

    Latencies are those of a tick's down-scaling and network, without reading and writing files. At the real rate,
    ticks that are over before the one before them is answered are answered together: the tick is widened. No event
    and no step is left out, only answers in between; the answer counts them (widened, late, behind_us). Ctrl-C ends
    a run and keeps its answers.

    Example: snnface run out/demo/model.safetensors street.raw --rate real --out answers.jsonl
    """
    stream = open_stream(model)
    _, to_height, to_width = stream.input_shape
    source = _open(recording, parse_size(size), clip, (to_width, to_height))
    live = Live(stream, Downscale(*source.size, to_width, to_height, fit, downscale), tick_us)
    flow = ticks(_repeated(source.blocks, repeat), live.tick_us, source.name, source.origin)
    if source.udp or (rate == "real" and source.live):
        groups = as_they_come(flow)
    else:
        groups = by_clock(flow, live.tick_us) if rate == "real" else at_once(flow)
    with _lines(out) as file, contextlib.suppress(KeyboardInterrupt):
        for answered in live.run(groups):
            if file:
                file.write(json.dumps(describe(answered, live.scaling.to_sensor)) + "\n")
    width, height = source.size
    answer = {"source": source.name, "width": width, "height": height}
    answer |= {"input_width": to_width, "input_height": to_height} | live.summary()
    return answer | ({"dropped": source.udp.dropped} if source.udp else {})


class _Source(NamedTuple):
    """Blocks of events, sensor size (width, height), where time begins (None: at the first event), and whether the
    source is live and over UDP."""

    name: str
    blocks: Iterable[np.ndarray]
    size: tuple[int, int]
    origin: int | None = None
    live: bool = False
    udp: UdpSource | None = None


def _open(recording: str, size: tuple[int, int] | None, clip: int, network_size: tuple[int, int]) -> _Source:
    if recording == "-":
        size = size or network_size
        return _Source(STANDARD_INPUT, csv_blocks(sys.stdin.buffer, *size), size, live=True)
    if recording.startswith(SCHEME):
        size = size or network_size
        udp = UdpSource(recording, *size)
        return _Source(recording, udp.blocks(), size, live=True, udp=udp)
    if not holds_dataset(Path(recording)):
        found, _ = read(recording, size=size)
        return _Source(recording, [found.events], (found.width, found.height))
    store = Store(recording)
    if clip >= len(store):
        raise InputError("--clip", f"{clip} is beyond the data set's {len(store)} clips", "Count from 0")
    found = Recording(store.events(clip), store.width, store.height, recording)
    return _Source(recording, [found.events], (found.width, found.height), origin=0)


def _repeated(blocks: Iterable[np.ndarray], times: int) -> Iterable[np.ndarray]:
    """The same blocks again and again, the clock going on by a recording's length each time."""
    return blocks if times == 1 else _shifted(list(blocks), times)


def _shifted(blocks: list[np.ndarray], times: int) -> Iterator[np.ndarray]:
    length = int(blocks[-1]["t"][-1] - blocks[0]["t"][0]) + 1 if blocks and len(blocks[-1]) else 0
    for k in range(times):
        for block in blocks:
            later = block.copy()
            later["t"] += k * length
            yield later


@contextlib.contextmanager
def _lines(out: Path | None) -> Iterator[TextIO | None]:
    if out is None:
        yield None
        return
    with atomic_path(out) as path, open(path, "w", encoding="utf-8") as file:
        yield file

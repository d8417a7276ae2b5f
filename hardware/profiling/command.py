"""The command ``snnface profile``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from snnface.backends import get as get_backend
from snnface.errors import InputError
from snnface.files import write_text
from snnface.hardware.inputs import collated, split_of
from snnface.hardware.opening import open_network
from snnface.hardware.placing.chip import chip_names, load_chip
from snnface.hardware.placing.page import chip_page
from snnface.hardware.placing.placement import place
from snnface.hardware.placing.proposals import proposals
from snnface.hardware.profiling.baseline_macs import baselines
from snnface.hardware.profiling.profile import CHIPS, weight_bits
from snnface.hardware.profiling.profile import profile as profile_network
from snnface.progress import track

#: Clips that are run at a time: their spikes at every step stand in memory together.
BATCH = 4
#: Word for every chip of the package.
ALL = "all"


def profile(
    model: Annotated[Path, typer.Argument(help="A checkpoint (.safetensors), a netx (.net) or a NIR file (.nir).")],
    data: Annotated[Path, typer.Option(help="Data set whose events are counted (.h5).")],
    chip: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(CHIPS)} by default; {ALL}, or a chip's .toml file.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="train, validation or test; all clips without it.")] = None,
    bits: Annotated[int | None, typer.Option(min=2, max=8, help="Bits a weight; a netx file's own, else 8.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Page (.html): the map on the first chip with cores, and the bill.")
    ] = None,
    semantics: Annotated[
        str | None, typer.Option(help="Of a NIR file: who wrote it, like snntorch,step_us=1000 (docs/nir.md).")
    ] = None,
) -> dict[str, Any]:
    """Count what a network does on a data set; energy, latency and cores by chip, CNNs beside it.

    Energies are models with their source, in µJ per second of recording; a figure that is not published is named.

    Example: snnface profile out/demo/model.safetensors --data out/demo/test.h5 --chip loihi2 --out profile.html
    """
    opened = open_network(model, semantics)
    network = opened.network
    store, chosen = split_of(data, split, network.input_shape)
    if len(chosen) == 0:
        raise InputError(data, f"has no {split or ''} clips", "Choose another split")
    groups = [chosen[i : i + BATCH] for i in range(0, len(chosen), BATCH)]
    run = get_backend(opened.backend)
    runs = ((b, run(opened.runnable, b)) for b in (collated(store, group) for group in track(groups, "profile")))
    chips = [*CHIPS, *(n for n in chip_names() if n not in CHIPS)] if chip == [ALL] else chip or CHIPS
    on = next((c for c in map(load_chip, chips) if c.core is not None), None)
    if out is not None and on is None:
        raise InputError("--out", "none of these chips has cores to draw", "Add --chip loihi2")
    answer = profile_network(network, runs, chips, baselines(network), bits)
    if out is not None and on is not None:
        placement = place(network, on, bits or weight_bits(network))
        write_text(out, chip_page(model.stem, placement, proposals(network, placement), answer))
        answer["out"] = str(out)
    return answer

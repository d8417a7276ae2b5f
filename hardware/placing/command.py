"""``snnface chips``: what is published of each chip, a network laid on one, the model beside measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from snnface.cli import Found, answering
from snnface.files import write_text
from snnface.hardware.opening import open_network
from snnface.hardware.placing import pilotnet, published_mappings
from snnface.hardware.placing.chip import NOT_PUBLISHED, chip_names, load_chip
from snnface.hardware.placing.page import chip_page
from snnface.hardware.placing.placement import Placement, place
from snnface.hardware.placing.proposals import proposals
from snnface.hardware.profiling.energy import FORMULA, NEEDED, missing
from snnface.hardware.profiling.profile import weight_bits

app = typer.Typer(no_args_is_help=True, help="Chips: published figures, placement on cores, checks.")

_Chip = Annotated[str, typer.Option(help="A chip's name, or a .toml file of one's own.")]


def list_chips() -> dict[str, Any]:
    """Every chip that comes along: energies in pJ an operation, cores, static power; what is not published says so.

    Example: snnface chips list
    """
    rows = []
    for chip in map(load_chip, chip_names()):
        row: dict[str, Any] = {"name": chip.name, "title": chip.title}
        for name in (*NEEDED, "mac"):
            figure = getattr(chip.energy_pj, name)
            row[f"{name}_pj"] = figure.value if figure else NOT_PUBLISHED
        row["cores"] = int(chip.core.cores.value) if chip.core else NOT_PUBLISHED
        row["static_mw"] = chip.static_mw.value if chip.static_mw else NOT_PUBLISHED
        rows.append(row)
    return {"chips": rows}


def show(chip: Annotated[str, typer.Argument(help="A chip's name, or a .toml file of one's own.")]) -> dict[str, Any]:
    """Every figure of one chip with its source, and what is missing for an energy.

    Example: snnface chips show loihi2
    """
    found = load_chip(chip)
    return {
        "name": found.name,
        "title": found.title,
        "model": found.model,
        "neuron": found.neuron.title if found.neuron else None,
        "figures": [
            {"field": name, "value": f.value, "low": f.ends[0], "high": f.ends[1], "source": f.source}
            for name, f in found.figures()
        ],
        "measured": [vars(m) for m in found.measured],
        "energy_formula": FORMULA,
        "missing": [f"{name}: {NOT_PUBLISHED}" for name in missing(found)],
    }


def place_network(
    model: Annotated[Path, typer.Argument(help="A checkpoint (.safetensors), a netx (.net) or a NIR file (.nir).")],
    chip: _Chip = "loihi2",
    cores: Annotated[int | None, typer.Option(min=1, help="Cores that it may take; a chip's by default.")] = None,
    bits: Annotated[int | None, typer.Option(min=2, max=8, help="Bits a weight; a netx file's own, else 8.")] = None,
    out: Annotated[Path | None, typer.Option(help="The map as a page (.html).")] = None,
    semantics: Annotated[
        str | None, typer.Option(help="Of a NIR file: who wrote it, like snntorch,step_us=1000 (docs/nir.md).")
    ] = None,
) -> dict[str, Any]:
    """Lay a network on a chip: cores of each layer, the limit that binds, what would make it fit and at what cost.

    Example: snnface chips place model.safetensors --chip loihi2 --out map.html
    """
    network = open_network(model, semantics).network
    placement = place(network, load_chip(chip), bits or weight_bits(network))
    changes = proposals(network, placement, cores)
    answer = placed(placement) | {"proposals": changes}
    if out is not None:
        write_text(out, chip_page(model.stem, placement, changes, None))
        answer["out"] = str(out)
    return answer


def check() -> dict[str, Any]:
    """The estimates beside what is published: Intel's printed mappings, and PilotNet's measurement on Loihi 2.

    Exit code 1 where a convolution's cores differ, or a dense layer's by more than 1.75 times.

    Example: snnface chips check
    """
    answer = {"mappings": published_mappings.compare(), "pilotnet": pilotnet.compare()}
    if not answer["mappings"]["passed"]:
        raise Found(answer)
    return answer


def placed(placement: Placement) -> dict[str, Any]:
    """A placement as JSON."""
    layers = []
    for layer in placement.layers:
        row: dict[str, Any] = {"name": layer.name, "neurons": layer.layer.neurons, "cores": layer.cores}
        if layer.cut is not None:
            row |= {"least": layer.least_cores, "tile": list(layer.cut.tile), "binds": layer.cut.load.binds}
            row |= {f"{name.replace(' ', '_')}_share": share for name, share in layer.cut.load.share.items()}
        elif layer.problem:
            row["problem"] = layer.problem
        layers.append(row)
    return {
        "chip": placement.chip.name,
        "cores": placement.cores,
        "chips": placement.chips,
        "fits": placement.fits,
        "counted": placement.counted,
        "bits": placement.bits,
        "problems": list(placement.problems),
        "layers": layers,
    }


app.command("list")(answering(list_chips))
app.command("show")(answering(show))
app.command("place")(answering(place_network))
app.command("check")(answering(check))

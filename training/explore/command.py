"""The command ``snnface explore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.files import write_json, write_text
from snnface.hardware.placing.chip import load_chip
from snnface.progress import say
from snnface.training import recipe as recipes
from snnface.training.explore.exploration import Exploration, Family
from snnface.training.explore.family import AXES, default_axes, family, parse_axes
from snnface.training.explore.front import BUDGETS, COSTS, MEASURES, front, parse_budget, within
from snnface.training.explore.page import explore_page


def explore(
    recipe: Annotated[str, typer.Argument(help="A recipe: a TOML file or the name of a shipped one.")],
    budget: Annotated[str | None, typer.Option(help=f"Bounds, NAME=NUMBER,…: {', '.join(BUDGETS)}.")] = None,
    vary: Annotated[
        list[str] | None, typer.Option(help=f"AXIS=VALUES of {', '.join(AXES)}; a choice of all by default.")
    ] = None,
    grid: Annotated[bool, typer.Option("--grid", help="Every combination; else one axis at a time.")] = False,
    set: Annotated[list[str] | None, typer.Option("--set", help="Change a field of the recipe, a.b=value.")] = None,
    init: Annotated[
        str | None, typer.Option(help="Checkpoint to fine-tune wherever weights keep their shapes.")
    ] = None,
    chip: Annotated[str, typer.Option(help="Chip to price on: a name, or a .toml file.")] = "loihi2",
    measure: Annotated[str, typer.Option(help=f"Accuracy that is drawn: {', '.join(MEASURES)}.")] = "au_top1",
    cnn: Annotated[bool, typer.Option(help="Train the CNN of the same widths beside it.")] = True,
    out: Annotated[Path, typer.Option(help="Folder for everything that is made.")] = Path("out/explore"),
    seed: Annotated[int | None, typer.Option(min=0, help="The recipe's training.seed.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Accepted for symmetry: what is finished is always used again.")
    ] = True,
) -> dict[str, Any]:
    """Train a family of networks around a recipe; accuracy against energy, latency and cores, with the front.

    Networks that would take more cores than the budget are not trained. Writes explore.html and explore.json;
    interrupted, the same command goes on.

    Example: snnface explore student --set data.train=faces.h5 --budget cores=120,energy_uj_per_s=500
    """
    bounds = parse_budget(budget)
    if measure not in MEASURES:
        raise InputError(f"--measure {measure}", "is unknown", f"Use one of {', '.join(MEASURES)}")
    changes = [*(set or []), *([f"training.seed={seed}"] if seed is not None else [])]
    base = recipes.load(recipe, changes)
    if base.network.kind != "spiking":
        raise InputError(recipe, "is a CNN's recipe", "Give a spiking one; its CNN is trained beside it")
    store = Store(base.data.train)
    axes = parse_axes(vary) if vary else default_axes(base, max(store.width, store.height))
    members = family(base, axes, grid)
    say(f"{len(members)} networks{' and a CNN' if cnn else ''}: {', '.join(m.label for m in members)}")
    described = load_chip(chip)
    points = Exploration(out, Family(base, members, described, init, cnn), bounds.get("cores")).run()
    for point in points:
        point["within_budget"] = within(point, bounds)
    best = [points[i]["name"] for i in front(points, measure)]
    answer = {
        "chip": described.name,
        "budget": bounds,
        "measure": measure,
        "costs": list(COSTS),
        "points": points,
        "front": best,
        "model": described.model,
        "source": described.source,
        "page": str(out / "explore.html"),
    }
    write_json(out / "explore.json", answer)
    write_text(out / "explore.html", explore_page(points, described, bounds, measure, Path(recipe).stem))
    return answer

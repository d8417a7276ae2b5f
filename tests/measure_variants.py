"""Whether another engine or surrogate learns as much, on a folder of ``make demo``.

    python tests/measure_variants.py out/demo --out out/variants --variants native torch
    python tests/measure_variants.py out/demo --out out/variants --variants native sparse

Trains the guided network with every seed in each variant, each training in a process of its own, and measures it on
the demo's test people. What is trained is not trained again, what was interrupted goes on. Prints a table in
Markdown, means and standard deviations over the seeds and how far they are from the first variant's, and writes
``variants.json``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import snnface
from snnface.engine.library import VARIABLE
from snnface.files import write_json

MEASURES = ("au_top1", "au_top3", "expression_acc", "nme")
#: What the variable that chooses the engine is set to, and what the recipe sets.
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "native": ("", ()),
    "torch": ("none", ()),
    "sparse": ("", ('network.surrogate="triangle"', "network.slope=2.0")),
}


def trained(demo: Path, run: Path, variant: str, seed: int, epochs: int) -> Path:
    """The best checkpoint of one training, which is done or gone on with where it is not finished."""
    engine, changes = VARIANTS[variant]
    command = [sys.executable, "-m", "snnface", "train", "guided", "--out", str(run), "--seed", str(seed)]
    changes += (f"data.train={demo / 'train.h5'}", f"teacher={demo / 'teacher.safetensors'}")
    for change in (*changes, f"training.epochs={epochs}"):
        command += ["--set", change]
    command += ["--resume"] if (run / "run.json").is_file() else []
    subprocess.run(command, env=os.environ | {VARIABLE: engine}, check=True, stdout=subprocess.DEVNULL)
    return run / "best.safetensors"


def table(measured: dict[str, dict[int, dict[str, Any]]]) -> str:
    """A row for each variant, and for every one but the first how far its means are from the first's."""
    lines = [f"| variant | {' | '.join(MEASURES)} |", "|---" * (1 + len(MEASURES)) + "|"]
    first: list[float] = []
    for variant, seeds in measured.items():
        columns = [[found[key] for found in seeds.values()] for key in MEASURES]
        cells = (f"{mean(c):.3f} ± {stdev(c) if len(c) > 1 else 0:.3f}" for c in columns)
        lines.append(f"| {variant} | {' | '.join(cells)} |")
        means = [mean(column) for column in columns]
        first = first or means
        if means is not first:
            lines.append(f"| difference | {' | '.join(f'{a - b:+.3f}' for a, b in zip(means, first, strict=True))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", nargs="+", choices=tuple(VARIANTS), required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    measured: dict[str, dict[int, dict[str, Any]]] = {variant: {} for variant in options.variants}
    for seed in options.seeds:
        for variant in options.variants:
            run = options.out / f"{variant}, seed {seed}, {options.epochs} passes"
            best = trained(options.demo, run, variant, seed, options.epochs)
            measured[variant][seed] = snnface.eval(best, options.demo / "test.h5", split="test")
            print(f"{variant}, seed {seed}:", {key: round(measured[variant][seed][key], 4) for key in MEASURES})
    write_json(options.out / "variants.json", {"epochs": options.epochs, "measured": measured})
    print(table(measured))


if __name__ == "__main__":
    main()

"""Whether the native engine learns what the torch reference learns, on a folder of ``make demo``.

    python tests/measure_backends.py out/demo --out out/backends --epochs 10

Trains the guided network with every seed on both, each training in a process of its own, and measures it on its
test people. What is trained is not trained again, what was interrupted goes on. Prints a table in Markdown, means and
standard deviations over the seeds and the difference, and writes ``backends.json``.
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
#: Backend → what the variable that chooses the engine is set to.
ENGINES = {"native": "", "torch": "none"}


def trained(demo: Path, run: Path, backend: str, seed: int, epochs: int) -> Path:
    """The best checkpoint of one training, which is done or gone on with where it is not finished."""
    command = [sys.executable, "-m", "snnface", "train", "guided", "--out", str(run), "--seed", str(seed)]
    command += ["--set", f"data.train={demo / 'train.h5'}", "--set", f"teacher={demo / 'teacher.safetensors'}"]
    command += ["--set", f"training.epochs={epochs}", *(["--resume"] if (run / "run.json").is_file() else [])]
    subprocess.run(command, env=os.environ | {VARIABLE: ENGINES[backend]}, check=True, stdout=subprocess.DEVNULL)
    return run / "best.safetensors"


def table(measured: dict[str, dict[int, dict[str, Any]]]) -> str:
    """A row for each backend and one for the difference of their means."""
    lines = [f"| backend | {' | '.join(MEASURES)} |", "|---" * (1 + len(MEASURES)) + "|"]
    means: dict[str, list[float]] = {}
    for backend, seeds in measured.items():
        columns = [[found[key] for found in seeds.values()] for key in MEASURES]
        means[backend] = [mean(column) for column in columns]
        cells = (f"{mean(c):.3f} ± {stdev(c) if len(c) > 1 else 0:.3f}" for c in columns)
        lines.append(f"| {backend} | {' | '.join(cells)} |")
    difference = (f"{a - b:+.3f}" for a, b in zip(means["native"], means["torch"], strict=True))
    return "\n".join([*lines, f"| difference | {' | '.join(difference)} |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    measured: dict[str, dict[int, dict[str, Any]]] = {backend: {} for backend in ENGINES}
    for seed in options.seeds:
        for backend in ENGINES:
            run = options.out / f"{backend}, seed {seed}, {options.epochs} passes"
            best = trained(options.demo, run, backend, seed, options.epochs)
            measured[backend][seed] = snnface.eval(best, options.demo / "test.h5", split="test")
            print(f"{backend}, seed {seed}:", {key: round(measured[backend][seed][key], 4) for key in MEASURES})
    write_json(options.out / "backends.json", {"epochs": options.epochs, "measured": measured})
    print(table(measured))


if __name__ == "__main__":
    main()

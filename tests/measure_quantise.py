"""What quantisation costs: float, calibrated and trained weights of a few bits, on a folder of ``make results``.

    python tests/measure_quantise.py out/results/standard --out out/quantise --split validation

Every seed's guided network is exported by calibration alone, and trained on for a few passes in the chip's numbers
(``snnface train guided --init … --set quantise.bits=…``) and exported; the float checkpoint and every export, in the
chip's arithmetic, are then measured on the same people. What is done is not done again. Prints a table in Markdown,
means and standard deviations over the seeds and the differences from float, and writes ``quantise.json``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import snnface
from snnface.files import file_sha256, read_json, write_json
from snnface.progress import say

#: Measures, their unit in the table and digits.
SHOWN = {"au_top1": (100, 1), "au_top3": (100, 1), "expression_acc": (100, 1), "nme": (100, 2)}


def changes(results: Path, arguments: argparse.Namespace, bits: int) -> list[str]:
    """The recipe's changes for a few passes in the chip's numbers."""
    few = [f"data.clips={arguments.clips}"] if arguments.clips else []
    return [
        f"data.train={results / 'train.h5'}",
        f"teacher={results / 'teacher.safetensors'}",
        f"quantise.bits={bits}",
        f"training.epochs={arguments.passes}",
        f"training.lr={arguments.lr}",
        *few,
    ]


def networks(results: Path, arguments: argparse.Namespace, seed: int) -> dict[str, Path]:
    """Name → file of every network of one seed, made where it is not there."""
    start, out = results / "runs" / f"guided, seed {seed}" / "best.safetensors", arguments.out
    found = {"float": start}
    for bits in arguments.bits:
        checkpoints = {"calibrated": start}
        if arguments.passes:
            run = out / f"{bits} bits, seed {seed}"
            resume = (run / "run.json").is_file()
            made = changes(results, arguments, bits)
            trained = snnface.train("guided", set=made, init=str(start), out=run, seed=seed, resume=resume)
            checkpoints["trained"] = Path(trained["checkpoint"])
        for name, checkpoint in checkpoints.items():
            net = out / f"{name}, {bits} bits, seed {seed}.net"
            if not net.is_file():
                snnface.export(checkpoint, net, calibration=results / "train.h5", bits=bits)
            found[f"{bits} bits, {name}"] = net
    return found


def measured(network: Path, name: str, results: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Task metrics of one network, from now or from an earlier call on the same file."""
    data = results / ("test.h5" if arguments.split == "test" else "train.h5")
    file = arguments.out / "measures" / f"{name}, {arguments.split}.json"
    sha256 = file_sha256(network)
    if file.is_file() and read_json(file)["sha256"] == sha256:
        return dict(read_json(file)["metrics"])
    say(f"measures {name} on {arguments.split}")
    metrics = snnface.eval(network, data, split=arguments.split, mean_shape=results / "train.h5")
    write_json(file, {"sha256": sha256, "metrics": metrics})
    return metrics


def table(rows: dict[str, list[dict[str, Any]]]) -> str:
    """Mean ± standard deviation of each measure, and the mean difference from the same seed's float network."""
    lines = [f"| weights | {' | '.join(SHOWN)} |", "|---" * (len(SHOWN) + 1) + "|"]
    for name, found in rows.items():
        cells = []
        for key, (unit, digits) in SHOWN.items():
            values = unit * np.array([m[key] for m in found])
            gap = (values - unit * np.array([m[key] for m in rows["float"]])).mean()
            cell = f"{values.mean():.{digits}f}"
            if len(values) > 1:
                cell += f" ± {values.std(ddof=1):.{digits}f}"
            cells.append(cell if name == "float" else f"{cell} ({gap:+.{digits}f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder with train.h5, test.h5, teacher.safetensors and runs/")
    parser.add_argument("--out", type=Path, required=True, help="folder for runs, exports and measures")
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 4])
    parser.add_argument(
        "--passes", type=int, default=1, help="over the training clips, in the chip's numbers; 0: no training"
    )
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--clips", type=int, help="only so many training clips")
    arguments = parser.parse_args()
    rows: dict[str, list[dict[str, Any]]] = {}
    for seed in arguments.seeds:
        for name, network in networks(arguments.results, arguments, seed).items():
            metrics = measured(network, f"{name}, seed {seed}", arguments.results, arguments)
            rows.setdefault(name, []).append(metrics)
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(arguments).items()}
    write_json(arguments.out / "quantise.json", {"settings": settings, "rows": rows})
    print(table(rows))


if __name__ == "__main__":
    main()

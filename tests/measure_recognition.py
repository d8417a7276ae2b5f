"""Is an action the same to look at on every kind of face? The RGB teacher names it on people it never saw.

    NEW="--tasks au --clips 480 --identities 20 --first-identity 100000 --seconds 1.2 --split 0,0,1"
    ICT="--face ict:ict_facekit_light.npz"
    snnface synth ict.h5 --clips 3600 --identities 900 --seconds 1.2 --tasks au --seed 14 $ICT
    snnface synth own_test.h5 $NEW --seed 11
    snnface synth ict_test.h5 $NEW --seed 12 $ICT
    ALSO="--test own_test.h5 ict_test.h5 --without 23 25 26 43 --without 51 52 53 54 55 56"
    python tests/measure_recognition.py out/results/standard/train.h5 $ALSO --epochs 5 --seed 3
    python tests/measure_recognition.py ict.h5 $ALSO --epochs 8

``snnface teach`` learns from the training people of a data set and classifies the test people of the others, among
the actions that both have. Prints a line of JSON for each: ``clips``, ``classes``, ``top1``, and ``per_class``, the
share of each action that is recognised. With every ``--without`` also for the same clips less some actions, which
then nothing is taken for.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

import snnface
from snnface.datasets.store import Store, write_store


def less(source: Path, out: Path, actions: list[int]) -> Path:
    """A data set's clips but for some actions (FACS numbers)."""
    store = Store(source)
    kept = np.flatnonzero(~np.isin(store.au, actions))
    write_store(out, (store.clip(int(i)) for i in kept), store.width, store.height, store.generator)
    return out


def recognised(
    learn: Path, tests: list[Path], without: list[list[int]], epochs: int, seed: int
) -> list[dict[str, object]]:
    """How well a teacher of ``learn`` names the actions of each data set, whole and ``without`` each list of them."""
    with tempfile.TemporaryDirectory() as folder:
        asked = [(path, path, list[int]()) for path in tests]
        for out in without:
            asked += [(path, less(path, Path(folder) / f"{len(asked)} {path.name}", out), out) for path in tests]
        said = Path(folder) / "teacher.safetensors"
        answer = snnface.teach(learn, out=said, epochs=epochs, seed=seed, also=[path for _, path, _ in asked])
    return [
        {"learned": learn.name, "test": source.name, "without": left_out, **found["au"]}
        for (source, _, left_out), found in zip(asked, answer["also"], strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("learn", type=Path)
    parser.add_argument("--test", type=Path, nargs="+", required=True)
    parser.add_argument(
        "--without", type=int, nargs="+", action="append", default=[], help="FACS numbers that are not asked for"
    )
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for row in recognised(options.learn, options.test, options.without, options.epochs, options.seed):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

"""How much a network loses on faces and events that are not those it learned from.

python tests/measure_transfer.py v2e TEST.h5 OUT.h5 --clips 240     # the same people and acts, events made by v2e
python tests/measure_transfer.py compare MODEL.safetensors… --own TEST.h5 --other ICT.h5 V2E.h5

v2e is a peer: its sources have to be importable (``v2ecore``).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import snnface
from snnface.converters import clip as making
from snnface.converters.plan import Plan
from snnface.datasets.store import Store, write_store
from snnface.events import EVENT_DTYPE, pack
from snnface.faces.picture import srgb
from snnface.progress import track
from snnface.training.bench.peers.v2e import emulator

#: v2e's own defaults for its command line.
DEFAULTS: dict[str, Any] = {
    "pos_thres": 0.2, "neg_thres": 0.2, "sigma_thres": 0.03, "cutoff_hz": 300, "leak_rate_hz": 0.01,
    "shot_noise_rate_hz": 0.001, "refractory_period_s": 0.0005,
}  # fmt: skip
MEASURES = ("au_top1", "expression_acc", "nme")


class V2e:
    """v2e in the place of our simulator: it takes pictures as a video has them, grey 0 to 255."""

    def __init__(self, width: int, height: int, preset: object, seed: int) -> None:
        self.emulator = emulator(**DEFAULTS)

    def step(self, light: np.ndarray, t_us: int) -> np.ndarray:
        """Events since the picture before, structured ``[e]``; ``light``: linear, 1 is white, ``[H, W]``."""
        found = self.emulator.generate_events(srgb(light).astype(np.float32), t_us * 1e-6)
        if found is None:
            return np.zeros(0, EVENT_DTYPE)
        t, x, y, p = found[np.argsort(found[:, 0], kind="stable")].T
        return pack(np.minimum(np.round(t * 1e6).astype(np.int64), t_us), x, y, p > 0)


def by_v2e(source: Path, out: Path, clips: int) -> None:
    """The first clips of a synthetic test set again, their events made by v2e."""
    store = Store(source)
    settings = {k: v for k, v in store.generator["settings"].items() if k in Plan.__dataclass_fields__}
    settings["vary"] = settings.get("vary", {}).items()
    plan = Plan(**{k: tuple(v) if k in ("tasks", "split", "vary") else v for k, v in settings.items()})
    with mock.patch.object(making, "EventSimulator", V2e):
        made = (making.make_clip(plan, number) for number in track(range(min(clips, len(store))), "v2e"))
        write_store(out, made, plan.width, plan.height, store.generator | {"simulator": "v2e"})


def compare(models: list[Path], own: Path, others: list[Path]) -> None:
    """A line for each model and data set, and the drop from its own."""
    for model in models:
        measured = {path: snnface.eval(model, path, split="test") for path in (own, *others)}
        for path, found in measured.items():
            values = {k: round(found[k], 4) for k in MEASURES if k in found}
            drop = {k: round(measured[own][k] - v, 4) for k, v in values.items()}
            print(
                json.dumps(
                    {"model": str(model), "data": path.name, "clips": found["clips"]} | values | {"drop": drop}
                )
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    one = commands.add_parser("v2e")
    one.add_argument("source", type=Path)
    one.add_argument("out", type=Path)
    one.add_argument("--clips", type=int, default=240)
    two = commands.add_parser("compare")
    two.add_argument("models", type=Path, nargs="+")
    two.add_argument("--own", type=Path, required=True)
    two.add_argument("--other", type=Path, nargs="+", required=True)
    options = parser.parse_args()
    if options.command == "v2e":
        by_v2e(options.source, options.out, options.clips)
    else:
        compare(options.models, options.own, options.other)


if __name__ == "__main__":
    main()

"""Does the bundle compute here what it computed where it was exported?"""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .answers import Heads
from .files import Problem, read_json, verify
from .play import Player, Step, open_network
from .recording import Recording

#: Answers are written with five digits; two machines' exponentials may differ in the last.
_NEAR = 2e-5


def check(folder: Path, options: Namespace) -> dict[str, Any]:
    """The command ``check``: checksums, then every spike, membrane and answer of the reference recording."""
    count = verify(folder)
    answer: dict[str, Any] = {"files": count, "input": {}}
    for number, mode in enumerate(read_json(folder / "bundle.json")["networks"]):
        player = Player(open_network(folder, mode), Recording(folder / "reference.h5"))
        steps = list(player.steps())
        answer["input"][mode] = _compared(folder / "expected.h5", mode, player, steps)
        if number == 0:
            heads = Heads(folder, player.network.manifest)
            rows = [player.row(step, k, heads) for k, step in enumerate(steps)]
            answer["answers"] = _answers(folder / "expected.jsonl", rows)
            first = player, steps
    passed = not any(found["differing_spikes"] or found["differing_membranes"] for found in answer["input"].values())
    answer["passed"] = passed and not answer["answers"]["differing"]
    if options.lava or options.loihi2:
        from .in_lava import compare

        found = compare(folder, *first, options.loihi2, options.time_limit)
        answer |= found | {"passed": answer["passed"] and found["passed"]}
    return answer


def _compared(path: Path, mode: str, player: Player, steps: list[Step]) -> dict[str, Any]:
    """Spikes and membranes beside those of the export; a step that is missing differs in all of them."""
    with h5py.File(path, "r") as file:
        group = file[mode]
        membranes = group["membranes"][()]
        spikes = [
            np.unpackbits(group[f"spikes/{i}"][()], axis=1, count=n.v.size).astype(bool)
            for i, n in enumerate(player.network.neurons)
        ]
    if len(steps) != len(membranes):
        raise Problem(path.name, f"holds {len(membranes)} steps, here are {len(steps)}", "Copy the bundle again")
    differing = 0
    for k, step in enumerate(steps):
        for expected, fired in zip(spikes, step.spikes, strict=True):
            found = np.zeros(expected.shape[1], bool)
            found[fired] = True
            differing += int((found != expected[k]).sum())
    ours = np.stack([step.membranes for step in steps])
    return {
        "steps": len(steps),
        "spikes": {name: int(s.sum()) for name, s in zip(player.network.names, spikes, strict=True)},
        "differing_spikes": differing,
        "differing_membranes": int((ours != membranes).sum()),
    } | player.speed()


def _answers(path: Path, rows: list[dict[str, Any]]) -> dict[str, int]:
    expected = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    differing = sum(not _near(a, b) for a, b in zip(expected, rows, strict=False)) + abs(len(expected) - len(rows))
    return {"lines": len(expected), "differing": differing}


def _near(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_near(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_near(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) or isinstance(b, float):
        return abs(a - b) <= _NEAR * max(1.0, abs(a) * 500)
    return bool(a == b)

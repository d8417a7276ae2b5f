"""Random networks in our simulators and in real Lava: every spike, current and voltage of every layer and step.

python tests/lava_random.py --networks 100 --seed 0

Exit code 1 where anything differs; such networks stay in --keep with their input. --record N keeps the first N of
more than one layer, with Lava's recordings, as golden files of the tests.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import numpy as np
from random_networks import Case, cases

from snnface.files import file_sha256
from snnface.hardware.integers.native import fastest
from snnface.hardware.lava import process
from snnface.hardware.netx_files.read import read_net
from snnface.hardware.netx_files.write import write_net
from snnface.hardware.verifying import golden
from snnface.hardware.verifying.certificate import Recording, compare


def examples(count: int, seed: int, steps: int) -> list[Case]:
    """So many networks that Hypothesis draws from the seed."""
    found: list[Case] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=2 * count,
        phases=[hypothesis.Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(cases(steps))
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return found[:count]


def differences(case: Case, recording: Recording) -> dict[str, int]:
    """Differing values between Lava and both simulators, in numpy and in the engine."""
    rows = compare(case.network, case.x, recording, case.reset_interval, case.reset_offset)
    total = Counter({kind: sum(row[f"differing_{kind}"] for row in rows) for kind in ("spikes", "u", "v")})
    engine = fastest(
        case.network, 1, True, case.reset_interval, case.reset_offset, max(1, int(case.x.max(initial=1)))
    )
    traces = engine.advance(case.x[:, None], states=range(len(rows)))
    total["wrapped"] = sum(engine.wraps.values())
    for i, trace in enumerate(traces):
        for kind, name in (("spikes", "s"), ("u", "u"), ("v", "v")):
            total[kind] += int((getattr(trace, name)[:, 0] != getattr(recording, name)[i]).sum())
    return dict(total)


def main() -> int:
    """Run and compare; the answer is printed as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--time-limit", type=float, default=3600, help="seconds that Lava may take")
    parser.add_argument("--keep", type=Path, default=Path("out/lava-random"))
    parser.add_argument("--record", type=int, default=0, metavar="N")
    options = parser.parse_args()
    drawn = examples(options.networks, options.seed, options.steps)
    begin = time.monotonic()
    totals: Counter[str] = Counter()
    features: Counter[str] = Counter()
    wrong: list[Any] = []
    recorded = 0
    with TemporaryDirectory() as folder:
        nets = [Path(folder, f"{i}.net") for i in range(len(drawn))]
        for net, case in zip(nets, drawn, strict=True):
            write_net(net, case.network)
        runs = [
            process.Run(net, c.x, list(range(len(c.x))), c.graded, c.reset_interval, c.reset_offset)
            for net, c in zip(nets, drawn, strict=True)
        ]
        for i, (recording, answer) in enumerate(process.run_many(runs, options.time_limit)):
            case, net = drawn[i], nets[i]
            if recording is None:
                found: dict[str, Any] = {"error": answer["error"]}
            else:
                found = differences(Case(read_net(net), case.x, case.reset_interval, case.reset_offset), recording)
                totals.update(found)
                totals["silent_layers"] += sum(not s.any() for s in recording.s)
                totals["layers"] += len(recording.s)
                totals["fired"] += sum(int(s.sum()) for s in recording.s)
                totals["neuron_steps"] += case.network.neurons * len(case.x)
                features.update(case.features)
                if recorded < options.record and len(case.network.layers) > 1:
                    record(Path(__file__).parent / "golden" / f"random{recorded}", net, case, recording, answer)
                    recorded += 1
            if "error" in found or any(found[k] for k in ("spikes", "u", "v")):
                wrong.append({"network": i} | found)
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / f"{i}.net").write_bytes(net.read_bytes())
                np.save(options.keep / f"{i}.npy", case.x)
    answer = {
        "networks": len(drawn),
        "seed": options.seed,
        "steps": options.steps,
        **{f"differing_{k}": totals[k] for k in ("spikes", "u", "v")},
        **{k: totals[k] for k in ("layers", "silent_layers", "fired", "neuron_steps", "wrapped")},
        "features": dict(features.most_common()),
        "wrong": wrong,
        "wall_s": round(time.monotonic() - begin, 1),
    }
    print(json.dumps(answer, indent=1))
    return int(bool(wrong))


def record(stem: Path, net: Path, case: Case, recording: Recording, answer: dict[str, Any]) -> None:
    """Keep a network and what Lava did on it."""
    target = stem.with_suffix(".net")
    target.write_bytes(net.read_bytes())
    about = {"versions": answer["versions"], "patches": answer["patches"], "data": "tests/lava_random.py"}
    x = case.x.astype(np.uint8)
    stored = golden.Golden(file_sha256(target), x, case.reset_interval, case.reset_offset, recording, about)
    mode = "graded" if case.graded else "unary"
    golden.save(stem.with_name(f"{stem.name}.{mode}.golden.h5"), stored)


if __name__ == "__main__":
    sys.exit(main())

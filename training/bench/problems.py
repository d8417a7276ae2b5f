"""Problems that were prepared once: recordings and calibrated weights, in a folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from snnface.progress import say
from snnface.training.bench import cells, definition, workload
from snnface.training.bench.definition import prepare
from snnface.training.bench.workload import Problem, Workload


def problem(asked: Workload, cache: Path, weights_of: Workload | None = None) -> tuple[Problem, Path]:
    """The workload's problem and its file; prepared where the folder does not hold it yet."""
    sources = b"".join(Path(str(m.__file__)).read_bytes() for m in (cells, definition, workload))
    other = None if weights_of is None else asdict(weights_of)
    key = json.dumps([asdict(asked), other, hashlib.sha256(sources).hexdigest()])
    path = cache / f"problem-{asked.case}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"
    if not path.with_suffix(".json").is_file():
        prepare(asked, weights_of).save(path)
    found = Problem.load(path)
    facts = found.facts
    step = "" if facts["step_us"] is None else f"step {facts['step_us'] / 1000:.1f} ms, "
    rates = " ".join(f"{r:.2%}" for r in facts["rates"])
    say(f"{asked.case}: {step}{facts['density']:.2%} of the input cells active a step, rates {rates}")
    return found, path

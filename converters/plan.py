"""What a synthetic data set holds: who acts what, how long, and to which split a person belongs."""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snnface import converters, faces
from snnface.converters.sensors import sensor
from snnface.datasets.store import SPLITS
from snnface.errors import InputError
from snnface.facs import AUS, EXPRESSIONS

#: The labels of each task.
TASKS: dict[str, int] = {"au": len(AUS), "expression": len(EXPRESSIONS)}
#: Lengths of clips are drawn within this fraction of the mean.
LENGTH_SPREAD = 0.2


@dataclass(frozen=True)
class Plan:
    """Everything that decides the content of a data set.

    ``seconds``: mean length of a clip; ``split``: fractions of the people in training, validation and test;
    ``first_identity``: number of the first person, so that two sets can hold different people.

    Raises
    ------
    InputError: a setting is out of range.
    """

    clips: int
    identities: int
    seconds: float
    width: int
    height: int
    sensor: str
    tasks: tuple[str, ...]
    rgb: bool
    seed: int
    first_identity: int = 0
    split: tuple[float, float, float] = (0.7, 0.15, 0.15)

    def __post_init__(self) -> None:
        for name, least in (("clips", 1), ("identities", 1), ("seed", 0), ("first_identity", 0)):
            if getattr(self, name) < least:
                raise InputError(f"--{name.replace('_', '-')}", f"is below {least}", f"Give a number ≥ {least}")
        if not 0.5 <= self.seconds <= 3000:
            raise InputError("--seconds", f"{self.seconds} is not a length of a clip", "Give 0.5 to 3000")
        if not (16 <= self.width <= 4096 and 16 <= self.height <= 4096):
            raise InputError("--size", f"{self.width}x{self.height}", "Give sides of 16 to 4096 pixels")
        if not self.tasks or set(self.tasks) - set(TASKS) or len(set(self.tasks)) < len(self.tasks):
            raise InputError("--tasks", f"{','.join(self.tasks)!r}", "Give au, expression or au,expression")
        if len(self.split) != 3 or not (min(self.split) >= 0 and abs(sum(self.split) - 1) < 1e-6):
            raise InputError("--split", "is not three fractions that sum to 1", "Write for example 0.7,0.15,0.15")
        sensor(self.sensor)

    def settings(self) -> dict[str, Any]:
        """The plan and the hash of the code that carries it out, as JSON values: equal settings, equal content."""
        return asdict(self) | {"tasks": sorted(self.tasks), "split": list(self.split), "code": _code_sha256()}

    def labels(self, clip: int) -> tuple[int, int, int]:
        """Person, action unit and expression of a clip (−1 where it has none); a person's clips follow one another.

        A task's share of the clips grows as the square root of its number of labels: 24 actions need more examples
        than 7 expressions, and each expression still has more of them than each action. Within a task, labels and
        people take turns at once: any number of clips holds each label and each person equally often (to within one),
        and no person repeats a label before all have acted all.
        """
        return _cast(self)[clip]

    def split_of(self, identity: int) -> int:
        """0 train, 1 validation, 2 test; a split with a fraction > 0 has a person where there are enough of them."""
        people = np.random.default_rng([self.seed, 1]).permutation(self.identities)
        wanted = np.array(self.split) * self.identities
        counts = np.floor(wanted + 1e-9).astype(int)
        for s in np.argsort(counts - wanted, kind="stable")[: self.identities - counts.sum()]:
            counts[s] += 1
        for s in (0, 2, 1):
            richest = int(counts.argmax())
            if self.split[s] > 0 and counts[s] == 0 and counts[richest] > 1:
                counts[s], counts[richest] = 1, counts[richest] - 1
        place = int(np.flatnonzero(people == identity - self.first_identity)[0])
        return int(np.repeat(np.arange(len(SPLITS)), counts)[place])


@functools.lru_cache(maxsize=4)
def _cast(plan: Plan) -> list[tuple[int, int, int]]:
    """Person, action unit and expression of all clips, by person, because a person's face takes long to make."""
    weights = {task: math.sqrt(TASKS[task]) for task in plan.tasks}
    au_clips = round(plan.clips * weights.get("au", 0.0) / sum(weights.values()))

    def pairs(clips: int, labels: int) -> list[tuple[int, int]]:
        lap = math.lcm(labels, plan.identities)
        return [(plan.first_identity + (n + n // lap) % plan.identities, n % labels) for n in range(clips)]

    actions = [(person, AUS[label], -1) for person, label in pairs(au_clips, TASKS["au"])]
    expressions = [(person, -1, label) for person, label in pairs(plan.clips - au_clips, TASKS["expression"])]
    return sorted(actions + expressions)


@functools.cache
def _code_sha256() -> str:
    """Of all sources that decide what a clip contains."""
    room = Path(str(converters.__file__)).parent
    simulator = ("sensors", "preset", "simulator", "pixels", "noise", "readout")
    made = [room / f"{name}.py" for name in ("plan", "clip", *simulator)]
    sources = [*sorted(Path(str(faces.__file__)).parent.glob("*.py")), *made]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()

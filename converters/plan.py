"""What a synthetic data set holds: who acts what, how long, and to which split a person belongs."""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from snnface import converters, faces
from snnface.converters.sensors import sensor
from snnface.datasets.store import SPLITS
from snnface.errors import InputError
from snnface.faces.load import load_face
from snnface.faces.person import Face
from snnface.faces.procedural import PROCEDURAL
from snnface.faces.variation import SCENES, Variation

#: Modules of this room that decide what a clip contains.
MAKERS = (
    "plan",
    "clip",
    "sensors",
    "preset",
    "simulator",
    "pixels",
    "lowpass",
    "single",
    "firing",
    "noise",
    "readout",
)
#: What clips may be of: an action, an expression, or the components of a face that has no action map.
TASKS = ("au", "expression", "free")
#: Lengths of clips are drawn within this fraction of the mean.
LENGTH_SPREAD = 0.2


@dataclass(frozen=True)
class Plan:
    """Everything that decides the content of a data set.

    ``seconds``: mean length of a clip; ``split``: fractions of the people in training, validation and test;
    ``first_identity``: number of the first person, so that two sets can hold different people; ``face``: as of
    :func:`snnface.faces.load.load_face`; ``scene``: a name of :data:`snnface.faces.variation.SCENES`; ``vary``: names
    and values of the settings of :class:`~snnface.faces.variation.Variation` that differ from it; ``sensor_spread``:
    each clip's sensor is drawn so many times around the preset (:func:`snnface.converters.preset.drawn`), 1 is the
    preset itself.

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
    face: str = PROCEDURAL.name
    scene: str = "plain"
    vary: tuple[tuple[str, float], ...] = ()
    sensor_spread: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("clips", 1), ("identities", 1), ("seed", 0), ("first_identity", 0)):
            if getattr(self, name) < least:
                raise InputError(f"--{name.replace('_', '-')}", f"is below {least}", f"Give a number ≥ {least}")
        if not 0.5 <= self.seconds <= 3000:
            raise InputError("--seconds", f"{self.seconds} is not a length of a clip", "Give 0.5 to 3000")
        if not (16 <= self.width <= 4096 and 16 <= self.height <= 4096):
            raise InputError("--size", f"{self.width}x{self.height}", "Give sides of 16 to 4096 pixels")
        if (
            not self.tasks
            or set(self.tasks) - set(TASKS)
            or len(set(self.tasks)) < len(self.tasks)
            or ("free" in self.tasks and len(self.tasks) > 1)
        ):
            raise InputError(
                "--tasks",
                f"{','.join(self.tasks)!r}",
                "Give au, expression or au,expression; free for a face without an action map",
            )
        if len(self.split) != 3 or not (min(self.split) >= 0 and abs(sum(self.split) - 1) < 1e-6):
            raise InputError("--split", "is not three fractions that sum to 1", "Write for example 0.7,0.15,0.15")
        sensor(self.sensor)
        if not 1 <= self.sensor_spread <= 10:
            raise InputError("--sensor-spread", f"{self.sensor_spread} is no factor", "Give 1 (the preset) to 10")
        self._check_scene()
        for task in self.tasks:
            if not self.numbers(task):
                able = ",".join(t for t in TASKS if self.numbers(t))
                fix = f"Use --tasks {able}, or map actions to its components in a .toml beside it (docs/faces.md)"
                raise InputError(f"--face {self.face}", f"has nothing to act for task {task}", fix)

    def _check_scene(self) -> None:
        if self.scene not in SCENES:
            raise InputError(f"--scene {self.scene}", "is unknown", f"Use one of {', '.join(SCENES)}")
        known = [field.name for field in fields(Variation)]
        for name, _ in self.vary:
            if name not in known:
                raise InputError(f"--vary {name}", "is unknown", f"Use one of {', '.join(known)}")
        self.variation  # noqa: B018 - raises where a value is out of range

    @property
    def variation(self) -> Variation:
        """How much clips differ beyond who acts what."""
        return replace(SCENES[self.scene], **dict(self.vary))

    @property
    def actor(self) -> Face:
        """The kind of face that acts."""
        return load_face(self.face)

    def numbers(self, task: str) -> tuple[int, ...]:
        """The labels of a task that the face can act: FACS numbers, indices of expressions, or 0 for free clips."""
        face = self.actor
        return {"au": face.actions, "expression": face.expressions, "free": (0,) if face.components else ()}[task]

    def settings(self) -> dict[str, Any]:
        """The plan and the hash of the code that carries it out, as JSON values: equal settings, equal content.

        A face from a file is known by its content, wherever it lies.
        """
        plan = asdict(self) | {"tasks": sorted(self.tasks), "split": list(self.split), "vary": dict(self.vary)}
        face = self.actor
        del plan["face"]
        if face is not PROCEDURAL:
            plan["face"] = {"name": face.name, "sha256": face.sha256}
        return plan | {"code": _code_sha256(face is not PROCEDURAL)}

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
    labels = {task: plan.numbers(task) for task in plan.tasks}
    weights = {task: math.sqrt(len(numbers)) for task, numbers in labels.items()}
    au_clips = round(plan.clips * weights.get("au", 0.0) / sum(weights.values()))

    def pairs(clips: int, labels: int) -> list[tuple[int, int]]:
        lap = math.lcm(labels, plan.identities)
        return [(plan.first_identity + (n + n // lap) % plan.identities, n % labels) for n in range(clips)]

    cast = []
    if au := labels.get("au"):
        cast += [(person, au[k], -1) for person, k in pairs(au_clips, len(au))]
    if expressions := labels.get("expression"):
        cast += [(person, -1, expressions[k]) for person, k in pairs(plan.clips - au_clips, len(expressions))]
    if "free" in labels:
        cast += [(person, -1, -1) for person, _ in pairs(plan.clips, 1)]
    return sorted(cast)


@functools.cache
def _code_sha256(linear: bool = False) -> str:
    """Of all sources that decide what a clip contains; those of linear faces only where one acts."""
    room, core = Path(str(converters.__file__)).parent, Path(str(faces.__file__)).parent
    made = [room / f"{name}.py" for name in MAKERS]
    sources = [*sorted(core.glob("*.py")), *made, *(sorted(core.glob("linear/*.py")) if linear else ())]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()

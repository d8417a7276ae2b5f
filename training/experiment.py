"""The experiment behind demo and results: the same people and clips for every network, people split by identity."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import snnface
from snnface.converters.plan import MAKERS
from snnface.training import recipe as recipes
from snnface.training.run_folder import read_log
from snnface.training.side_by_side import TrainingRun, train_side_by_side
from snnface.training.stages import Stage, Stages

#: Source files that decide what each kind of stage makes.
FACES = ("faces", "facs.py", *(f"converters/{m}.py" for m in MAKERS))
TEACHING = (
    *("batch.py", "facs.py", "training/augment.py", "training/clips.py"),
    *(f"training/{m}.py" for m in ("teacher", "teacher_file", "teacher_network")),
)
LEARNING = (
    *(f"{m}.py" for m in ("batch", "input", "synapse", "neuron", "surrogate", "encoder", "heads", "forward")),
    *("metrics.py", "backends/__init__.py", "backends/native.py", "engine"),
    *(f"training/{m}.py" for m in ("augment", "baselines", "clips", "evaluate", "models", "objectives", "recipe")),
    *(f"training/{m}.py" for m in ("budgets", "quantised", "side_by_side", "teacher_file", "trainer")),
    "hardware/quantising",
)
#: What an exported network's answers come from.
INTEGERS = (
    *("hardware/integers", "hardware/netx_files"),
    *("hardware/profiling/geometry.py", "hardware/opening.py"),
)


@dataclass(frozen=True)
class Size:
    """How large an experiment is. Many people act a few clips each to learn from: looks are what must not matter.

    ``seed`` decides people, clips and teacher; ``seeds``: of the networks, each of which is trained with every one;
    ``sensor_spread``: how far the sensors of the clips to learn from lie around the preset that all are tested with.
    """

    train_people: int
    validation_people: int
    test_people: int
    epochs: int
    teacher_epochs: int
    seed: int = 1
    seeds: tuple[int, ...] = (1,)
    clips_a_learner: int = 6
    seconds: float = 1.2
    pixels: int = 128
    sensor_spread: float = 1.0


#: Recipe of each network; all see the same clips for the same number of passes.
STUDENTS = {"guided": "guided", "unguided": "student", "matched_cnn": "matched_cnn"}
#: Clips of a test person: each action at least once, each expression at least twice.
CLIPS_A_TEST_PERSON = 48


@dataclass(frozen=True)
class Student:
    """A network to train: a name of :data:`STUDENTS`, overrides a.b=value, its seed (the size's first by default);
    ``label`` tells runs of one network apart, by default its name."""

    name: str
    changes: tuple[str, ...] = ()
    seed: int | None = None
    label: str | None = None


class Experiment:
    """Data, teacher and trained networks of one size in one folder, each made once."""

    def __init__(self, folder: Path, size: Size, stages: Stages) -> None:
        self.folder, self.size, self.stages = folder, size, stages
        self.train_data, self.test_data = folder / "train.h5", folder / "test.h5"
        self.teacher = folder / "teacher.safetensors"

    def make_data(self) -> None:
        """Training and validation people in one file, test people, whom nobody else is, in another."""
        size = self.size
        learners = size.train_people + size.validation_people
        share = size.validation_people / learners
        split = f"{1 - share},{share},0"
        for name, path, people, clips, spread, first, parts in (
            ("synth train", self.train_data, learners, size.clips_a_learner, size.sensor_spread, 0, split),
            ("synth test", self.test_data, size.test_people, CLIPS_A_TEST_PERSON, 1.0, 100_000, "0,0,1"),
        ):
            settings = {
                "clips": people * clips,
                "identities": people,
                "seconds": size.seconds,
                "size": f"{size.pixels}x{size.pixels}",
                "sensor": "davis346",
                "sensor_spread": spread,
                "seed": size.seed + first,
                "first_identity": first,
                "split": parts,
            }
            self.stages.run(
                name,
                functools.partial(snnface.synth, path, workers=os.cpu_count() or 1, resume=True, **settings),
                settings=settings,
                outputs=[path],
                code=FACES,
            )

    def make_teacher(self) -> dict[str, Any]:
        """The RGB teacher's word on the training clips; returns its errors on the validation people."""
        epochs = self.size.teacher_epochs
        return self.stages.run(
            "teacher",
            lambda: snnface.teach(self.train_data, out=self.teacher, epochs=epochs, seed=self.size.seed),
            settings={"epochs": epochs, "seed": self.size.seed},
            inputs=[self.train_data],
            outputs=[self.teacher],
            code=TEACHING,
        )

    def train(self, *students: Student) -> list[Path]:
        """Each network's best checkpoint, chosen on the validation people; trained side by side, the first first."""
        trainings = {s.label or s.name: self._training(s) for s in students}
        train_in_stages(self.stages, trainings)
        return [training.run / "best.safetensors" for training in trainings.values()]

    def _training(self, student: Student) -> TrainingRun:
        seed = self.size.seeds[0] if student.seed is None else student.seed
        fixed = {"data.train": self.train_data, "training.epochs": self.size.epochs, "training.seed": seed}
        changes = [*(f"{field}={value}" for field, value in fixed.items()), *student.changes]
        if student.name == "guided":
            changes.append(f"teacher={self.teacher}")
        recipe = recipes.load(STUDENTS[student.name], changes)
        return TrainingRun(recipe, self.folder / "runs" / (student.label or student.name))

    def measure(self, name: str, network: Path, data: Path | None = None, bootstrap: int = 0) -> dict[str, Any]:
        """Task metrics on the test people, who are looked at here and nowhere else."""
        data = data or self.test_data
        return self.stages.run(
            f"test {name}",
            lambda: snnface.eval(network, data, split="test", bootstrap=bootstrap, mean_shape=self.train_data),
            settings={"bootstrap": bootstrap},
            inputs=[network, data],
            code=(*LEARNING, "counts.py", "training/predictors.py", *INTEGERS),
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The size as JSON."""
        return asdict(self.size)


def validation_score(network: Path) -> float:
    """What the best epoch of a run was chosen by, on the validation people."""
    return max(line["score"] for line in read_log(network.parent))


def train_in_stages(stages: Stages, trainings: Mapping[str, TrainingRun]) -> dict[str, dict[str, Any]]:
    """Train side by side whatever is not trained yet, the first first; label → the trainer's answer."""
    wanted = [
        Stage(
            f"train {label}",
            settings={"recipe": recipes.canonical(training.recipe), "init": training.init},
            inputs=[training.recipe.data.train, *([training.recipe.teacher] if training.recipe.teacher else [])],
            outputs=[training.run / "best.safetensors"],
            partial=[training.run],
            code=LEARNING,
        )
        for label, training in trainings.items()
    ]

    def work(missing: list[Stage]) -> Iterator[tuple[Stage, dict[str, Any], float]]:
        todo = [t for stage, t in zip(wanted, trainings.values(), strict=True) if stage in missing]
        for i, answer, seconds in train_side_by_side(todo):
            yield missing[i], answer, seconds

    return dict(zip(trainings, stages.run_side_by_side(wanted, work), strict=True))

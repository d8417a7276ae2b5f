"""The long evaluation behind the tables of the docs: three seeds of each network, resumable, its size one setting."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

import typer

import snnface
from snnface.errors import InputError
from snnface.files import write_json, write_text
from snnface.report.measures import title
from snnface.training.demo import CHIP
from snnface.training.experiment import CLIPS_A_TEST_PERSON, STUDENTS, Experiment, Size, Student, validation_score
from snnface.training.stages import Stages

SEEDS = (1, 2, 3)
SIZES = {
    "small": Size(80, 20, 10, epochs=12, teacher_epochs=8, seed=2, seeds=SEEDS),
    # People before passes: a new clip costs less than one pass of all networks over it.
    "standard": Size(
        2560, 40, 20, epochs=5, teacher_epochs=5, seed=3, seeds=SEEDS, clips_a_learner=3, sensor_spread=2.0
    ),
    "full": Size(
        6400, 200, 40, epochs=24, teacher_epochs=12, seed=3, seeds=SEEDS, clips_a_learner=3, sensor_spread=2.0
    ),
}
ROUNDS = 1000
#: Learning rates that the CNN may choose from on the validation people, with the first seed and fewer passes.
CNN_RATES = ("0.001", "0.002")
NAMES = {
    "guided": "spiking, guided by RGB",
    "unguided": "spiking, labels only",
    "8 bit": "spiking, guided, 8-bit chip arithmetic",
    "matched_cnn": title("matched"),
}
MEASURES = ("au_top1", "au_top3", "expression_acc", "nme")


def results(
    out: Annotated[Path, typer.Option(help="Folder for everything that is made.")] = Path("out/results"),
    size: Annotated[str, typer.Option(help="small, standard or full.")] = "standard",
    resume: Annotated[
        bool, typer.Option("--resume", help="Accepted for symmetry: valid stages are always reused.")
    ] = True,
    docs: Annotated[
        Path | None, typer.Option(help="Checkout whose docs/results.md and README.md get the tables.")
    ] = None,
) -> dict[str, Any]:
    """Guided student, unguided student and matched CNN on the same clips, each with several seeds.

    Example: snnface results --size standard --docs .
    """
    if size not in SIZES:
        raise InputError(f"--size {size}", "is unknown", f"Use one of {', '.join(SIZES)}")
    out = out / size
    seeds = SIZES[size].seeds
    stages = Stages(out, _stages(seeds))
    experiment = Experiment(out, SIZES[size], stages)
    experiment.make_data()
    teacher = experiment.make_teacher()
    rates = _learning_rates(experiment)
    networks = _trained(experiment, rates)
    networks["8 bit"] = [
        _exported(experiment, seed, path) for seed, path in zip(seeds, networks["guided"], strict=True)
    ]
    profile = stages.run(
        "profile",
        lambda: snnface.profile(networks["guided"][0], data=experiment.test_data, split="test"),
        settings={},
        inputs=[networks["guided"][0], experiment.test_data],
        code=(*CHIP, "training/baselines.py"),
    )
    tested = {
        name: _over_seeds(
            {
                seed: experiment.measure(f"{name}, seed {seed}", path, bootstrap=ROUNDS)
                for seed, path in zip(seeds, networks[name], strict=True)
            }
        )
        for name in NAMES
    }
    summary = {
        "size": experiment.settings,
        "teacher": teacher,
        "tested": tested,
        "matched_cnn_learning_rates": rates,
        "profile": profile,
        "wall_s": stages.wall_s,
    }
    write_json(out / "results.json", summary)
    tables = _tables(summary, size)
    write_text(out / "results.md", tables)
    if docs is not None:
        _write_docs(docs, summary, tables, size)
    return {
        "results": str(out / "results.json"),
        **{name: found["mean"] for name, found in tested.items()},
        "wall_s": round(sum(stages.wall_s.values())),
    }


def _stages(seeds: Sequence[int]) -> list[str]:
    return [
        *("synth train", "synth test", "teacher"),
        *(f"train matched_cnn, {rate}" for rate in CNN_RATES),
        *(f"train {name}, seed {seed}" for name in STUDENTS for seed in seeds),
        *(f"export, seed {seed}" for seed in seeds),
        "profile",
        *(f"test {name}, seed {seed}" for name in NAMES for seed in seeds),
    ]


def _learning_rates(experiment: Experiment) -> dict[str, float]:
    """Scores of the CNN on the validation people by learning rate, in a third of the passes."""
    passes = f"training.epochs={max(1, experiment.size.epochs // 3)}"
    students = [
        Student("matched_cnn", (f"training.lr={rate}", passes), label=f"matched_cnn, {rate}") for rate in CNN_RATES
    ]
    return dict(zip(CNN_RATES, map(validation_score, experiment.train(*students)), strict=True))


def _trained(experiment: Experiment, rates: dict[str, float]) -> dict[str, list[Path]]:
    """Every network with every seed, the CNN at its best rate; the slowest are begun first."""
    best = max(rates, key=lambda rate: rates[rate])
    changes = {"matched_cnn": (f"training.lr={best}",)}
    seeds = experiment.size.seeds
    students = [
        Student(name, changes.get(name, ()), seed, f"{name}, seed {seed}")
        for name in ("matched_cnn", "guided", "unguided")
        for seed in seeds
    ]
    paths = dict(zip(((s.name, s.seed) for s in students), experiment.train(*students), strict=True))
    return {name: [paths[name, seed] for seed in seeds] for name in STUDENTS}


def _exported(experiment: Experiment, seed: int, network: Path) -> Path:
    net = experiment.folder / f"model, seed {seed}.net"
    experiment.stages.run(
        f"export, seed {seed}",
        functools.partial(snnface.export, network, out=net, calibration=experiment.train_data),
        settings={},
        inputs=[network, experiment.train_data],
        outputs=[net],
        code=CHIP,
    )
    return net


def _over_seeds(found: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Each seed's answer, and over seeds the mean and standard deviation of every measure.

    The ends of the bootstrap intervals are means over the seeds too: the same people are drawn for each.
    """
    keys = (*MEASURES, "nme_mean_shape")
    several = list(found.values())
    return {
        "seeds": {str(seed): answer for seed, answer in found.items()},
        "mean": {key: mean(answer[key] for answer in several) for key in keys},
        "spread": {key: stdev(answer[key] for answer in several) for key in keys},
        "intervals": {
            key: [mean(ends) for ends in zip(*(answer["intervals"][key] for answer in several), strict=True)]
            for key in MEASURES
        },
    }


def _write_docs(docs: Path, summary: dict[str, Any], tables: str, size: str) -> None:
    """The tables as docs/results.md and as the block of README.md."""
    write_text(docs / "docs" / "results.md", tables)
    readme = docs / "README.md"
    made = f"Made by `make results SIZE={size}` ([how](docs/results.md))."
    block = f"{made}\n\n{_accuracy_table(summary)}\n{_energy_table(summary['profile'])}"
    block = f"<!-- results:begin -->\n{block}<!-- results:end -->"
    pattern = r"<!-- results:begin -->.*<!-- results:end -->"
    write_text(readme, re.sub(pattern, lambda _: block, readme.read_text(encoding="utf-8"), flags=re.DOTALL))


def _accuracy_table(summary: dict[str, Any]) -> str:
    tested, seeds = summary["tested"], summary["size"]["seeds"]
    first = tested["guided"]["seeds"][str(seeds[0])]
    lines = [
        f"{first['clips']} clips of {first['identities']} people that no network has seen. Mean ± standard deviation "
        f"of {len(seeds)} trainings (seeds {_listed(seeds)}); in brackets 95 % intervals over people (bootstrap), "
        "their ends averaged over the seeds.\n",
        "| network | AU top-1 (24 classes) | AU top-3 | expression (7) | landmarks, NME |",
        "|---|---|---|---|---|",
    ]
    for key, name in NAMES.items():
        lines.append(f"| {name} | {' | '.join(_cell(tested[key], measure) for measure in MEASURES)} |")
    chance = [f"{1 / 24:.3f}", f"{3 / 24:.3f}", f"{1 / 7:.3f}", f"{first['nme_mean_shape']:.3f} (mean shape)"]
    lines.append(f"| chance | {' | '.join(chance)} |")
    return "\n".join(lines) + "\n"


def _cell(found: dict[str, Any], key: str) -> str:
    low, high = found["intervals"][key]
    return f"{found['mean'][key]:.3f} ± {found['spread'][key]:.3f} ({low:.3f}–{high:.3f})"


def _listed(items: Sequence[Any]) -> str:
    return f"{', '.join(map(str, items[:-1]))} and {items[-1]}"


def _energy_table(profile: dict[str, Any]) -> str:
    footing = next(c for c in profile["chips"] if c["name"] == "cmos45")
    lines = [
        "Energy of one second of recording, a model and no measurement: 45 nm fp32 (Horowitz 2014: 0.9 pJ an "
        "accumulate, 4.6 pJ a multiply-accumulate), 30 frames/s for the CNNs; memory traffic stands apart. The "
        "spiking network is the guided one of the first seed.\n",
        "| network | arithmetic, µJ/s | times the spiking network |",
        "|---|---|---|",
        f"| {title('spiking')} | {footing['energy_uj_per_s']:.1f} | 1 |",
    ]
    for row in profile["baselines"]:
        times = row["energy_uj_per_s"] / footing["energy_uj_per_s"]
        lines.append(f"| {title(row['name'])} | {row['energy_uj_per_s']:,.0f} | {times:,.0f} |")
    return "\n".join(lines) + "\n"


def _tables(summary: dict[str, Any], size: str) -> str:
    s, rates = summary["size"], summary["matched_cnn_learning_rates"]
    minutes = sum(summary["wall_s"].values()) / 60
    rate = max(rates, key=lambda rate: rates[rate])
    return (
        f"# Results\n\nMade by `make results SIZE={size}` ({minutes:.0f} minutes on 2 cores): "
        f"{s['train_people']} people to train on, {s['validation_people']} to choose the best epoch on, "
        f"{s['test_people']} to test on, looked at once, after all trainings; every test person acts "
        f"{CLIPS_A_TEST_PERSON} clips, every other {s['clips_a_learner']}, two thirds of them action units; "
        f"synthetic faces at {s['pixels']}×{s['pixels']}, {s['epochs']} passes for every network.{_sensors(s)} Each "
        f"network is trained with seeds {_listed(s['seeds'])}; one RGB teacher guides all. The CNN's learning rate, "
        f"{rate} of {_listed(list(rates))}, was chosen once on the validation people, with seed {s['seeds'][0]} and "
        "a third of the passes.\n\n"
        f"## Accuracy\n\n{_accuracy_table(summary)}\n## Energy\n\n{_energy_table(summary['profile'])}"
    )


def _sensors(size: dict[str, Any]) -> str:
    """What to learn from was recorded with, where that is not what is tested with."""
    if size["sensor_spread"] == 1:
        return ""
    return (
        f" The sensors of the clips to learn from are drawn up to {size['sensor_spread']:g} times around the one "
        "that all are tested with (`synth --sensor-spread`)."
    )

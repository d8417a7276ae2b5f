"""The long evaluation behind the tables of the docs: resumable, its size one setting."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

import snnface
from snnface.errors import InputError
from snnface.files import write_json, write_text
from snnface.report.measures import title
from snnface.training.demo import CHIP
from snnface.training.experiment import CLIPS_A_TEST_PERSON, Experiment, Size
from snnface.training.stages import Stages

SIZES = {
    "small": Size(80, 20, 10, epochs=12, teacher_epochs=8, seed=2),
    "standard": Size(640, 40, 12, epochs=16, teacher_epochs=12, seed=2),
    "full": Size(1600, 200, 40, epochs=50, teacher_epochs=24, seed=2),
}
ROUNDS = 1000
#: Learning rates that the CNN may choose from on the validation people.
CNN_RATES = ("0.001", "0.002")
NAMES = {
    "guided": "spiking, guided by RGB",
    "unguided": "spiking, labels only",
    "8 bit": "spiking, guided, 8-bit chip arithmetic",
    "matched_cnn": "matched CNN + LSTM",
}
STAGES = [
    *("synth train", "synth test", "teacher", "train guided", "train unguided"),
    *(f"train matched_cnn {lr}" for lr in CNN_RATES),
    *("test guided", "test unguided", "test matched_cnn", "export", "test 8 bit", "profile"),
]


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
    """Guided student, unguided student and matched CNN on the same clips, with bootstrap intervals over people.

    Example: snnface results --size standard --docs .
    """
    if size not in SIZES:
        raise InputError(f"--size {size}", "is unknown", f"Use one of {', '.join(SIZES)}")
    out = out / size
    stages = Stages(out, STAGES)
    experiment = Experiment(out, SIZES[size], stages)
    experiment.make_data()
    teacher = experiment.make_teacher()
    networks = {name: experiment.train(name) for name in ("guided", "unguided")}
    networks["matched_cnn"], rates = experiment.best_of("matched_cnn", "training.lr", CNN_RATES)
    tested = {name: experiment.measure(name, path, bootstrap=ROUNDS) for name, path in networks.items()}
    net = out / "model.net"
    stages.run(
        "export",
        lambda: snnface.export(networks["guided"], out=net, calibration=experiment.train_data),
        settings={},
        inputs=[networks["guided"], experiment.train_data],
        outputs=[net],
        code=CHIP,
    )
    tested["8 bit"] = experiment.measure("8 bit", net, bootstrap=ROUNDS)
    profile = stages.run(
        "profile",
        lambda: snnface.profile(networks["guided"], data=experiment.test_data, split="test"),
        settings={},
        inputs=[networks["guided"], experiment.test_data],
        code=(*CHIP, "training/baselines.py"),
    )
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
        write_text(docs / "docs" / "results.md", tables)
        readme = docs / "README.md"
        made = f"Made by `make results SIZE={size}` ([how](docs/results.md))."
        block = (
            f"<!-- results:begin -->\n{made}\n\n{_accuracy_table(tested)}\n{_energy_table(profile)}"
            "<!-- results:end -->"
        )
        pattern = r"<!-- results:begin -->.*<!-- results:end -->"
        write_text(readme, re.sub(pattern, lambda _: block, readme.read_text(encoding="utf-8"), flags=re.DOTALL))
    keys = ("au_top1", "expression_acc", "nme", "nme_mean_shape")
    return {
        "results": str(out / "results.json"),
        **{name: {k: found[k] for k in keys} for name, found in tested.items()},
        "wall_s": round(sum(stages.wall_s.values())),
    }


def _accuracy_table(tested: dict[str, Any]) -> str:
    first = tested["guided"]
    lines = [
        f"{first['clips']} clips of {first['identities']} people that no network has seen; 95 % intervals over "
        "people (bootstrap).\n",
        "| network | AU top-1 (24 classes) | AU top-3 | expression (7) | landmarks, NME |",
        "|---|---|---|---|---|",
    ]
    for key, name in NAMES.items():
        found = tested[key]
        cells = [_with_interval(found, k) for k in ("au_top1", "au_top3", "expression_acc", "nme")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    chance = [f"{1 / 24:.3f}", f"{3 / 24:.3f}", f"{1 / 7:.3f}", f"{first['nme_mean_shape']:.3f} (mean shape)"]
    lines.append(f"| chance | {' | '.join(chance)} |")
    return "\n".join(lines) + "\n"


def _with_interval(found: dict[str, Any], key: str) -> str:
    low, high = found["intervals"][key]
    return f"{found[key]:.3f} ({low:.3f}–{high:.3f})"


def _energy_table(profile: dict[str, Any]) -> str:
    footing = next(c for c in profile["chips"] if c["name"] == "cmos45")
    lines = [
        "Energy of one second of recording, a model and no measurement: 45 nm fp32 (Horowitz 2014: 0.9 pJ an "
        "accumulate, 4.6 pJ a multiply-accumulate), 30 frames/s for the CNNs; memory traffic stands apart.\n",
        "| network | arithmetic, µJ/s | times the spiking network |",
        "|---|---|---|",
        f"| {title('spiking')} | {footing['energy_uj_per_s']:.1f} | 1 |",
    ]
    for row in profile["baselines"]:
        times = row["energy_uj_per_s"] / footing["energy_uj_per_s"]
        lines.append(f"| {title(row['name'])} | {row['energy_uj_per_s']:,.0f} | {times:,.0f} |")
    return "\n".join(lines) + "\n"


def _tables(summary: dict[str, Any], size: str) -> str:
    s = summary["size"]
    minutes = sum(summary["wall_s"].values()) / 60
    return (
        f"# Results\n\nMade by `make results SIZE={size}` ({minutes:.0f} minutes on 2 cores): "
        f"{s['train_people']} people to train on, {s['validation_people']} to choose the best epoch (and the CNN's "
        f"learning rate) on, {s['test_people']} to test on; every test person acts {CLIPS_A_TEST_PERSON} "
        f"clips, every other {s['clips_a_learner']}, two thirds of them action units; "
        f"synthetic faces at {s['pixels']}×{s['pixels']}, "
        f"{s['epochs']} passes for every network, one seed.\n\n"
        f"## Accuracy\n\n{_accuracy_table(summary['tested'])}\n## Energy\n\n{_energy_table(summary['profile'])}"
    )

"""The whole path once: faces to events, teacher, students, chip, proof, profile, live run, report."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

import snnface
from snnface.files import write_json
from snnface.progress import say
from snnface.report import write_report
from snnface.training.experiment import FACES, Experiment, Size, Student
from snnface.training.live import live_recordings
from snnface.training.pictures import collect
from snnface.training.stages import Stages

DEMO = Size(train_people=320, validation_people=40, test_people=5, epochs=10, teacher_epochs=10, clips_a_learner=3)
#: Clips that real Lava runs, by input mode; it takes some 20 s a clip.
CERTIFIED = {"graded": 3, "unary": 1}
CHIP = ("hardware", "network.py", "input.py")
STAGES = [
    *("synth train", "synth test", "teacher", "train guided", "train unguided", "train matched_cnn"),
    *("test guided", "test unguided", "test matched_cnn", "export", "test 8 bit", "verify graded", "verify unary"),
    *("profile", "live", "report"),
]


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything that is made.")] = Path("out/demo"),
    resume: Annotated[bool, typer.Option("--resume/--fresh", help="Reuse what is valid, or start anew.")] = True,
) -> dict[str, Any]:
    """The whole path once, with a report: about 12 minutes on 2 cores.

    Example: snnface demo --out out/demo
    """
    if not resume:
        shutil.rmtree(out, ignore_errors=True)
    stages = Stages(out, STAGES)
    experiment = Experiment(out, DEMO, stages)
    experiment.make_data()
    teacher = experiment.make_teacher()
    # the slowest first, so that no core is idle for long
    names = ("matched_cnn", "guided", "unguided")
    networks = dict(zip(names, experiment.train(*map(Student, names)), strict=True))
    tested = {name: experiment.measure(name, path) for name, path in networks.items()}
    weights, net = out / "model.safetensors", out / "model.net"
    for suffix in (".safetensors", ".json"):
        shutil.copyfile(networks["guided"].with_suffix(suffix), weights.with_suffix(suffix))
    stages.run(
        "export",
        lambda: snnface.export(weights, out=net, calibration=experiment.train_data),
        settings={},
        inputs=[weights, weights.with_suffix(".json"), experiment.train_data],
        outputs=[net],
        code=CHIP,
    )
    quantised = experiment.measure("8 bit", net)
    certificates = {
        mode: stages.run(
            f"verify {mode}",
            functools.partial(
                snnface.verify,
                net,
                against="lava",
                data=experiment.test_data,
                clips=clips,
                input_mode=mode,
                out=out / f"certificate.{mode}.json",
            ),
            settings={"clips": clips},
            inputs=[net, experiment.test_data],
            code=CHIP,
        )
        for mode, clips in CERTIFIED.items()
    }
    profile = stages.run(
        "profile",
        lambda: snnface.profile(weights, data=experiment.test_data, split="test"),
        settings={},
        inputs=[weights, experiment.test_data],
        code=(*CHIP, "training/baselines.py"),
    )
    live = stages.run(
        "live",
        lambda: live_recordings(weights, out, os.environ.get("SNNFACE_DATA")),
        settings={"data": os.environ.get("SNNFACE_DATA")},
        inputs=[weights],
        code=(*FACES, "engine", "stream.py", "live.py", "downscale.py", "training/live.py"),
    )
    summary: dict[str, Any] = {
        "metrics": tested["guided"],
        "unguided": tested["unguided"],
        "baseline": tested["matched_cnn"],
        "quantised": quantised,
        "teacher": teacher,
        "certificate": certificates["graded"],
        "certificate_unary": certificates["unary"],
        "profile": profile,
        "real_recording": live["real_recording"],
        "synthetic_recording": live["synthetic_recording"],
        "settings": experiment.settings,
        "wall_s": stages.wall_s,
    }
    stages.run(
        "report",
        lambda: write_report(out, summary, collect(weights, experiment.test_data)),
        settings=summary,
        inputs=[weights, experiment.test_data],
        outputs=[out / "report.html"],
        code=("report", "training/pictures.py", "heads.py", *FACES),
    )
    summary["wall_s"] = stages.wall_s
    write_json(out / "summary.json", summary)
    say(f"open {out / 'report.html'}")
    keys = ("au_top1", "au_top3", "expression_acc", "nme", "nme_mean_shape")
    return {
        "report": str(out / "report.html"),
        "summary": str(out / "summary.json"),
        **{key: summary["metrics"][key] for key in keys},
        "differing_spikes": certificates["graded"]["differing_spikes"],
        "wall_s": round(sum(stages.wall_s.values())),
    }

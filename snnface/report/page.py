"""The page as a whole: headline, sections, what the player plays, and the files they stand in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from snnface.facs import AU_NAMES, AUS, EXPRESSIONS
from snnface.files import write_text
from snnface.report import chip, cost, tasks
from snnface.report.document import asset, document, footer, header, main, navigation
from snnface.report.html import number, percent, seconds, section, tiles
from snnface.report.measures import power, title
from snnface.report.pictures import data_uri, packed
from snnface.report.scenes import Pictures, Scene

#: Landmarks travel as integers of 1/32 pixel.
LANDMARK_UNIT = 32
NAVIGATION = {
    "input": "Clips", "faces": "Faces", "action-units": "Action units", "expressions": "Expressions",
    "landmarks": "Landmarks", "guidance": "Guidance", "energy": "Energy", "spikes": "Spikes",
    "eight-bits": "8 bits", "certificate": "Certificate", "latency": "Latency", "live": "Live", "time": "Time",
    "honesty": "Small print",
}  # fmt: skip


def write_report(out: Path, summary: dict[str, Any], pictures: Pictures) -> dict[str, Any]:
    """Write ``out/report.html``: one file that loads nothing, of the demo's summary and what is shown beside it.

    ``summary``: the keys of INTERFACE's ``summary.json`` and ``unguided``, ``teacher``, ``certificate_unary``,
    ``synthetic_recording``, ``settings``. Returns ``report`` (the path) and ``bytes``.
    """
    metrics = summary["metrics"]
    sections = [
        tasks.inputs(pictures, _asset("player.html")),
        tasks.faces(pictures),
        tasks.action_units(metrics),
        tasks.expressions(metrics),
        tasks.landmarks(metrics, pictures),
        tasks.guidance(summary),
        cost.energy(summary),
        cost.spikes(metrics, pictures),
        chip.eight_bits(summary),
        chip.certificate(summary),
        cost.latency(summary["profile"]),
        cost.live(summary),
        cost.time(summary["wall_s"]),
        _small_print(summary),
    ]
    heading = "A spiking network that reads faces from events"
    page = document(
        "snnface: faces from events",
        header(heading, _headline(summary), _tiles(summary), tasks.hero(pictures.sheet)),
        navigation(NAVIGATION),
        main(sections),
        footer(" Figures: <code>summary.json</code> beside it."),
        f'<script type="application/json" id="scenes">{_scenes(pictures)}</script>',
        f"<script>\n{_asset('player.js')}</script>",
        style=_asset("player.css") + _asset("report.css"),
        scripts=True,
    )
    path = out / "report.html"
    write_text(path, page)
    return {"report": str(path), "bytes": path.stat().st_size}


def _asset(name: str) -> str:
    return asset("snnface.report", name)


def _headline(summary: dict[str, Any]) -> str:
    metrics, proof, profile = summary["metrics"], summary["certificate"], summary["profile"]
    resnet = {b["name"]: b for b in profile["baselines"]}.get("resnet18_lstm")
    same = (
        "carried to 8 bits it fires exactly the spikes that Lava's fixed-point simulation fires"
        if proof["passed"]
        else "its comparison with Lava's fixed-point simulation did not pass (see the certificate)"
    )
    cheaper = (
        f", and on the same arithmetic it takes 1/{resnet['times_spiking']:.0f} of the energy of ResNet18 + LSTM"
        if resnet and resnet["times_spiking"] > 1
        else ""
    )
    return (
        f"From the events alone of {number(metrics['clips'])} clips of {number(metrics['identities'])} people it had "
        f"never seen, the network named the action unit, one of 24, in {percent(metrics['au_top1'], 0)} of the cases "
        f"and the expression, one of 7, in {percent(metrics['expression_acc'], 0)}, and put 68 landmarks "
        f"{percent(metrics['nme'], 1)} of an eye distance from where they belong "
        f"(the mean face: {percent(metrics['nme_mean_shape'], 1)}); {same}{cheaper}. "
        f"All of it was made here, in {seconds(sum(summary['wall_s'].values()))}."
    )


def _tiles(summary: dict[str, Any]) -> str:
    metrics, profile, proof = summary["metrics"], summary["profile"], summary["certificate"]
    chips = {row["name"]: row for row in profile["chips"]}
    loihi, footing = chips["loihi2"], chips["cmos45"]
    differing = sum(proof[f"differing_{k}"] for k in ("spikes", "u", "v"))
    others = "; ".join(f"{title(b['name'])} {power(b['energy_uj_per_s'])}" for b in profile["baselines"])
    mean_face = f"mean face {percent(metrics['nme_mean_shape'])}"
    return tiles(
        [
            (percent(metrics["au_top1"]), "action units right", f"chance {percent(1 / len(AUS))}"),
            (percent(metrics["expression_acc"]), "expressions right", f"chance {percent(1 / len(EXPRESSIONS))}"),
            (percent(metrics["nme"]), "landmark error, of the eye distance", mean_face),
            (number(differing), "differences from Lava", f"in {number(proof['neuron_steps'])} neuron-steps"),
            (power(footing["energy_uj_per_s"]), "arithmetic at 45 nm, a model", others),
            (
                f"{loihi['latency_us'] / 1000:.0f} ms",
                "latency on Loihi 2, a model",
                f"{number(loihi['cores'])} cores",
            ),
        ]
    )


def _small_print(summary: dict[str, Any]) -> str:
    metrics, size = summary["metrics"], summary["settings"]
    lines = [
        f"People are split by identity: {size['train_people']} to learn from, {size['validation_people']} to choose "
        f"by, {size['test_people']} to test on. Nobody is in two groups, and the test people were looked at once, "
        "after every choice was made.",
        f"Chance is {percent(1 / len(AUS))} for 24 action units, {percent(1 / len(EXPRESSIONS))} for 7 expressions. "
        f"With {number(metrics['clips'])} clips of {number(metrics['identities'])} people these figures have wide "
        "margins: this page shows that the path works, the long evaluation says how well.",
        "The faces are synthetic, and their events come from a simulated sensor with noise. How much of this holds "
        "for real faces is not shown here.",
        "Energies, latencies and core counts are models with their sources, not measurements; an energy of Loihi 2 "
        "is Loihi 1's by assumption, because none is published.",
        "The student sees events only. Colour pictures are the teacher's, during training.",
    ]
    return section(
        "honesty",
        "Small print, in large type",
        "What these figures are, and what they are not.",
        '<ul class="honest">' + "".join(f"<li>{line}</li>" for line in lines) + "</ul>",
    )


def _scenes(pictures: Pictures) -> str:
    """The player's clips as JSON that may stand inside a script element."""
    content = {
        "tau_us": pictures.tau_us,
        "landmark_unit": LANDMARK_UNIT,
        "scenes": [_scene(s, pictures.person(s.identity)) for s in pictures.scenes],
    }
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _scene(scene: Scene, who: str) -> dict[str, Any]:
    au = scene.task == "au"
    kinds = {"t": "u4", "x": "u2", "y": "u2", "p": "u1"}
    return {
        "title": f"{tasks.class_name(scene, scene.truth)}, {who}",
        "question": "Which action unit?" if au else "Which expression?",
        "classes": [f"{n} {AU_NAMES[n]}" for n in AUS] if au else list(EXPRESSIONS),
        "label": scene.truth,
        "width": scene.width,
        "height": scene.height,
        "duration": scene.duration_us,
        "events": {name: packed(scene.events[name], kind) for name, kind in kinds.items()},
        "frame_t": scene.frame_t_us.tolist(),
        "rgb": [data_uri(p) for p in scene.rgb or []],
        "points": scene.landmarks.shape[1],
        "landmarks": packed(scene.landmarks * LANDMARK_UNIT, "i2"),
        "answered": packed((scene.answered_landmarks * LANDMARK_UNIT).clip(-32768, 32767), "i2"),
        "step_us": scene.step_us,
        "probabilities": packed(scene.probabilities * 65535, "u2"),
    }

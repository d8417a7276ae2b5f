"""The model card of a bundle, from its facts."""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import Any

_MODES = {"graded": "events enter with their age, as payloads of 8 bits", "unary": "events enter as plain spikes"}
_MEASURES = {
    "au_top1": "action unit, top-1",
    "au_top3": "action unit, top-3",
    "au_top5": "action unit, top-5",
    "expression_acc": "expression",
    "nme": "landmark error / distance of the eyes' outer corners",
    "nme_mean_shape": "the same of the mean face",
}


def text(known: dict[str, Any], heads: dict[str, Any]) -> str:
    """The card (Markdown). ``known``: the content of ``bundle.json``; ``heads``: of ``heads.json``."""
    template = Template(files("snnface.hardware.bundle").joinpath("model_card.md").read_text(encoding="utf-8"))
    _, height, width = known["input_shape"]
    tasks = ", ".join(f"{name} ({head['stop'] - head['start']})" for name, head in heads.items()) or "no heads"
    return template.substitute(
        what=f"A spiking neural network that reads faces from an event camera, at {width}×{height} pixels: {tasks}.\n"
        f"{known['layers']} layers, {known['neurons']:,} neurons, {known['synapses']:,} weights of {known['bits']} "
        f"bits, an answer every {known['step_us'] / 1000:g} ms.\nMade by snnface {known['snnface']}.",
        networks=_networks(known),
        reference=known["reference"],
        data=_data(known),
        accuracy=_accuracy(known["checkpoint"]),
        energy=_energy(known["profile"]),
        limits="\n".join(f"- {line}" for line in _limits(known["calibration"])),
    )


def _networks(known: dict[str, Any]) -> str:
    rows = [f"| `{n}`, `{n}.json` | network (netx) and manifest; {_MODES[m]} |" for m, n in known["networks"].items()]
    certificate, nir = known["certificate"], known["nir"]
    if certificate["file"]:
        counts = ", ".join(f"{certificate[f'differing_{k}']} differing {k}" for k in ("spikes", "u", "v"))
        rows.append(f"| `certificate.json` | compared with Lava's fixed-point simulation: {counts} |")
    else:
        rows.append(f"| no certificate | {certificate['why']} |")
    if nir["file"]:
        readers = "; ".join(f"{name}: {_reading(found)}" for name, found in nir["readers"].items())
        rows.append(f"| `network.nir` | the float network for other libraries{f' ({readers})' if readers else ''} |")
    else:
        rows.append(f"| no NIR file | {nir['why']} |")
    return "\n".join(rows)


def _reading(found: Any) -> str:
    """What an importer made of the NIR file: differing spikes, or why it cannot read it."""
    return f"{found} differing spikes" if isinstance(found, int) else "cannot read it"


def _data(known: dict[str, Any]) -> str:
    data, trained = known["calibration"], known["checkpoint"]["training_data_sha256"]
    line = f"Trained on a data set whose content has the SHA-256 `{trained or 'unknown'}`."
    if data is None:
        return f"{line} Exported without calibration data: scales follow from the weights alone."
    kind = "synthetic faces, nobody's recording" if data["synthetic"] else "recordings"
    people = ", ".join(f"{n} in {name}" for name, n in data["people"].items() if n)
    which = "That is" if data["is_training_data"] else "Scales were chosen on another,"
    sensor = f", sensor model {data['sensor']}" if data["sensor"] else ""
    kept = f"{data['calibration_clips']} {'training ' if data['people']['train'] else ''}clips"
    return (
        f"{line} {which} `{data['file']}`: {data['clips']:,} clips, {kind} ({data['generator']}{sensor}); people: "
        f"{people}.\nThe first {kept} bound the currents."
    )


def _accuracy(checkpoint: dict[str, Any]) -> str:
    found, seed = checkpoint["validation"], checkpoint["seed"]
    if not found:
        return "The checkpoint holds no metrics: measure it with `run.py score` on labelled data."
    rows = "\n".join(f"| {words} | {found[k]:.3f} |" for k, words in _MEASURES.items() if k in found)
    who = f"{found.get('clips', '?')} clips of {found.get('identities', '?')} people"
    training = "One training" if seed is None else f"One training, seed {seed}"
    return f"""On validation people, in floating point: {who}. {training}; another seed differs.
The best epoch was chosen on the same people, so that people nobody has seen may do worse.

| | fraction |
|---|---|
{rows}"""


def _energy(work: dict[str, Any] | None) -> str:
    if work is None:
        return "Not counted: the bundle was exported without calibration data."
    rows = "\n".join(_chip(row) for row in work["chips"])
    sources = "\n".join(f"- {row['name']}: {row['model']}. {row['source']}" for row in work["chips"])
    counted = f"{work['clips']} clips ({work['seconds']:.1f} s) of `{work['data']}`"
    return f"""A model and no measurement: counted operations times published figures, on {counted}.
{work["synops_per_s"]:,.0f} synaptic operations a second of recording, in the chip's arithmetic. Operations alone: a
chip's static power comes on top.

| chip | µJ per second of recording | cores | latency, ms |
|---|---|---|---|
{rows}

{sources}"""


def _chip(row: dict[str, Any]) -> str:
    cores = "–" if row["cores"] is None else str(row["cores"]) + ("" if row["fits"] else " (does not fit)")
    latency = "–" if row["latency_us"] is None else f"{row['latency_us'] / 1000:.1f}"
    return f"| {row['name']} | {_spent(row)} | {cores} | {latency} |"


def _spent(row: dict[str, Any]) -> str:
    """Energy with its range, where there are figures for it."""
    energy, low, high = (row.get(f"energy{end}_uj_per_s") for end in ("", "_low", "_high"))
    if energy is None:
        return "–"
    return f"{energy:,.1f}" if low is None or high is None else f"{energy:,.1f} ({low:,.1f}–{high:,.1f})"


def _limits(data: dict[str, Any] | None) -> list[str]:
    lines = ["One face that fills the picture; not tested on several, hidden or turned-away faces."]
    if data is None or data["synthetic"]:
        lines.append("Synthetic faces: the real world's skin, age, glasses, beards and cameras are not in them.")
    return [
        *lines,
        "A face that does not move makes no events: answers then fade to the mean.",
        "Far more events than in the calibration may overflow a current; the runner stops and says so.",
        "Spike-exact means Lava's fixed-point simulation. No chip was used.",
    ]

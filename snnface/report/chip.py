"""Sections on the way to the chip: eight bits, and the certificate."""

from __future__ import annotations

from typing import Any

from snnface.report.html import counted, escape, figure, grid, number, paragraph, percent, section, table
from snnface.report.measures import differences, paired_bars
from snnface.report.plots import bars

_INPUTS = {"graded": "event-exact input (8-bit payloads)", "unary": "unary input (spikes without payloads)"}


def eight_bits(summary: dict[str, Any]) -> str:
    """Float and fixed point on the same clips."""
    exact, integer = summary["metrics"], summary["quantised"]
    change = 100 * (integer["au_top1"] - exact["au_top1"])
    return section(
        "eight-bits",
        "Float against 8 bits",
        "For the chip every weight becomes an integer of 8 bits, and currents, membranes and thresholds integers "
        f"that decay as the hardware rounds them. Action-unit accuracy changes by {change:+.1f} points.",
        grid(
            figure(
                bars(paired_bars(integer, exact, ("8 bits", "float"), "quiet"), "Accuracy with 8 bits and in float"),
                "The same test clips.",
            ),
            differences(integer, exact, ("8 bits", "float"), "The integers are those that Lava computes with."),
        ),
    )


def certificate(summary: dict[str, Any]) -> str:
    """What was compared with Lava, layer by layer, for both inputs."""
    proofs = [summary["certificate"], summary["certificate_unary"]]
    if all(proof["passed"] for proof in proofs):
        compared = number(sum(proof["neuron_steps"] for proof in proofs))
        lead = (
            "<b>Spike-exact with Lava's fixed-point simulation.</b> The exported network ran in our integer "
            f"simulator and in Lava, side by side, over {compared} neuron-steps: every spike, and every "
            "current and voltage that was compared, is the same."
        )
    else:
        found = "; ".join(f"{proof['input']} input: {line}" for proof in proofs for line in proof["found"])
        lead = f"<b>Not passed.</b> The comparison with Lava's fixed-point simulation found: {escape(found)}."
    return section(
        "certificate",
        "The certificate",
        lead,
        grid(*map(_proof, proofs), kind="one"),
        paragraph(
            "No chip was used: that needs Intel's own extension, which is not public. The simulation is the one that "
            "Intel publishes as Lava.",
            "note",
        ),
    )


def _proof(proof: dict[str, Any]) -> str:
    rows = [
        [
            escape(layer["name"]),
            number(layer["neurons"]),
            number(layer["spikes"]) if layer["spiking"] else "readout",
            percent(layer["rate"], 2) if layer["spiking"] else "",
            *(number(layer[f"differing_{kind}"]) for kind in ("spikes", "u", "v")),
        ]
        for layer in proof["layers"]
    ]
    entry = _INPUTS.get(proof["input"], proof["input"])
    head = ["layer", "neurons", "spikes", "of neuron-steps", *(f"differing {k}" for k in ("spikes", "u", "v"))]
    caption = (
        f"{counted(proof['clips'], 'clip')}, {number(proof['steps'])} steps, Lava's lag of {proof['latency_steps']} "
        f"included. Currents u and voltages v compared at {proof['states_compared']}."
    )
    facts = [("versions", ", ".join(f"{escape(k)} {escape(str(v))}" for k, v in proof["versions"].items()))]
    facts += [(f"sha256 of {escape(k)}", f"<code>{escape(v)}</code>") for k, v in proof["sha256"].items()]
    return (
        f'<div class="certificate {"good" if proof["passed"] else "bad"}">'
        f'<p class="stamp">{"passed" if proof["passed"] else "not passed"} <span>{entry}</span></p>'
        + table(head, rows, caption, range(1, 7))
        + '<dl class="facts">'
        + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
        + "</dl></div>"
    )

"""Sections on what the network costs: spikes, energy, cores, latency, a live stream, and the time of the job."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnface.report.html import escape, figure, grid, number, paragraph, percent, seconds, section, si, table
from snnface.report.measures import duration, paired_bars, power, title
from snnface.report.plots import Bar, area, bars
from snnface.report.scenes import Pictures


def spikes(metrics: dict[str, Any], pictures: Pictures) -> str:
    """Spikes of every layer over time, the clips on one clock."""
    scenes = sorted(pictures.scenes, key=lambda s: -len(s.events))
    step_s = scenes[0].step_us / 1e6
    arrived = [np.histogram(s.events["t"], bins=len(s.spikes), range=(0, s.duration_us))[0] for s in scenes]
    plot = area([a.tolist() for a in arrived], "Events over time", step_s, max(a.max() for a in arrived), number)
    plots = [figure(plot, "<b>input</b>: events in each step")]
    for i, (name, rate) in enumerate(zip(pictures.layers, metrics["spike_rates"], strict=True)):
        series = [s.spikes[:, i].tolist() for s in scenes]
        plot = area(series, f"Spikes of {name} over time", step_s, max(map(max, series)), percent)
        plots.append(figure(plot, f"<b>{escape(name)}</b>: {percent(rate)} of its neuron-steps"))
    return section(
        "spikes",
        "Spikes of each layer over time",
        "A neuron speaks only when something has happened. Each curve is the share of a layer's neurons that "
        f"spike in a step of {step_s * 1000:g} ms; a test clip takes "
        f"{number(metrics['spikes_per_clip'])} spikes on average.",
        grid(*plots, kind="three"),
        paragraph(
            f"Filled: the liveliest of the {len(scenes)} clips of the player; lines: the others. The rates are means "
            "over the whole test set.",
            "note",
        ),
    )


def energy(summary: dict[str, Any]) -> str:
    """Accuracy and energy of the spiking network and the CNNs, on one footing."""
    ours, theirs, profile = summary["metrics"], summary["baseline"], summary["profile"]
    chips = {row["name"]: row for row in profile["chips"]}
    spent = {"spiking": chips["cmos45"]["energy_uj_per_s"]}
    spent |= {b["name"]: b["energy_uj_per_s"] for b in profile["baselines"]}
    cost = [Bar(f"{title(n)}, 45 nm", uj, power(uj), "b" if n != "spiking" else "a") for n, uj in spent.items()]
    for name in (n for n in chips if n != "cmos45"):
        uj = chips[name]["energy_uj_per_s"]
        cost.append(Bar(f"{title('spiking')}, {title(name)}", uj, power(uj), "quiet"))
    accuracy = paired_bars(ours, theirs, ("spiking", "CNN"), "b")
    ratios = " and ".join(
        f"{power(b['energy_uj_per_s'])} for the {title(b['name'])} ({b['times_spiking']:.3g} times as much)"
        for b in profile["baselines"]
    )
    return section(
        "energy",
        "Spiking against CNN",
        "The matched CNN has the encoder's own convolutions with ReLU and an LSTM behind them. It looks at "
        f"33 ms event frames, learnt from the same clips in as many passes, and names {percent(theirs['au_top1'])} "
        f"of the action units (spiking: {percent(ours['au_top1'])}). For a second of recording the spiking network's "
        f"arithmetic takes {power(spent['spiking'])} at 45 nm, against {ratios}.",
        grid(
            figure(bars(accuracy, "Accuracy, spiking network and matched CNN"), "On the same test people."),
            figure(
                bars(cost, "Energy by network and chip, logarithmic axis", log=True, axis=lambda uj: power(uj, 1)),
                "Energy for a second of recording (1 W = 1 J a second), logarithmic axis. Grey: the same network "
                "on a neuromorphic chip, which is another footing.",
            ),
        ),
        _footing(profile, spent),
        _sources(profile),
    )


def _footing(profile: dict[str, Any], spent: dict[str, float]) -> str:
    work = {"spiking": f"{si(profile['synops_per_s'], '')} synaptic operations"}
    work |= {b["name"]: f"{si(b['macs_per_s'], '')} multiply-accumulates" for b in profile["baselines"]}
    moved = {row["name"]: row for row in profile["memory"]}
    rows = [
        [
            title(name),
            work[name],
            power(spent[name]),
            f"{spent[name] / spent['spiking']:.3g} ×",
            si(moved[name]["accesses_per_s"], ""),
            power(moved[name]["energy_uj_per_s"]),
        ]
        for name in work
    ]
    return table(
        ["", "work a second", "arithmetic", "ratio", "memory accesses a second", "if all of them went to memory"],
        rows,
        "One footing, 45 nm and fp32: an accumulate for each synaptic operation, two multiply-accumulates for each "
        "neuron update, CNNs at the encoder's input size and 30 frames a second. Memory traffic stands by itself.",
        (2, 3, 4, 5),
    )


def _sources(profile: dict[str, Any]) -> str:
    lines = [(title(c["name"]), f"{escape(c['model'])}.", c["source"]) for c in profile["chips"]]
    lines.append(("memory access", "", profile["memory"][0]["source"]))
    lines += [(title(b["name"]), f"{escape(b['model'])}.", b["source"]) for b in profile["baselines"]]
    items = "".join(f"<li><b>{name}</b>: {model} <cite>{escape(source)}</cite></li>" for name, model, source in lines)
    return (
        "<details open><summary>Where the figures come from: models, not measurements</summary>"
        f'<ul class="sources">{items}</ul></details>'
    )


def latency(profile: dict[str, Any]) -> str:
    """Cores, and the parts of the latency, by chip."""
    chips = [c for c in profile["chips"] if c["cores"] is not None]
    first, layers = chips[0], [layer["name"] for layer in profile["layers"]]
    name = title(first["name"])
    rows = []
    for c in chips:
        parts = [c[f"latency_{part}_us"] for part in ("step", "lag", "processing")] + [c["latency_us"]]
        fits = "yes" if c["fits"] else "no"
        rows.append([title(c["name"]), number(c["cores"]), fits, *map(duration, parts)])
    cores = [Bar(layer, n, number(n)) for layer, n in zip(layers, first["cores_of_layers"], strict=True)]
    return section(
        "latency",
        "Cores and latency",
        f"On {name} the network takes an estimated {number(first['cores'])} cores, and an event is part of "
        f"the answer after {duration(first['latency_us'])} at worst: it waits for the end of its step, then one "
        f"step a layer. The computing itself takes {duration(first['latency_processing_us'])}.",
        grid(
            figure(
                bars(cores, f"Cores of each layer on {name}", full=max(first["cores_of_layers"]), width=440),
                f"Cores of each layer on {name}.",
            ),
            table(
                ["", "cores", "fits", "step", "layer lag", "processing", "latency"],
                rows,
                "Estimates, for steps that follow the clock.",
                range(1, 7),
            ),
        ),
    )


def live(summary: dict[str, Any]) -> str:
    """The streaming runs: how long a tick takes."""
    real, face = summary["real_recording"], summary["synthetic_recording"]
    runs = [real]
    if "every_event" in real:
        runs.append(real["every_event"] | {"source": f"{real['source']}, every event kept"})
    if face["source"] != real["source"]:
        runs.append(face)
    rows = [
        [
            escape(str(r["source"])),
            f"{r['width']} × {r['height']}",
            number(r["ticks"]),
            *(duration(r[key]) for key in ("p50_us", "p99_us", "slowest_us")),
            number(r["largest_tick_events"]),
            si(r["events_per_s"], ""),
            f"{r['real_time_factor']:.3g} ×",
            number(r["late"]),
        ]
        for r in runs
        if r["ticks"]
    ]
    head = ["recording", "pixels", "ticks", "median", "99 %", "slowest", "events in the largest", "events a second"]
    return section(
        "live",
        "Live, tick by tick",
        f"The trained network on a stream as a camera delivers it: {escape(str(real['source']))}, {real['width']} × "
        f"{real['height']} pixels, scaled down event by event. A tick of {real['tick_us'] / 1000:g} ms took "
        f"{duration(real['slowest_us'])} at worst on this machine.",
        table(
            [*head, "faster than life", "late"],
            rows,
            f"Ticks of {real['tick_us'] / 1000:g} ms, each timed from its last event to its answer: down-scaling and "
            "network, without reading files.",
            range(1, 10),
        ),
        paragraph("Where a recording shows no face its answers mean nothing; the clock is what is real.", "note"),
    )


def time(wall_s: dict[str, float]) -> str:
    """How long each part of the job took."""
    rows = [
        Bar(name.replace("_", " "), s, seconds(s), "quiet" if name.startswith("synth") else "a")
        for name, s in wall_s.items()
    ]
    return section(
        "time",
        "How long it took",
        f"{seconds(sum(wall_s.values()))} from nothing to this page, its own writing not counted.",
        figure(
            bars(rows, "Time of each stage", full=max(wall_s.values()), width=760),
            "In the order of the job. A stage that was still valid keeps the time of the run that made it.",
        ),
    )

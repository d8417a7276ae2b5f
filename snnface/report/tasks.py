"""Sections on what went in and on the three answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnface.facs import AU_NAMES, AUS, EXPRESSIONS
from snnface.report.html import counted, escape, figure, grid, number, paragraph, percent, section
from snnface.report.measures import NAMES, differences, interval, paired_bars
from snnface.report.pictures import data_uri, event_png, photograph
from snnface.report.plots import Bar, bars, matrix
from snnface.report.scenes import Pictures, Scene, Sheet

#: Events of this long before a frame are drawn with it, µs.
SHOWN_US = 50_000
GALLERY = 6
LEGEND = '<span class="key on">brighter</span> <span class="key off">darker</span>'
POINTS = '<span class="key truth">truth</span> <span class="key answer">answer</span>'


def class_name(scene: Scene, index: int) -> str:
    """Name of a class of the scene's task."""
    return f"AU{AUS[index]} {AU_NAMES[AUS[index]]}" if scene.task == "au" else EXPRESSIONS[index]


def inputs(pictures: Pictures, player: str) -> str:
    """The player: test clips as events and as pictures, with the answers so far."""
    first = pictures.scenes[0]
    rate = np.median([len(s.events) / s.duration_us * 1e6 for s in pictures.scenes])
    return section(
        "input",
        "What went in, and what came out",
        f"An event camera has no frames: each pixel reports, by itself, the microsecond at which it gets brighter or "
        f"darker. This is all that the network sees, about {number(rate)} events a second here, on "
        f"{first.width} × {first.height} pixels. The colour pictures beside them are for you (and for the teacher "
        "that guided the training). Press play, or drag along the clip.",
        player,
        paragraph(
            f"{len(pictures.scenes)} of the test clips, evenly spread over the set and not chosen by how well they "
            f"went. An event fades as it does for the network, by half every "
            f"{pictures.tau_us * np.log(2) / 1000:.0f} ms. The bars are the network's answer from the clip's start "
            "up to this moment; the points are landmarks.",
            "note",
        ),
    )


def hero(sheet: Sheet) -> str:
    """The liveliest picture of events that there is, for the top of the page."""
    action, events = max(((a, e) for a in sheet.actions for e in a.events), key=lambda pair: len(pair[1]))
    height, width = action.apex[0].shape[:2]
    drawn = data_uri(event_png(events, width, height))
    return f'<img class="hero" src="{drawn}" alt="{escape(action.name)}, as events">'


def faces(pictures: Pictures) -> str:
    """Every action of a few people, as picture and as events."""
    sheet, names = pictures.sheet, [pictures.person(who) for who in pictures.sheet.people]
    rests = [data_uri(photograph(p)) for p in sheet.rest]
    rows = []
    for action in sheet.actions:
        cells = []
        for who, rest, apex, events in zip(names, rests, action.apex, action.events, strict=True):
            height, width = apex.shape[:2]
            drawn = data_uri(event_png(events, width, height))
            cells.append(_cell(data_uri(photograph(apex)), rest, f"{action.name}, {who}"))
            cells.append(_cell(drawn, "", f"{action.name} as events, {who}"))
        code, _, name = action.name.partition(" ")
        title = f"<h3>{escape(code)} <small>{escape(name)}</small></h3>"
        rows.append(f'<div class="action">{title}{"".join(cells)}</div>')
    at_rest = "".join(
        f'<figure><img src="{uri}" alt="{who} at rest"><figcaption>{who}</figcaption></figure>'
        for who, uri in zip(names, rests, strict=True)
    )
    return section(
        "faces",
        f"{len(sheet.actions)} actions, {counted(len(names), 'face')}",
        "Nobody was filmed: the faces are drawn by a program, with muscles that pull the skin where a person's do. "
        "Each action is shown at its strongest, and beside it the events of its onset. Point at a face to see it "
        f"at rest. {LEGEND}",
        f'<div class="people">{at_rest}</div>',
        f'<div class="sheet" style="--people:{len(names)}">{"".join(rows)}</div>',
        paragraph(
            "Strong actions, and one pose and light for each person, so that they can be compared. In the data set "
            "light, background, pose, place, size, gaze, strength and time of the action are drawn independently of "
            "the label.",
            "note",
        ),
    )


def _cell(front: str, behind: str, what: str) -> str:
    """A picture, and another that shows itself when one points at it."""
    other = f'<img class="rest" src="{behind}" alt="" aria-hidden="true">' if behind else ""
    return f'<span class="cell"><img src="{front}" alt="{escape(what)}">{other}</span>'


def action_units(metrics: dict[str, Any]) -> str:
    """Accuracy of each action unit, and what was taken for what."""
    per_au = sorted(metrics["per_au"].items(), key=lambda item: (-item[1], int(item[0])))
    rows = [Bar(f"{AU_NAMES[int(au)]} {au}", value, percent(value, 0)) for au, value in per_au]
    chance = 1 / len(AUS)
    totals = [int(sum(row)) for row in metrics["au_confusion"]]
    each = str(max(totals)) if min(totals) == max(totals) else f"{min(totals)} to {max(totals)}"
    top = ", ".join(f"{percent(metrics[f'au_top{k}'])} among the first {n}" for k, n in ((3, "three"), (5, "five")))
    return section(
        "action-units",
        "Which of 24 action units",
        f"One answer a clip, by people it never saw: {percent(metrics['au_top1'])} right at the first guess"
        f"{interval(metrics, 'au_top1')}, {top}. Guessing gives {percent(chance)}.",
        grid(
            figure(
                bars(rows, "Accuracy of each action unit, best first", mark=(chance, "chance")),
                f"Accuracy of each action unit. {number(sum(totals))} clips, {each} of each: a clip is a large step.",
            ),
            figure(
                matrix(metrics["au_confusion"], [str(au) for au in AUS], "Confusion of action units", 20),
                "Rows: what was done. Columns: what the network said. Shade: share of the row.",
            ),
        ),
    )


def expressions(metrics: dict[str, Any]) -> str:
    """Confusion of the expressions."""
    confusion = metrics["expression_confusion"]
    rows = []
    for name, row, i in zip(EXPRESSIONS, confusion, range(len(EXPRESSIONS)), strict=True):
        right = row[i] / (sum(row) or 1)
        rows.append(Bar(name, right, percent(right, 0)))
    chance = 1 / len(EXPRESSIONS)
    return section(
        "expressions",
        "Which of 7 expressions",
        f"{percent(metrics['expression_acc'])} of {number(sum(map(sum, confusion)))} clips right"
        f"{interval(metrics, 'expression_acc')}; guessing gives {percent(chance)}.",
        grid(
            figure(
                bars(
                    sorted(rows, key=lambda b: -b.value), "Accuracy of each expression, best first",
                    mark=(chance, "chance"), width=480,
                ),
                "Accuracy of each expression.",
            ),
            figure(
                matrix(confusion, EXPRESSIONS, "Confusion of expressions", 38),
                "Rows: what was shown. Columns: what the network said.",
            ),
        ),
    )  # fmt: skip


def landmarks(metrics: dict[str, Any], pictures: Pictures) -> str:
    """Landmark error against the mean shape, and points drawn over events and pictures."""
    rows = [
        Bar(
            "this network",
            metrics["nme"],
            percent(metrics["nme"], 2),
            interval=metrics.get("intervals", {}).get("nme"),
        ),
        Bar("mean shape", metrics["nme_mean_shape"], percent(metrics["nme_mean_shape"], 2), "quiet"),
    ]
    every = max(1, len(pictures.scenes) // GALLERY)
    shown = "".join(_overlay(s, pictures.person(s.identity)) for s in pictures.scenes[::every][:GALLERY])
    full = 1.15 * max(row.value for row in rows)
    return section(
        "landmarks",
        "Where the 68 landmarks are",
        f"On average a landmark is {percent(metrics['nme'], 2)} of the distance between the outer eye corners away "
        f"from where it belongs{interval(metrics, 'nme', 2)}. The mean shape of the training people, which looks at "
        f"nothing, is {percent(metrics['nme_mean_shape'], 2)} away.",
        figure(
            bars(rows, "Normalised mean error of the landmarks", full=full, width=680),
            f"Mean error; {percent(metrics['fr10'])} of the frames are worse than 10 %, and the area under the error "
            f"curve up to 10 % is {metrics['auc10']:.2f}. Normaliser: {escape(metrics['nme_normaliser'])}.",
        ),
        f'<div class="gallery">{shown}</div>',
        paragraph(f"{POINTS}. The frame halfway through each clip, with the events of the 50 ms before it.", "note"),
    )


def _overlay(scene: Scene, who: str) -> str:
    frame = len(scene.frame_t_us) // 2
    t = int(scene.frame_t_us[frame])
    inside = (scene.events["t"] > t - SHOWN_US) & (scene.events["t"] <= t)
    backs = [("events", data_uri(event_png(scene.events[inside], scene.width, scene.height)))]
    if scene.rgb is not None:
        backs.append(("rgb", data_uri(scene.rgb[frame])))
    points = "".join(
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{scene.width / 110:.2f}"/>'
        for kind, values in (("truth", scene.landmarks[frame]), ("answer", scene.answered_landmarks[frame]))
        for x, y in values + 0.5
    )
    title = f"{class_name(scene, scene.truth)}, {who}"
    drawn = "".join(
        f'<svg viewBox="0 0 {scene.width} {scene.height}" role="img" aria-label="landmarks of {escape(title)}">'
        f'<image class="{kind}" href="{back}" width="{scene.width}" height="{scene.height}"/>{points}</svg>'
        for kind, back in backs
    )
    return f"<figure>{drawn}<figcaption>{escape(title)}</figcaption></figure>"


def guidance(summary: dict[str, Any]) -> str:
    """The same student with and without the RGB teacher."""
    guided, alone, teacher = summary["metrics"], summary["unguided"], summary["teacher"]
    gain = 100 * (guided["au_top1"] - alone["au_top1"])
    words = f"gains {gain:.1f}" if gain > 0 else f"loses {-gain:.1f}" if gain < 0 else "neither gains nor loses"
    facts = ", ".join(
        f"{NAMES[key]} {percent(teacher[key])}" for key in ("au_top1", "expression_acc") if teacher[key] is not None
    )
    return section(
        "guidance",
        "With and without colour pictures in training",
        "During training, and only then, a teacher network that looks at the colour pictures tells the student "
        "what it reads from them: the shape of the face in every frame, the landmarks, and how sure it is of each "
        f"class. The guided student {words} points of action-unit accuracy against the same network trained without.",
        grid(
            figure(
                bars(paired_bars(guided, alone, ("guided", "alone"), "quiet"), "Accuracy with and without guidance"),
                "Same clips, same number of passes, same network.",
            ),
            differences(guided, alone, ("guided", "alone"), "Both on the test people."),
        ),
        paragraph(
            f"The teacher itself, from the colour pictures of the validation people: {facts}, landmarks "
            f"{teacher['landmark_rms_pixels']:.2f} pixels off (root mean square).",
            "note",
        ),
    )

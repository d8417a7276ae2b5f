"""A page that plays a span: one file, nothing loaded from anywhere.

What it carries stands in script elements that are no scripts: a description in JSON, blocks of events, pictures. The
bytes of a block are planes, deflated (zlib) and written in base64: byte 0 of every event's time since the event
before it (of a block's first: since ``before``), then its bytes 1, 2 and 3, the two bytes of x, the two of y, and p.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from snnface.errors import InputError
from snnface.files import atomic_path
from snnface.progress import track
from snnface.report.document import asset, document, footer
from snnface.report.html import counted, escape, number, si
from snnface.report.pictures import data_uri
from snnface.view.colours import FAINTEST, FORGOTTEN, GROWTH
from snnface.view.film import slow_motion, times
from snnface.view.look import Curve, Look, lanes
from snnface.view.source import CLASSES, Source, Span

#: What a page holds at most: events, seconds, bytes of colour pictures.
MOST_EVENTS, MOST_SECONDS, MOST_PICTURES = 10_000_000, 600, 100_000_000
#: Pictures a second on most screens.
SHOWN_HZ = 60
#: Events of a block, and parts of the event rate's curve (of which the page joins 1, 2, 3, 4, 6 or 8).
BLOCK, BINS = 1 << 18, 480
SCRIPTS = ("draw.js", "events.js", "curves.js", "player.js")
_PIECE_US = 1_000_000


def check_fits(source: Source, part: Span, out: Path) -> None:
    """Raise :class:`InputError` where a span is too much for a page; says how many seconds of it fit."""
    seconds, total = part.duration_us / 1e6, 0
    fits = min(seconds, MOST_SECONDS)
    for start in range(part.start_us, part.stop_us + 1, _PIECE_US):
        events = source.events(start, min(start + _PIECE_US, part.stop_us + 1))
        if total + len(events) > MOST_EVENTS:
            fits = min(fits, (int(events["t"][MOST_EVENTS - total]) - part.start_us) / 1e6)
            break
        total += len(events)
    if fits < seconds:
        most = f"{number(MOST_EVENTS)} events and {MOST_SECONDS / 60:g} minutes"
        what = f"{seconds:g} s are too much for a page of at most {most}"
        fix = f"Choose a part: --start {part.start_us / 1e6:g} --seconds {_rounded_down(fits):g} fits; or write .mp4"
        raise InputError(out, what, fix)


def write_page(out: Path, look: Look, tau_us: float) -> dict[str, Any]:
    """Write the page; ``tau_us``: the decay time that it begins with."""
    pictures = look.labels.rgb if look.labels is not None else []
    weight = sum(map(len, pictures))
    if weight > MOST_PICTURES:
        what = (
            f"{weight / 1e6:.0f} MB of colour pictures are too much for a page of at most {MOST_PICTURES / 1e6:.0f}"
        )
        raise InputError(out, what, "Choose a part with --start and --seconds, or write .mp4")
    blocks: list[dict[str, int]] = []
    with atomic_path(out) as path, path.open("w", encoding="utf-8") as file:
        before, after = _page(look).split("<!-- data -->")
        file.write(before)
        for name, text in (*_events(look, blocks), *(("picture", data_uri(p)) for p in pictures)):
            file.write(f'<script type="text/plain" class="{name}">{text}</script>\n')
        about = json.dumps(_about(look, tau_us, blocks), separators=(",", ":"), allow_nan=False)
        about = about.replace("<", "\\u003c")  # nothing in it ends the element
        file.write(f'<script type="application/json" id="look">{about}</script>')
        file.write(after)
    return {"frames": len(times(look.span.duration_us, SHOWN_HZ, 1)), "events": sum(b["events"] for b in blocks)}


def planes(events: np.ndarray, before_us: int) -> str:
    """Structured events as the text of a block; ``before_us``: the time before its first event."""
    columns = [
        np.diff(events["t"], prepend=before_us).astype("<u4"),
        events["x"].astype("<u2"),
        events["y"].astype("<u2"),
        events["p"].astype("u1"),
    ]
    return packed(np.concatenate([c.view(np.uint8).reshape(len(c), -1).T.ravel() for c in columns]))


def packed(values: np.ndarray) -> str:
    """An array's bytes, deflated, in base64."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes())).decode()


def _events(look: Look, blocks: list[dict[str, int]]) -> Iterator[tuple[str, str]]:
    """Blocks of a span's events; what they hold is noted in ``blocks``."""
    end, before = look.span.duration_us, 0
    for start in track(range(-1, end, _PIECE_US), "events"):
        piece = look.events(start, min(start + _PIECE_US, end))
        for i in range(0, len(piece), BLOCK):
            events = piece[i : i + BLOCK]
            blocks.append({"events": len(events), "t": int(events["t"][0]), "before": before})
            yield "events", planes(events, before)
            before = int(events["t"][-1])


def _about(look: Look, tau_us: float, blocks: list[dict[str, int]]) -> dict[str, Any]:
    labels, answers, source = look.labels, look.answers, look.source
    off, on = look.rate(BINS).tolist()
    about: dict[str, Any] = {
        "width": source.width,
        "height": source.height,
        "start": look.span.start_us,
        "duration": look.span.duration_us,
        "at": look.liveliest(tau_us),
        "tau": tau_us,
        "slow": slow_motion(look.span.duration_us, None),
        "shade": [FAINTEST, GROWTH, FORGOTTEN],
        "blocks": blocks,
        "on": on,
        "off": off,
        "lanes": [{"name": x.name, "truth": _curve(x.truth), "answer": _curve(x.answer)} for x in lanes(look)],
        "heads": [],
        "points": {},
        "aligned": labels is not None and labels.aligned,
        "pictures": [] if labels is None or not labels.rgb else labels.t_us.tolist(),
    }
    if labels is not None and np.isfinite(labels.landmarks).any():
        about["points"]["truth"] = _points(labels.t_us, labels.landmarks)
    if answers is not None:
        if answers.landmarks.size:
            about["points"]["answer"] = _points(answers.t_us, answers.landmarks)
        for head in look.heads:
            label = labels.classes.get(head) if labels is not None else None
            odds = {"t": answers.t_us.tolist(), "odds": packed(answers.odds[head].astype("<f4"))}
            about["heads"].append({"name": head, "classes": CLASSES[head], "label": label} | odds)
    return about


def _curve(curve: Curve | None) -> dict[str, Any] | None:
    return curve and {"t": curve.t_us.tolist(), "v": curve.values.astype(float).round(4).tolist()}


def _points(t_us: np.ndarray, places: np.ndarray) -> dict[str, Any]:
    """Landmarks at times; NaN where there are none."""
    return {"t": t_us.tolist(), "count": places.shape[1], "xy": packed(places.astype("<f4"))}


def _page(look: Look) -> str:
    source, part = look.source, look.span
    facts = [f"{source.width} × {source.height} pixels", si(part.duration_us / 1e6, "s")]
    if part.start_us:
        facts.append(f"from {si(part.start_us / 1e6, 's')} on")
    if look.answers is not None:
        facts.append(f"network {look.answers.name}")
    if look.labels is not None and look.labels.rgb:
        facts.append(counted(len(look.labels.rgb), "colour picture"))
    names = look.labels.names if look.labels is not None else []
    player = Template(asset("snnface.view", "page.html")).substitute(
        title=escape(source.title), label=escape(", ".join(names)), facts=escape(" · ".join(facts))
    )
    shown = "colour" if look.labels is not None and look.labels.rgb else "plain"
    heads = "answered" if look.heads else "silent"
    script = "\n".join(asset("snnface.view", name) for name in SCRIPTS)
    return document(
        f"{source.title}: snnface view",
        player,
        footer(),
        "<!-- data -->",
        f'<script>\n"use strict";\n(() => {{\n{script}\n}})();\n</script>',
        style=asset("snnface.report", "player.css") + asset("snnface.view", "page.css"),
        scripts=True,
        kind=f"view {shown} {heads}",
    )


def _rounded_down(seconds: float) -> float:
    """To three digits, and never up."""
    digits = 10.0 ** (np.floor(np.log10(max(seconds, 1e-6))) - 2)
    return float(np.floor(seconds / digits) * digits)

"""Colours of both themes, those of the report, and how an event's weight becomes a colour."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from snnface.report.document import asset

Theme = Literal["dark", "light"]
Colour = tuple[int, int, int]

#: Opacity of a pixel with events: the least, and how it grows with the magnitude of the pixel's value.
FAINTEST, GROWTH = 0.1, 0.75
#: A pixel below this magnitude is empty: an event is forgotten after four decay times.
FORGOTTEN = 0.0183
#: Steps of a weight of 1 in the table of colours.
STEPS = 100


def palette(theme: Theme) -> dict[str, Colour]:
    """Colours by name: paper, field, ink, soft, line, on, off, truth, answer …"""
    light, dark = re.findall(r":root \{(.*?)\}", asset("snnface.report", "style.css"), re.DOTALL)
    chosen = light if theme == "light" else light + dark
    found = re.findall(r"--(\w+): #(\w\w)(\w\w)(\w\w);", chosen)
    return {name: (int(r, 16), int(g, 16), int(b, 16)) for name, r, g, b in found}


def mixed(over: Colour, under: Colour, share: float) -> Colour:
    """``share`` of one colour over another."""
    r, g, b = (round(share * o + (1 - share) * u) for o, u in zip(over, under, strict=True))
    return r, g, b


def table(theme: Theme) -> np.ndarray:
    """Colours of weights −2 … 2 in steps of 1/100, uint8 ``[401, 3]``: row round(100·w) + 200."""
    colour = palette(theme)
    rows = []
    for step in range(-2 * STEPS, 2 * STEPS + 1):
        weight = abs(step) / STEPS
        share = min(1.0, FAINTEST + GROWTH * weight) if weight > FORGOTTEN else 0.0
        rows.append(mixed(colour["on"] if step > 0 else colour["off"], colour["field"], share))
    return np.array(rows, np.uint8)

"""How much clips differ beyond who acts what: pose, liveliness, glasses, light, background, what passes by."""

from __future__ import annotations

from dataclasses import dataclass, fields

from snnface.errors import InputError
from snnface.faces.identity import BEARDS


@dataclass(frozen=True)
class Variation:
    """Shares are of clips where not said otherwise; what a share turns on does not change what the others draw.

    beards: of grown men; glasses: of people. yaw, pitch, roll: the head rests within ± so many degrees.
    micro: small movements of single muscles, a second. speech: a few syllables are spoken. moving_light: the lamp
    wanders by up to ``lamp_degrees`` and its strength by up to ``lamp_change`` (natural logarithm). flicker: the lamp
    hangs on mains of 50 or 60 Hz, and its light swings by up to ``flicker_depth``. moving_background: it drifts by up
    to ``drift`` of the picture's longer side, or somebody passes behind. occluders: a hand or a bar comes in front.

    Raises
    ------
    InputError: a value is out of range.
    """

    beards: float = BEARDS
    glasses: float = 0.0
    yaw: float = 20.0
    pitch: float = 12.0
    roll: float = 10.0
    micro: float = 0.0
    speech: float = 0.0
    moving_light: float = 0.0
    lamp_degrees: float = 40.0
    lamp_change: float = 0.3
    flicker: float = 0.0
    flicker_depth: float = 0.3
    moving_background: float = 0.0
    drift: float = 0.2
    occluders: float = 0.0

    def __post_init__(self) -> None:
        most = {"yaw": 40.0, "pitch": 40.0, "roll": 40.0, "micro": 10.0, "lamp_degrees": 90.0}
        for field in fields(self):
            limit = most.get(field.name, 1.0)
            value = getattr(self, field.name)
            if not 0 <= value <= limit:
                raise InputError(f"variation {field.name}", f"is {value}", f"Give 0 to {limit:g}")


#: What a scene may be called: plain has still light, a still background and nothing in between.
SCENES: dict[str, Variation] = {
    "plain": Variation(),
    "varied": Variation(
        glasses=0.3,
        yaw=40.0,
        pitch=20.0,
        roll=15.0,
        micro=0.6,
        speech=0.15,
        moving_light=0.4,
        flicker=0.15,
        moving_background=0.4,
        occluders=0.2,
    ),
}
PLAIN = SCENES["plain"]

"""Who the face is: shape modes and colours, drawn from the number of the identity alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Shape modes, each about normal with unit spread over all people.
SHAPE_MODES = (
    "head_width", "face_length", "jaw_width", "chin_forward", "chin_length", "brow_ridge", "forehead_slope",
    "cheekbones", "cheek_fullness", "nose_length", "nose_width", "nose_height", "nose_tip", "lip_fullness",
    "mouth_width", "eye_size", "eye_spacing", "eye_tilt", "brow_height", "mouth_forward", "ear_size", "ear_spread",
)  # fmt: skip
# What adult men have more of than women, in halves of the difference, and what children have more of than adults
# (in the direction of the dimorphism that anthropometric atlases give; Farkas 1994).
_MALE = {
    "jaw_width": 0.6, "brow_ridge": 0.9, "chin_length": 0.4, "forehead_slope": 0.4, "nose_length": 0.3,
    "nose_width": 0.3, "nose_height": 0.2, "brow_height": -0.6, "eye_size": -0.3, "lip_fullness": -0.4,
    "cheek_fullness": -0.25, "head_width": 0.2, "face_length": 0.3, "ear_size": 0.3,
}  # fmt: skip
_CHILD = {
    "face_length": -1.5, "nose_length": -1.4, "nose_height": -1.4, "nose_tip": -0.5, "eye_size": 0.4,
    "cheek_fullness": 1.3, "jaw_width": -0.7, "chin_length": -0.9, "chin_forward": -0.7, "brow_ridge": -1.0,
    "forehead_slope": -1.0, "mouth_width": -0.8,
}  # fmt: skip
#: Share of grown men with a beard, or stubble, by default.
BEARDS = 0.45


@dataclass(frozen=True)
class Identity:
    """The looks of one person.

    shape: mode amplitudes by name. Colours are linear RGB in 0..1; lengths are centimetres of the template.
    sex: -1 feminine to 1 masculine; years; child: 1 small to 0 grown; age: 0..1, how deep resting folds and wrinkles
    are. hair_length: 0 bald, up to 1 long behind the neck; cover: hair over the ears; fringe: hair (cm) on the
    forehead; parting: -1..1, to which side. stubble: darkness of a shaved beard; beard: length of a grown one, with
    sideburns and moustache 0 or 1.
    """

    number: int
    shape: dict[str, float]
    sex: float
    years: float
    child: float
    age: float
    skin: np.ndarray
    lips: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    cloth: np.ndarray
    hair_length: float
    hair_thickness: float
    hairline: float
    temple: float
    cover: float
    fringe: float
    parting: float
    brow_thickness: float
    brow_density: float
    brow_arch: float
    stubble: float
    beard: float
    sideburns: float
    moustache: float
    freckles: float


def _palette(rng: np.random.Generator, colours: list[tuple[float, float, float]]) -> np.ndarray:
    """A random blend of two neighbours of a palette given in sRGB 0..1, as linear RGB."""
    table = np.array(colours) ** 2.2
    i = int(rng.integers(len(table) - 1))
    return table[i] + (table[i + 1] - table[i]) * rng.random()


_SKINS = [
    (0.95, 0.80, 0.72),
    (0.90, 0.73, 0.63),
    (0.84, 0.66, 0.53),
    (0.72, 0.53, 0.41),
    (0.56, 0.39, 0.30),
    (0.40, 0.28, 0.22),
]
_HAIRS = [
    (0.07, 0.06, 0.06),
    (0.14, 0.10, 0.08),
    (0.26, 0.18, 0.12),
    (0.42, 0.28, 0.16),
    (0.68, 0.52, 0.32),
]
_GREY = np.array((0.66, 0.65, 0.64)) ** 2.2
_IRISES = [(0.16, 0.09, 0.05), (0.30, 0.18, 0.09), (0.34, 0.36, 0.20), (0.30, 0.42, 0.48), (0.42, 0.52, 0.62)]


def draw_identity(number: int, beards: float = BEARDS) -> Identity:
    """The person with this number (≥ 0): the same person for the same number, always.

    beards: the share of grown men that have one; who has one with a small share has it with a larger one.
    """
    rng = np.random.default_rng([7919, number])
    draw = rng.uniform
    shape = {name: float(rng.normal()) for name in SHAPE_MODES}
    sex = float(rng.choice((-1, 1)) * draw(0.5, 1.0))
    years = float(np.interp(rng.random(), (0.0, 0.12, 0.7, 1.0), (6, 16, 50, 84)))
    child = float(np.clip((17 - years) / 10, 0, 1))
    age = float(np.clip((years - 25) / 50, 0, 1))
    for name, amount in shape.items():
        shift = sex * (1 - child) * _MALE.get(name, 0.0) + child * _CHILD.get(name, 0.0)
        shape[name] = float(np.clip(0.85 * amount + shift, -2.2, 2.2))
    skin = _palette(rng, _SKINS)
    dark = skin[1] < 0.19
    grey = float(np.clip(age * draw(0.4, 1.6) - 0.25, 0, 1)) ** 0.7
    hair = _palette(rng, _HAIRS[:3] if dark else _HAIRS)
    hair = hair + grey * (_GREY * draw(0.6, 1.0) - hair)
    lips = skin * np.array([0.82, 0.50, 0.52]) * draw(0.75, 1.05)
    man = sex > 0 and years > 17
    bald = man and rng.random() < 0.08 + 0.25 * age
    recedes = draw(0, 2.4) * age if man else 0.0
    long = rng.random() < (0.12 if sex > 0 else 0.75)
    grown, shaved, wears = draw(0.25, 1.0), draw(0.15, 0.5), rng.random()
    bearded = man and wears < beards
    full = bearded and wears < 0.6 * beards
    goatee = bool(rng.random() < 0.25)
    return Identity(
        number=number,
        shape=shape,
        sex=sex,
        years=years,
        child=child,
        age=age,
        skin=skin,
        lips=lips,
        hair=hair,
        iris=_palette(rng, _IRISES[:3] if dark else _IRISES),
        cloth=draw(0.03, 0.6, 3),
        hair_length=0.0 if bald else float(draw(0.6, 1.0) if long else draw(0.1, 0.5)),
        hair_thickness=0.0 if bald else float(draw(0.9, 1.7) if long else draw(0.35, 1.6)),
        hairline=float(draw(6.0, 7.3) + recedes),
        temple=float(draw(0.0, 1.0) * (0.5 + 0.5 * (sex > 0)) + 0.5 * recedes),
        cover=float(draw(0.5, 1.0)) if long and not bald else 0.0,
        fringe=float(draw(0.8, 2.4)) if rng.random() < (0.4 if sex < 0 else 0.2) and recedes < 0.5 else 0.0,
        parting=float(draw(-1.0, 1.0)),
        brow_thickness=float(draw(0.22, 0.36) + 0.09 * sex),
        brow_density=float(draw(0.55, 0.9) + 0.05 * sex),
        brow_arch=float(draw(0.15, 0.55) - 0.10 * sex),
        stubble=float(shaved if bearded else 0.35 * shaved * (man and wears < 0.8)),
        beard=float(grown) if full else 0.0,
        sideburns=0.0 if goatee else 1.0,
        moustache=float(rng.random() < 0.85),
        freckles=float(rng.random() ** 4) * float(skin[1] > 0.3),
    )

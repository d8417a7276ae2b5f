"""Who the face is: shape modes and colours, drawn from the number of the identity alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Shape modes, each about normal with unit spread.
SHAPE_MODES = (
    "head_width", "face_length", "jaw_width", "chin_forward", "chin_length", "brow_ridge", "forehead_slope",
    "cheekbones", "cheek_fullness", "nose_length", "nose_width", "nose_height", "nose_tip", "lip_fullness",
    "mouth_width", "eye_size", "eye_spacing", "eye_tilt", "brow_height", "mouth_forward",
)  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """The looks of one person.

    shape: mode amplitudes by name. Colours are linear RGB in 0..1; lengths are centimetres of the template.
    hair_length: 0 bald, up to 1 long behind the neck. age: 0..1, how deep resting folds and wrinkles are.
    """

    number: int
    shape: dict[str, float]
    skin: np.ndarray
    lips: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    cloth: np.ndarray
    hair_length: float
    hair_thickness: float
    hairline: float
    temple: float
    brow_thickness: float
    brow_density: float
    brow_arch: float
    stubble: float
    freckles: float
    age: float


def _palette(rng: np.random.Generator, colours: list[tuple[float, float, float]]) -> np.ndarray:
    """A random blend of two neighbours of a palette given in sRGB 0..1, as linear RGB."""
    table = np.array(colours) ** 2.2
    i = int(rng.integers(len(table) - 1))
    return table[i] + (table[i + 1] - table[i]) * rng.random()


_SKINS = [
    (0.95, 0.80, 0.72),
    (0.90, 0.72, 0.62),
    (0.82, 0.62, 0.48),
    (0.68, 0.47, 0.35),
    (0.50, 0.33, 0.24),
    (0.36, 0.24, 0.18),
]
_HAIRS = [
    (0.06, 0.05, 0.05),
    (0.14, 0.09, 0.07),
    (0.28, 0.18, 0.11),
    (0.45, 0.30, 0.16),
    (0.72, 0.58, 0.36),
    (0.62, 0.60, 0.58),
]
_IRISES = [(0.16, 0.09, 0.05), (0.30, 0.18, 0.09), (0.34, 0.36, 0.20), (0.30, 0.42, 0.48), (0.42, 0.52, 0.62)]


def draw_identity(number: int) -> Identity:
    """The person with this number (≥ 0): the same person for the same number, always."""
    rng = np.random.default_rng([7919, number])
    shape = {name: float(np.clip(rng.normal(), -2.0, 2.0)) for name in SHAPE_MODES}
    skin = _palette(rng, _SKINS)
    hair = _palette(rng, _HAIRS[:3] if skin[1] < 0.16 else _HAIRS)
    lips = skin * np.array([0.80, 0.52, 0.55]) * rng.uniform(0.75, 1.1)
    bald, bearded = rng.random() < 0.08, rng.random() < 0.3
    return Identity(
        number=number,
        shape=shape,
        skin=skin,
        lips=lips,
        hair=hair,
        iris=_palette(rng, _IRISES[:3] if skin[1] < 0.16 else _IRISES),
        cloth=rng.uniform(0.03, 0.6, 3),
        hair_length=0.0 if bald else float(rng.uniform(0.1, 1.0)),
        hair_thickness=0.0 if bald else float(rng.uniform(0.4, 1.6)),
        hairline=float(rng.uniform(5.9, 7.6)),
        temple=float(rng.uniform(0.0, 1.0)),
        brow_thickness=float(rng.uniform(0.22, 0.5)),
        brow_density=float(rng.uniform(0.55, 0.95)),
        brow_arch=float(rng.uniform(0.1, 0.6)),
        stubble=float(rng.uniform(0.2, 0.6)) if bearded else 0.0,
        freckles=float(rng.random() ** 3),
        age=float(rng.random()),
    )

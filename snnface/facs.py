"""The names of the labels: facial action units (FACS, Ekman & Friesen) and expressions.

The 24 action units are those of FACEMORPHIC; 51-56 are head movements, named from the subject's side.
"""

from __future__ import annotations

from collections.abc import Sequence

AU_NAMES: dict[int, str] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    14: "dimpler",
    15: "lip corner depressor",
    17: "chin raiser",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
    27: "mouth stretch",
    43: "eyes closed",
    45: "blink",
    51: "head turn left",
    52: "head turn right",
    53: "head up",
    54: "head down",
    55: "head tilt left",
    56: "head tilt right",
}
AUS: tuple[int, ...] = tuple(AU_NAMES)
AU_INDEX: dict[int, int] = {au: i for i, au in enumerate(AUS)}

#: What an action becomes in a picture flipped left to right.
AU_MIRROR: dict[int, int] = {51: 52, 52: 51, 55: 56, 56: 55}

EXPRESSIONS: tuple[str, ...] = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")

#: Index of the landmark that the i-th of the 68 iBUG landmarks becomes in a picture flipped left to right.
LANDMARK_MIRROR_68: tuple[int, ...] = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    27, 28, 29, 30,
    35, 34, 33, 32, 31,
    45, 44, 43, 42, 47, 46,
    39, 38, 37, 36, 41, 40,
    54, 53, 52, 51, 50, 49, 48,
    59, 58, 57, 56, 55,
    64, 63, 62, 61, 60,
    67, 66, 65,
)  # fmt: skip

#: The same for the 98 landmarks of WFLW.
LANDMARK_MIRROR_98: tuple[int, ...] = (
    *range(32, -1, -1),
    46, 45, 44, 43, 42, 50, 49, 48, 47,
    37, 36, 35, 34, 33, 41, 40, 39, 38,
    51, 52, 53, 54,
    59, 58, 57, 56, 55,
    72, 71, 70, 69, 68, 75, 74, 73,
    64, 63, 62, 61, 60, 67, 66, 65,
    82, 81, 80, 79, 78, 77, 76,
    87, 86, 85, 84, 83,
    92, 91, 90, 89, 88,
    95, 94, 93,
    97, 96,
)  # fmt: skip

#: The five points of face detectors among the 98 of WFLW: pupils, tip of the nose, corners of the mouth, the
#: subject's right first.
LANDMARKS_5_OF_98: tuple[int, ...] = (96, 97, 54, 76, 82)


def coefficient_mirror(names: Sequence[str]) -> tuple[list[int], list[int]]:
    """What face coefficients become in a picture flipped left to right: for each, the index to take and its sign.

    ``names``: ``…_left`` and ``…_right`` change places; ``head_yaw`` and ``head_roll`` change sign.
    """
    index = [names.index(n.replace("right", "#").replace("left", "right").replace("#", "left")) for n in names]
    return index, [-1 if n in ("head_yaw", "head_roll") else 1 for n in names]

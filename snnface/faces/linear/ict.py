"""ICT-FaceKit's light model (USC-ICT, MIT licence; Li et al. 2020, arXiv 2004.03458): the release's own folder of OBJ
files, or one npz of the same arrays.

Vertex ranges, landmarks, contour substitutes and the FACS map are those that its README documents.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from snnface.errors import InputError
from snnface.faces.linear.arrays import read_npz, take
from snnface.faces.linear.bases import Bases
from snnface.progress import track

#: Vertices and identity modes that are used: the layers of lashes and tear fluid follow after them.
VERTICES, MODES = 24591, 60
_NEUTRAL = "generic_neutral_mesh"
_GET = "Give ICT-FaceKit's folder FaceXModel, or an npz of it"

_SIDES = ("right", "left")
_PAIRED = {
    1: "browInnerUp", 2: "browOuterUp", 4: "browDown", 5: "eyeWide", 6: "cheekSquint", 7: "eyeSquint",
    9: "noseSneer", 12: "mouthSmile", 14: "mouthDimple", 15: "mouthFrown", 20: "mouthStretch",
}  # fmt: skip
#: Added where the map's shapes alone can hardly be told from rest or from another unit: brows that come down, lids
#: that narrow, deeper dimples, lips that thin, an upper lip that a raised chin or its own muscle takes along.
_ADDED = {
    4: {"browDown": 1.5},
    6: {"eyeSquint": 0.35},
    7: {"eyeBlink": 0.3},
    9: {"browDown": 0.4},
    14: {"mouthDimple": 1.4, "mouthStretch": 0.4},
    15: {"mouthFrown": 1.4},
}
_THIN = {"mouthRollLower": 0.3, "mouthRollUpper": 0.3}
#: 23, 25 and 26 are not in the README's map: made of its lip and jaw shapes.
_SINGLE: dict[str, dict[str, float]] = {
    "10": {"mouthShrugUpper": 1.0, "mouthUpperUp_L": 0.35, "mouthUpperUp_R": 0.35},
    "16": {"mouthLowerDown_L": 1.0, "mouthLowerDown_R": 1.0},
    "17": {"mouthShrugLower": 1.0, "mouthShrugUpper": 0.6},
    "23": {"mouthPucker": 1.0, "mouthRollLower": 0.45, "mouthRollUpper": 0.45},
    "24": {"mouthPress_L": 1.0, "mouthPress_R": 1.0, **_THIN},
    "25": {"mouthLowerDown_L": 0.55, "mouthLowerDown_R": 0.55, "mouthUpperUp_L": 0.3, "mouthUpperUp_R": 0.3},
    "26": {"jawOpen": 0.35},
    "27": {"jawOpen": 1.0},
    "look_up": {"eyeLookUp_L": 1.0, "eyeLookUp_R": 1.0},
    "look_down": {"eyeLookDown_L": 1.0, "eyeLookDown_R": 1.0},
    "look_left": {"eyeLookOut_L": 1.0, "eyeLookIn_R": 1.0},
    "look_right": {"eyeLookIn_L": 1.0, "eyeLookOut_R": 1.0},
    "blink": {"eyeBlink_L": 1.0, "eyeBlink_R": 1.0},
}


def ict_actions() -> dict[str, dict[str, float]]:
    """The FACS map, by action and side."""
    out = {f"{au}_{side}": {f"{name}_{side[0].upper()}": 1.0} for au, name in _PAIRED.items() for side in _SIDES}
    for au, mix in _ADDED.items():
        for side in _SIDES:
            out[f"{au}_{side}"] |= {f"{name}_{side[0].upper()}": weight for name, weight in mix.items()}
    return out | _SINGLE


_LANDMARKS = """1225 1888 1052 367 1719 1722 2199 1447 966 3661 4390 3927 3924 2608 3272 4088 3443 268 493 1914 2044
1401 3615 4240 4114 2734 2509 978 4527 4942 4857 1140 2075 1147 4269 3360 1507 1542 1537 1528 1518 1511 3742 3751 3756
3721 3725 3732 5708 5695 2081 0 4275 6200 6213 6346 6461 5518 5957 5841 5702 5711 5533 6216 6207 6470 5517 5966"""
_SUBSTITUTES = "1278 1272 12 1834 243 781 2199 1447 966 3661 4390 3022 2484 4036 2253 3490 3496"


def _range(*bounds: tuple[int, int]) -> np.ndarray:
    return np.concatenate([np.arange(first, last + 1) for first, last in bounds])


#: Vertices that are not skin. Teeth are shown up to the first bicuspids; molars, gums and tongue lie in the dark.
PARTS: dict[str, np.ndarray] = {
    "eye_left": _range((21451, 23020)),
    "eye_right": _range((23021, 24590)),
    "teeth": _range((17730, 18555), (19952, 20745)),
    "cavity": _range((11248, 13293)),
    "socket": _range((13294, 14061)),
    "hidden": _range((14062, 17729), (18556, 19951), (20746, 21450)),
}


def load_ict(path: Path) -> Bases:
    """The model in ``path``: a folder with ``generic_neutral_mesh.obj`` and the shapes beside it, or an npz.

    Raises
    ------
    InputError: a file or field is missing, or is not what it should be.
    """
    if not path.exists():
        raise InputError(path, "is not there", _GET)
    arrays = _read_folder(path) if path.is_dir() else _read_file(path)
    names, digest, neutral, triangles, identity, shapes = arrays
    actions = ict_actions()
    needed = {shape for mix in actions.values() for shape in mix}
    if missing := needed - set(names):
        raise InputError(path, f"has no shape {', '.join(sorted(missing)[:3])}", _GET)
    if len(neutral) < VERTICES or len(identity) < MODES:
        raise InputError(path, f"{len(neutral)} vertices, {len(identity)} identity modes", _GET)
    return Bases(
        name="ict",
        where=str(path),
        sha256=digest,
        neutral=neutral,
        triangles=triangles,
        identity=identity[:MODES],
        shapes=shapes,
        shape_names=names,
        landmarks=np.array(_LANDMARKS.split(), np.int64),
        substitutes=np.array(_SUBSTITUTES.split(), np.int64),
        actions=actions,
        parts=PARTS,
    )


_Arrays = tuple[tuple[str, ...], str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _read_file(path: Path) -> _Arrays:
    fields: Mapping[str, np.ndarray] = read_npz(path)
    names = tuple(str(n) for n in take(path, fields, "expression_names", (-1,)))
    neutral = take(path, fields, "neutral", (-1, 3)).astype(float)
    deltas = (take(path, fields, f"{n}_deltas", (-1, len(neutral), 3)) for n in ("identity", "expression"))
    identity, shapes = (d.astype(np.float32) for d in deltas)
    triangles = take(path, fields, "triangles", (-1, 3)).astype(np.int64)
    return names, hashlib.sha256(path.read_bytes()).hexdigest(), neutral, triangles, identity, shapes


def _read_folder(path: Path) -> _Arrays:
    described = path / "vertex_indices.json"
    try:
        names = tuple(map(str, json.loads(described.read_text(encoding="utf-8"))["expressions"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(described, "is missing, or does not list the expressions", _GET) from None
    digest = hashlib.sha256()
    neutral, triangles = _read_obj(path / f"{_NEUTRAL}.obj", digest, faces=True)
    others = [*names, *(f"identity{k:03d}" for k in range(MODES))]
    deltas = np.empty((len(others), VERTICES, 3), np.float32)
    for k, name in enumerate(track(others, f"face {path.name}")):
        deltas[k] = _read_obj(path / f"{name}.obj", digest)[0] - neutral
    return names, digest.hexdigest(), neutral, triangles, deltas[len(names) :], deltas[: len(names)]


def _read_obj(path: Path, digest: hashlib._Hash, faces: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Vertices ``[VERTICES, 3]`` and, if asked for, the triangles between them, each quad as two."""
    try:
        data = path.read_bytes()
    except OSError as e:
        raise InputError(path, f"cannot be read: {e.strerror}", _GET) from None
    digest.update(data)
    lines = data.split(b"\n")
    rows = [line[2:] for line in lines if line.startswith(b"v ")]
    try:
        vertices = np.array(b" ".join(rows[:VERTICES]).split(), float).reshape(-1, 3)
        faced = [line for line in lines if line.startswith(b"f ")] if faces else []
        corners = [[int(c.split(b"/")[0]) - 1 for c in line[2:].split()] for line in faced]
    except ValueError:
        raise InputError(path, "is not a mesh in OBJ format", _GET) from None
    if len(vertices) != VERTICES:
        raise InputError(path, f"{len(vertices)} vertices, not {VERTICES}", _GET)
    fans = [(c[0], c[k], c[k + 1]) for c in corners for k in range(1, len(c) - 1)]
    triangles = np.array([t for t in fans if max(t) < VERTICES], np.int64).reshape(-1, 3)
    return vertices, triangles

"""A small linear face for tests, made of the procedural one, as files in several layouts."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import scipy.io

from snnface.faces.actions import CHANNEL_INDEX, action_fields
from snnface.faces.identity import draw_identity
from snnface.faces.landmarks import landmark_vertices
from snnface.faces.mesh import template
from snnface.faces.shape import rest_geometry

#: A description of what its components do.
ACTIONS = """
[actions]
12 = { e0 = 1.0 }
25 = { e1 = 1.0 }
blink = { e2 = 1.0 }
"""


@cache
def arrays() -> dict[str, np.ndarray]:
    """template [V, 3] (metres), triangles [T, 3] from 0, identity [2, V, 3], expression [3, V, 3], landmarks68."""
    t, fields, who = template(), action_fields(), draw_identity(1)
    rest = rest_geometry(t, who)
    skin = np.flatnonzero(t.skin)
    number = np.full(len(t.s), -1)
    number[skin] = np.arange(len(skin))
    kept = (number[t.triangles] >= 0).all(1)
    other = [rest_geometry(t, type(who)(**{**who.__dict__, "shape": who.shape | {mode: 2.0}})).positions
             for mode in ("head_width", "face_length")]  # fmt: skip
    open_ = (fields.lid_upper * rest.eye_opening[0] + fields.lid_lower * rest.eye_opening[1])[:, None] * (0, 1, 0)
    smile = fields.basis[[CHANNEL_INDEX[12, side] for side in (-1, 1)]].sum(0)
    shapes = np.stack([smile, fields.basis[CHANNEL_INDEX[25, 0]], -open_])
    return {
        "template": (rest.positions + open_)[skin] / 100,
        "triangles": number[t.triangles[kept]],
        "identity": np.stack([(o - rest.positions)[skin] for o in other]) / 100,
        "expression": shapes[:, skin] / 100,
        "landmarks68": number[landmark_vertices()],
    }


def write_npz(path: Path, **changes: np.ndarray | None) -> Path:
    """The model with its own field names; ``changes`` replace fields, None leaves one out."""
    np.savez(path, **{name: value for name, value in (arrays() | changes).items() if value is not None})
    return path


def write_basel(path: Path) -> Path:
    """The model as the Basel face model is laid out: columns, numbers from 1."""
    a = arrays()
    columns = {k: a[k].reshape(len(a[k]), -1).T for k in ("identity", "expression")}
    fields = {
        "shapeMU": a["template"].reshape(-1, 1),
        "shapePC": columns["identity"],
        "shapeEV": np.ones((2, 1)),
        "expPC": columns["expression"],
        "tl": a["triangles"] + 1,
        "kpt_ind": a["landmarks68"][None] + 1,
    }
    scipy.io.savemat(path, fields)
    return path


def write_flame(path: Path) -> Path:
    """The model as FLAME is laid out: one field holds identity, then expression."""
    a = arrays()
    both = np.moveaxis(np.concatenate([a["identity"], a["expression"]]), 0, 2)
    np.savez(path, v_template=a["template"], f=a["triangles"].astype(np.uint32), shapedirs=both)
    marks = ", ".join(map(str, a["landmarks68"]))
    path.with_suffix(".toml").write_text(f"identity_modes = 2\nlandmarks = [{marks}]\n{ACTIONS}")
    return path


def write_facemorphic(folder: Path) -> Path:
    """The model as FACEMORPHIC's authors keep theirs, with vertices enough for the landmarks that are replaced."""
    folder.mkdir()
    spare = 4000 - len(arrays()["template"])
    a = arrays() | {k: np.pad(arrays()[k], [(0, 0)] * (arrays()[k].ndim - 2) + [(0, spare), (0, 0)])
                    for k in ("template", "identity", "expression")}  # fmt: skip
    marks = a["landmarks68"] + 1
    columns = {k: a[k].reshape(len(a[k]), -1).T for k in ("identity", "expression")}
    files = {
        "template_D3DFACS.mat": {"template_n": a["template"], "f": a["triangles"] + 1},
        "PCA_D3DFACS_ID_22.mat": {"Components": columns["identity"], "Weights": np.full((2, 1), 4.0)},
        "DL_D3DFACS_expr_0.05_32.mat": {"Components_e": columns["expression"], "Weights_e": np.ones((3, 1))},
        "coma_landmarks.mat": {"landmarks_idx": marks[:, None]},
    }
    for name, fields in files.items():
        scipy.io.savemat(folder / name, fields)
    return folder

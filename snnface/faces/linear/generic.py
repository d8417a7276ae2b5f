"""Any linear 3DMM: an npz or mat file in one of the layouts that are around, or FACEMORPHIC's folder.

What files do not say (landmarks, eyeballs, which components make an action) comes from a description beside them,
``NAME.toml`` or ``NAME.json`` (:mod:`snnface.faces.linear.description`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from snnface.errors import InputError
from snnface.faces.linear.arrays import read_arrays, take
from snnface.faces.linear.bases import Bases
from snnface.faces.linear.description import Description, read_description


@dataclass(frozen=True)
class Layout:
    """Names of the fields of one layout; spreads are standard deviations, or variances where ``squared``."""

    template: str
    triangles: str
    identity: str
    expression: str
    identity_spread: str = ""
    expression_spread: str = ""
    landmarks: str = ""
    names: str = ""
    squared: bool = False


#: Told apart by the field of the template. Own names first; FLAME (Li et al. 2017); the Basel face model as its
#: 2009 release and the face3d project lay it out.
LAYOUTS = (
    Layout("template", "triangles", "identity", "expression", "identity_std", "expression_std", "landmarks68",
           "expression_names"),
    Layout("v_template", "f", "shapedirs", "shapedirs"),
    Layout("shapeMU", "tl", "shapePC", "expPC", "shapeEV", "expEV", "kpt_ind"),
    Layout("shapeMU", "tri", "shapePC", "expPC", "shapeEV", "expEV", "kpt_ind"),
)  # fmt: skip
#: FACEMORPHIC's authors keep a model in FLAME's topology in four files; ``Weights`` are variances of the amplitudes.
FACEMORPHIC = (
    ("template_D3DFACS.mat", ("template_n", "f")),
    ("PCA_D3DFACS_ID_22.mat", ("Components", "Weights")),
    ("DL_D3DFACS_expr_0.05_32.mat", ("Components_e", "Weights_e")),
    ("coma_landmarks.mat", ("landmarks_idx",)),
)
_FOLDER = Layout(
    "template_n", "f", "Components", "Components_e", "Weights", "Weights_e", "landmarks_idx", squared=True
)
#: Two landmarks that FACEMORPHIC's tools replace (numbers from 1).
_REPLACED = {17: 3709, 26: 695}
#: Vertices of FLAME's topology and the first of each eyeball, the last 2 × 546 vertices; identity comes before
#: expression in its ``shapedirs``.
_FLAME, _FLAME_EYES, _FLAME_IDENTITY = 5023, (3931, 4477), 300


@dataclass
class _Source:
    """Where fields come from: the file (or folder) as errors name it, arrays, the files' bytes, what MATLAB wrote."""

    path: Path
    layout: Layout
    fields: dict[str, np.ndarray]
    digest: str
    from_one: bool
    replaced: dict[int, int] = field(default_factory=dict)


def load_linear(path: Path) -> Bases:
    """The model in ``path``, an npz or mat file or FACEMORPHIC's folder ``3D_data``.

    Raises
    ------
    InputError: a file or field is missing or does not fit; the message names both.
    """
    source = _read_folder(path) if path.is_dir() else _read_file(path)
    described = read_description(path)
    layout, fields = source.layout, source.fields
    template = _points(source, layout.template)
    if "expMU" in fields:
        template = template + _points(source, "expMU")
    v = len(template)
    triangles, first = _triangles(source, v)
    identity = _components(source, layout.identity, v)
    shapes = _components(source, layout.expression, v)
    if layout.identity == layout.expression:
        split = described.identity_modes or (_FLAME_IDENTITY if len(identity) > _FLAME_IDENTITY else 0)
        if not 0 < split < len(identity):
            fix = f"Say identity_modes = N in {described.path}"
            raise InputError(path, f"its {len(identity)} {layout.identity} are not told apart", fix)
        identity, shapes = identity[:split], shapes[split:]
    identity = identity * _spread(source, layout.identity_spread, len(identity))[:, None, None]
    shapes = shapes * _spread(source, layout.expression_spread, len(shapes))[:, None, None]
    names = tuple(str(n).strip() for n in fields[layout.names]) if layout.names in fields else ()
    return Bases(
        name="linear",
        where=str(path),
        sha256=hashlib.sha256((source.digest + described.sha256).encode()).hexdigest(),
        neutral=template,
        triangles=_outwards(template, triangles),
        identity=identity.astype(np.float32),
        shapes=shapes.astype(np.float32),
        shape_names=names or tuple(f"e{k}" for k in range(len(shapes))),
        landmarks=_landmarks(source, described, first),
        substitutes=np.array(described.substitutes, np.int64),
        actions=described.actions,
        parts=_eyes(described, template),
    )


def _read_file(path: Path) -> _Source:
    fields = _flat(read_arrays(path))
    for layout in LAYOUTS:
        if layout.template in fields and layout.triangles in fields:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            return _Source(path, layout, fields, digest, from_one=path.suffix.lower() == ".mat")
    wanted = "; ".join(f"{x.template}, {x.triangles}, {x.identity}, {x.expression}" for x in LAYOUTS[:3])
    found = ", ".join(sorted(fields)) or "none"
    raise InputError(path, f"has no known fields of a face (it has {found})", f"Give one set of these: {wanted}")


def _read_folder(path: Path) -> _Source:
    fields: dict[str, np.ndarray] = {}
    digest = hashlib.sha256()
    for name, wanted in FACEMORPHIC:
        held = read_arrays(path / name)
        digest.update((path / name).read_bytes())
        for one in wanted:
            if one not in held:
                raise InputError(path / name, f"has no field {one}", f"It has {', '.join(sorted(held))}")
            fields[one] = held[one]
    return _Source(path, _FOLDER, fields, digest.hexdigest(), from_one=True, replaced=_REPLACED)


def _flat(fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fields with those of a MATLAB struct beside them."""
    out = dict(fields)
    for value in fields.values():
        if value.dtype.names and value.size == 1:
            out |= {name: np.asarray(value[name].item()) for name in value.dtype.names}
    return out


def _number(source: _Source, name: str) -> np.ndarray:
    if name not in source.fields:
        take(source.path, source.fields, name, ())
    value = source.fields[name]
    if not np.issubdtype(value.dtype, np.number) or np.iscomplexobj(value):
        raise InputError(source.path, f"its field {name} holds no numbers", "Save it as a plain array")
    return value


def _points(source: _Source, name: str) -> np.ndarray:
    """float64 ``[V, 3]`` from that or from ``[3 V]``, vertex by vertex."""
    value = _number(source, name)
    if value.size % 3 or not value.size:
        raise InputError(source.path, f"its field {name} is {list(value.shape)}", "Give [vertices, 3]")
    return value.reshape(-1, 3).astype(float)


def _components(source: _Source, name: str, v: int) -> np.ndarray:
    """``[K, V, 3]`` from that, ``[V, 3, K]`` or ``[3 V, K]``."""
    value = _number(source, name)
    if value.ndim == 3 and value.shape[1:] == (v, 3):
        return value
    if value.ndim == 3 and value.shape[:2] == (v, 3):
        return np.moveaxis(value, 2, 0)
    if value.ndim == 2 and len(value) == 3 * v:
        return value.T.reshape(-1, v, 3)
    fix = f"The template has {v} vertices: give [K, {v}, 3]"
    raise InputError(source.path, f"its field {name} is {list(value.shape)}", fix)


def _triangles(source: _Source, v: int) -> tuple[np.ndarray, int]:
    """int64 ``[T, 3]`` from 0, and the number of the first vertex in the file."""
    name = source.layout.triangles
    value = _number(source, name)
    if value.ndim == 2 and value.shape[0] == 3 != value.shape[1]:
        value = value.T
    if value.ndim != 2 or value.shape[1] != 3 or not len(value):
        raise InputError(source.path, f"its field {name} is {list(value.shape)}", "Give [triangles, 3]")
    first = 1 if source.from_one or value.max() == v else 0
    return value.astype(np.int64) - first, first


def _spread(source: _Source, name: str, count: int) -> np.ndarray:
    """Standard deviations ``[count]``; 1 where the file has none."""
    if not name or name not in source.fields:
        return np.ones(count)
    value = _number(source, name).ravel().astype(float)
    if len(value) < count or (value < 0).any():
        raise InputError(source.path, f"its field {name} is no list of {count} spreads", "Get the file again")
    return np.sqrt(value[:count]) if source.layout.squared else value[:count]


def _landmarks(source: _Source, described: Description, first: int) -> np.ndarray:
    """int64 ``[68]`` from 0, of the description or the file, or empty."""
    if described.landmarks:
        return np.array(described.landmarks, np.int64)
    name = source.layout.landmarks
    if not name or name not in source.fields:
        return np.empty(0, np.int64)
    marks = _number(source, name).ravel().astype(np.int64)
    for k, vertex in source.replaced.items():
        marks[k : k + 1] = vertex
    return marks - first


def _eyes(described: Description, template: np.ndarray) -> dict[str, np.ndarray]:
    """The vertices of the eyeballs, if there are any."""
    if described.eyes:
        (a, b), (c, d) = described.eyes
        return {"eye_right": np.arange(a, b + 1), "eye_left": np.arange(c, d + 1)}
    if len(template) != _FLAME:
        return {}
    one, other = (np.arange(first, first + 546) for first in _FLAME_EYES)
    right, left = sorted((one, other), key=lambda ball: float(template[ball, 0].mean()))
    return {"eye_right": right, "eye_left": left}


def _outwards(p: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Triangles turned so that most look away from the middle of the head."""
    if triangles.min() < 0 or triangles.max() >= len(p):
        return triangles
    a, b, c = (p[triangles[:, k]] for k in range(3))
    volume = (np.cross(b - a, c - a) * ((a + b + c) / 3 - p.mean(0))).sum()
    return triangles[:, ::-1] if volume < 0 else triangles

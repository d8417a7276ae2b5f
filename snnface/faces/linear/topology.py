"""What all people of one linear face share: vertices in the head's frame, parts, texture coordinates, landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnface.errors import InputError
from snnface.faces import render
from snnface.faces.atlas import in_disc, patch_place, skin_place
from snnface.faces.curves import smoothstep
from snnface.faces.landmarks import facing_points
from snnface.faces.linear.bases import Bases
from snnface.faces.linear.contour import contour_rows
from snnface.faces.linear.unroll import frame_of, off_the_lashes, off_the_seam, on_template
from snnface.faces.marks98 import BROW_LOW
from snnface.faces.mesh import MOUTH_Y
from snnface.faces.person import Mesh

#: Kinds of surface; each has its own place in the atlas.
SKIN, PLAIN, CLOTH, TEETH, DARK, EYE = range(6)
#: Points a side of an eyeball's front.
EYE_GRID = 11
#: Surfaces that look further back than this in the neutral face are never seen: heads turn by less than 55 degrees.
_BACKWARD = -0.82
#: Height (cm) of the neckline.
_NECKLINE = -16.3


@dataclass(frozen=True)
class Topology:
    """Vertices [V] that are drawn; the last are the eyeballs' fronts, if the model has eyes.

    frame: from the file's coordinates to the head's. source int64 ``[V - eyes]``: the vertices' numbers in the file.
    s, y ``[V]`` on the template; kind ``[V]``; lower ``[V]`` 1 where the skin goes with the lower lip; follow ``[V]``
    1 on the head, 0 on the body; ear, folded ``[V]`` bool (folded: inside of the lids). uv ``[V, 2]`` texels.
    """

    frame: tuple[float, np.ndarray, np.ndarray]
    source: np.ndarray
    s: np.ndarray
    y: np.ndarray
    kind: np.ndarray
    lower: np.ndarray
    follow: np.ndarray
    ear: np.ndarray
    folded: np.ndarray
    uv: np.ndarray
    mesh: Mesh


def build_topology(bases: Bases) -> Topology:
    """Sort, cut and unroll the model's mesh."""
    frame = frame_of(bases)
    scale, turn, shift = frame
    p = scale * bases.neutral @ turn.T + shift
    part = np.full(len(p), "skin", object)
    for name, numbers in bases.parts.items():
        part[numbers] = name
    s, y = _template_places(bases, p, part)
    lower = _lower_share(bases, p, turn)
    ear = (part == "skin") & (np.abs(p[:, 0]) > 6.6) & (np.abs(p[:, 1] + 1.95) < 3.6) & (np.abs(p[:, 2] + 0.4) < 2.0)
    neck = _neckness(p)
    # Without landmarks nobody knows where the features are.
    kind = np.full(len(p), SKIN if len(bases.landmarks) else PLAIN)
    kind[(neck > 0.3) & (y < -10.5) | ear] = PLAIN
    kind[p[:, 1] < _neckline(p)] = CLOTH
    kind[part == "teeth"], kind[part == "cavity"] = TEETH, DARK

    triangles, surfaces = _drawn(bases.triangles, p, part, kind)
    source, kinds, cut = _cut(triangles, surfaces)
    # Copies of a vertex follow one another.
    first = np.searchsorted(source, source)
    copies = np.flatnonzero(first != np.arange(len(source)))
    eyes, eye_triangles = _eye_fronts(len(source)) if "eye_right" in bases.parts else (_NO_EYES, cut[:0])
    count = len(source) + len(eyes)
    number = np.full(len(p), -1)
    number[source[::-1]] = np.arange(len(source))[::-1]
    if (number[bases.landmarks] < 0).any():
        lost = int(np.flatnonzero(number[bases.landmarks] < 0)[0])
        raise InputError(
            bases.where, f"its landmark {lost} lies on no surface that can be seen", "Check the landmarks"
        )
    full = {name: np.concatenate([v[source], np.zeros(len(eyes), v.dtype)]) for name, v in
            {"s": s, "y": y, "lower": lower, "ear": ear, "folded": part == "socket"}.items()}  # fmt: skip
    kinds = np.concatenate([kinds, np.full(len(eyes), EYE)])
    uv = _texture_places(full["s"], full["y"], full["lower"], kinds)
    uv[len(source) :] = patch_place("eye", *in_disc(*eyes.T[:2]))
    skin = np.flatnonzero(((kinds == SKIN) | (not len(bases.landmarks))) & ~full["folded"])
    smooth = np.concatenate([first[cut], eye_triangles]).astype(np.int32)
    mesh = Mesh(
        triangles=np.concatenate([cut, eye_triangles]),
        smooth=smooth,
        eyes=np.arange(len(source), count),
        eye_of=eyes[:, 2].astype(np.int64),
        lids=number[bases.landmarks[[37, 44]]] if len(bases.landmarks) else np.zeros(2, np.int64),
        copies=copies,
        originals=first[copies],
        **_landmarks(bases, p, number, source, skin, full["s"], full["y"]),
    )
    body = smoothstep(np.concatenate([neck[source], np.zeros(len(eyes))]), 0.3, 6.0)
    return Topology(frame, source, kind=kinds, follow=1 - body, uv=uv, mesh=mesh, **full)


_NO_EYES = np.empty((0, 3))


def _landmarks(
    bases: Bases,
    p: np.ndarray,
    number: np.ndarray,
    source: np.ndarray,
    skin: np.ndarray,
    s: np.ndarray,
    y: np.ndarray,
) -> dict[str, np.ndarray]:
    """The fields of :class:`Mesh` that say where landmarks are and what stands for the face."""
    face = skin[(np.abs(s[skin]) < 11) & (y[skin] > -11.8) & (y[skin] < 7.0)]
    if not len(bases.landmarks):
        none = np.empty(0, np.int64)
        return {"landmarks": none, "facing": none, "outline": face, "watched": face[::9]}
    marks = number[bases.landmarks]
    places = np.array(facing_points())
    facing = [skin[((s[skin] - a) ** 2 + (y[skin] - b) ** 2).argmin()] for a, b in places]
    brows = [skin[((s[skin] - k * a) ** 2 + (y[skin] - b) ** 2).argmin()] for k in (-1, 1) for a, b in BROW_LOW]
    kept = source[skin]
    rows = contour_rows(p, kept, bases.landmarks[:17], bases.substitutes)
    watched = np.unique(np.concatenate([face[::17], marks]))
    return {
        "landmarks": marks,
        "facing": np.array(facing),
        "outline": face,
        "watched": watched,
        "contour": number[rows],
        "brow_low": np.array(brows),
    }


def _template_places(bases: Bases, p: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Template coordinates ``[V]`` of all vertices; 0 off the skin."""
    s, y = np.zeros(len(p)), np.zeros(len(p))
    skin = np.flatnonzero((part == "skin") | (part == "socket"))
    s[skin], y[skin] = on_template(p[skin], p[bases.landmarks] if len(bases.landmarks) else None).T
    # The template's hair hangs down behind the ears; here the neck stays bare.
    behind = np.maximum(np.abs(s) - 10.0, 0) * smoothstep(-p[:, 1], 2.0, 5.5)
    return s - np.sign(s) * 0.75 * behind, y


def _lower_share(bases: Bases, p: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """1 where the skin goes down with the lower lip as the mouth opens, 0 where it stays."""
    mix = bases.actions.get("27") or bases.actions.get("26")
    if not mix or not len(bases.landmarks):
        return (p[:, 1] < MOUTH_Y).astype(float)
    down = sum(w * bases.shapes[bases.shape_names.index(name)] for name, w in mix.items()) @ turn[1]
    return np.clip(down / down[bases.landmarks[66]], 0, 1)


def _neckness(p: np.ndarray) -> np.ndarray:
    """How far (cm) a point is down the neck: along a line that leaves the head below its back."""
    return -0.8 * (p[:, 1] + 9.0) - 0.6 * (p[:, 2] - 1.0)


def _neckline(p: np.ndarray) -> np.ndarray:
    """Height (cm) of the edge of the shirt."""
    return np.asarray(_NECKLINE - 1.1 * np.exp(-((p[:, 0] / 4.5) ** 2)) * (p[:, 2] > 0))


def collar(t: Topology, p: np.ndarray) -> np.ndarray:
    """``[V]`` cm by which vertices where cloth meets skin must rise to lie on a smooth edge of the shirt."""
    mesh, edge = t.mesh, np.zeros(len(p), bool)
    twins = (t.kind[mesh.copies] == CLOTH) | (t.kind[mesh.originals] == CLOTH)
    edge[mesh.copies[twins]] = edge[mesh.originals[twins]] = True
    return np.where(edge, np.clip(_neckline(p) - p[:, 1], -0.8, 0.8), 0.0)


def _drawn(triangles: np.ndarray, p: np.ndarray, part: np.ndarray, kind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The triangles that can be seen, and the kind of surface of each."""
    parts = part[triangles]
    gone = np.isin(parts, ("hidden", "eye_right", "eye_left")).any(1)
    # Of the eyes' sockets only the rim, which is the lids' thickness.
    gone |= (parts == "socket").all(1)
    normals = np.empty((len(p), 3), np.float32)
    render.find_normals(p.astype(np.float32), triangles[~gone], normals)
    gone |= (normals[triangles, 2] < _BACKWARD).all(1) & (parts == "skin").all(1)
    kept = triangles[~gone]
    kinds = kind[kept]
    low, high = kinds.min(1), kinds.max(1)
    # Where skin meets another kind, the triangle is of the other; where cloth meets, it is plain.
    surface = np.where((high == CLOTH) & (low < CLOTH), PLAIN, high)
    return kept, surface


def _cut(triangles: np.ndarray, surfaces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices doubled where kinds of surface meet: their old numbers, their kinds, and triangles by the new ones."""
    corners = np.stack([triangles.ravel(), np.repeat(surfaces, 3)], 1)
    pairs, place = np.unique(corners, axis=0, return_inverse=True)
    return pairs[:, 0], pairs[:, 1], place.reshape(-1, 3).astype(np.int32)


def _texture_places(s: np.ndarray, y: np.ndarray, lower: np.ndarray, kind: np.ndarray) -> np.ndarray:
    uv = skin_place(s, off_the_lashes(s, off_the_seam(s, y, lower)))
    x, h = np.clip(s / 20, -1, 1), np.clip((y + 7) / 15, -1, 1)
    uv[kind == PLAIN] = patch_place("neck", x, h)[kind == PLAIN]
    uv[kind == CLOTH] = patch_place("cloth", x, h)[kind == CLOTH]
    # The middle of a painted tooth; gaps are geometry here.
    uv[kind == TEETH] = patch_place("teeth", np.full(1, 1 / 9), np.zeros(1))
    uv[kind == DARK] = patch_place("dark", np.zeros(1), np.zeros(1))
    return uv


def _eye_fronts(first: int) -> tuple[np.ndarray, np.ndarray]:
    """Two square grids: ``[2 n², 3]`` column, row (-1..1, upwards) and eye; triangles numbered from ``first``."""
    n = EYE_GRID
    v, u = np.meshgrid(np.linspace(1, -1, n), np.linspace(-1, 1, n), indexing="ij")
    eyes = np.concatenate([np.stack([u.ravel(), v.ravel(), np.full(n * n, e)], 1) for e in (0, 1)])
    a = np.arange(n * n).reshape(n, n)[:-1, :-1].ravel()
    one = np.stack([a, a + n, a + 1, a + 1, a + n, a + n + 1], 1).reshape(-1, 3)
    return eyes, (first + np.concatenate([one, one + n * n])).astype(np.int32)

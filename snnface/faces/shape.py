"""The resting geometry of one identity: profile curves of the skull with the features on it, and the hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnface.faces.curves import gauss, pchip, smoothstep
from snnface.faces.features import forward, settle
from snnface.faces.identity import Identity
from snnface.faces.mesh import ARC, EYE, EYE_S, MOUTH_Y, Template
from snnface.faces.parts import add_parts

EYE_RADIUS = 1.5

# From the top to under the chin: template y, height and depth of the midline profile, height and half width of the
# side profile, depth of the back (cm), and how square the outline is at that height (2: an ellipse).
PROFILE = np.array(
    [
        (12.6, 11.6, -1.0, 11.6, 0.0, -1.0, 2.00),
        (12.3, 11.5, 0.3, 11.4, 1.6, -2.6, 2.00),
        (11.6, 11.1, 2.2, 10.7, 3.3, -4.8, 2.05),
        (9.3, 9.1, 5.9, 8.6, 5.8, -8.1, 2.15),
        (6.5, 6.5, 8.1, 6.2, 7.0, -9.6, 2.30),
        (4.0, 4.0, 9.0, 3.9, 7.35, -10.0, 2.40),
        (2.2, 2.2, 9.4, 2.1, 7.4, -9.9, 2.40),
        (0.0, 0.0, 9.15, 0.0, 7.3, -9.3, 2.35),
        (-3.0, -3.0, 9.05, -2.6, 7.15, -7.7, 2.30),
        (-5.6, -5.6, 9.4, -4.5, 6.75, -6.0, 2.20),
        (-7.0, -7.0, 9.5, -5.5, 6.4, -5.4, 2.10),
        (-8.5, -8.5, 9.05, -6.5, 6.10, -5.0, 2.00),
        (-10.0, -10.0, 9.25, -7.4, 5.7, -4.8, 1.95),
        (-11.2, -11.2, 8.75, -8.0, 5.25, -4.6, 1.90),
        (-12.0, -11.7, 7.6, -8.3, 4.7, -4.5, 1.90),
        (-13.0, -11.6, 5.5, -8.3, 4.4, -4.5, 1.90),
        (-14.0, -11.2, 3.2, -8.2, 4.2, -4.5, 1.90),
    ]
)[::-1]


@dataclass(frozen=True)
class Rest:
    """Positions ``[V, 3]`` (cm; x to the subject's left, y up, z forward) of the closed face, the eyes'
    centres ``[2, 3]``, and the resting travel of the upper and lower lid (cm)."""

    positions: np.ndarray
    eye_centres: np.ndarray
    eye_opening: np.ndarray


def hair_mask(who: Identity, s: np.ndarray, y: np.ndarray, soft: tuple[float, float]) -> np.ndarray:
    """Where hair grows on the template, 0..1: above a hairline that dips to sideburns and covers the back.

    soft: from how far (cm) under the line to how far over it hair grows thicker.
    """
    a = np.abs(s)
    line = who.hairline - 0.02 * np.minimum(a, 9.0) ** 2 + who.temple * gauss(a, y * 0, (5.2, 0.0), (1.5, 1.0))
    line = line - who.fringe * (1 - smoothstep(a, 3.5, 7.5)) * (1 + 0.5 * who.parting * np.tanh(s / 2.0))
    line = line - (2.0 + 7.0 * who.cover) * smoothstep(a, 6.6 - 0.6 * who.cover, 8.2 - 0.2 * who.cover)
    line = line - (5.0 - 2.0 * who.cover) * smoothstep(a, 8.2, 10.0) - 5.5 * smoothstep(a, 12.4, 14.0)
    return smoothstep(y - line, *soft)


def hair_height(who: Identity, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Thickness (cm) of the hair and the beard on the template: most on the crown, and where it falls over the
    ears."""
    a = np.abs(s)
    wave = 1 + 0.10 * np.sin(1.9 * s + 0.7 * y + who.number) * np.sin(1.1 * y)
    crown = 0.65 + 0.5 * smoothstep(y, 3.0, 9.0) + 0.25 * who.parting * np.tanh(s / 4.0) * smoothstep(y, 5.0, 10.0)
    falls = 0.9 * who.cover * smoothstep(a, 8.0, 10.0) * (1 - smoothstep(y, 0.0, 5.0))
    # Skin must not be lifted with the hair: it rises behind the painted line, slowly where it is combed back.
    grown = hair_mask(who, np.maximum(a - 0.6, 0) * np.sign(s), y, (0.0, 1.2 if who.fringe else 2.4))
    return grown * wave * (who.hair_thickness * crown + falls) + 1.1 * who.beard * beard_mask(who, a, y)


def beard_mask(who: Identity, a: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where a beard grows, 0..1, by distance from the midline and height on the template: chin, jaw and upper lip."""
    d = y - MOUTH_Y
    edge = -8.35 + 0.42 * np.minimum(a, 7.5) - 0.8 * gauss(a, y * 0, (0.0, 0.0), (0.9, 1.0))
    cheeks = who.sideburns * smoothstep(edge - y, -0.4, 0.7) * (1 - smoothstep(a, 9.0, 9.8))
    goatee = smoothstep(-d, 1.5, 2.2) * (1 - smoothstep(a, 2.2, 3.2))
    lip = (
        who.moustache * (1 - smoothstep(np.abs(d - 1.15 + 0.16 * a) / 0.45, 0.6, 1.1)) * (1 - smoothstep(a, 2.2, 2.9))
    )
    beside = who.moustache * gauss(a, d, (2.95, -1.2), (0.35, 1.2))
    return np.clip(np.maximum(np.maximum(cheeks, goatee), np.maximum(lip, beside)), 0, 1)


def _profile(at: np.ndarray) -> list[np.ndarray]:
    """The curves of the skull at the heights ``at`` of the template."""
    return pchip(PROFILE, at)


def _skin(who: Identity, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    m = who.shape
    ym, zm, ys, w, zb, square = _profile(y)
    low, chin = smoothstep(-y, 3.0, 9.0), smoothstep(-y, 8.0, 10.5)
    w = 1.04 * w * (1 + 0.035 * m["head_width"]) * (1 + low * 0.05 * m["jaw_width"])
    zm = zm - 0.35 * m["forehead_slope"] * smoothstep(y, 2, 9)
    zm = zm + chin * 0.3 * m["chin_forward"] + 0.2 * m["mouth_forward"] * gauss(y, y, (-7.0, -7.0), (1.4, 1.4))
    square = square + 0.12 * low * m["jaw_width"]
    phi = s / ARC
    sin, cos = np.sin(phi), np.cos(phi)
    x = w * sin
    round_ = np.maximum(1 - np.abs(sin) ** square, 0.0) ** (1 / square)
    z = np.where(cos >= 0, zm, zb) * round_
    t = np.where(cos >= 0, round_, 0.0) ** 1.4
    h = ys + (ym - ys) * t
    h = np.where(cos < 0, ys + (ys - ym) * 0.35 * (1 - np.abs(sin)), h)
    stretch = smoothstep(-h, 0.0, 6.0)
    h = h * (1 + 0.035 * m["face_length"] * stretch) - chin * 0.3 * m["chin_length"]
    z = z + np.where(cos > 0, forward(who, s, y), 0.0)
    return np.stack([x, h, z], -1)


def rest_geometry(t: Template, who: Identity) -> Rest:
    """The closed resting face of ``who``."""
    p = np.zeros((len(t.s), 3))
    k = t.skin
    s, y = t.s[k], t.y[k]
    skin = settle(who, _skin(who, s, y), s, y)
    skin[:, 2] -= np.where(t.eye[k] < 0, t.depth[k], 0.0)
    out = skin - np.array([0.0, 1.5, -1.0])
    out /= np.linalg.norm(out, axis=1, keepdims=True) + 1e-9
    p[k] = skin + out * hair_height(who, s, y)[:, None]

    centre = np.array([[-EYE_S, 0.0], [EYE_S, 0.0]])
    eyes = settle(who, _skin(who, *centre.T), *centre.T) - np.array([0.0, -0.30, EYE_RADIUS - 0.12])
    for i in range(2):
        e = (t.part == EYE) & (t.eye == i)
        u, v = t.s[e], t.y[e]
        r = np.sqrt(u**2 + v**2)
        stretch = np.where(r > 0, np.maximum(np.abs(u), np.abs(v)) / np.maximum(r, 1e-9), 1.0)
        u, v = u * stretch * 0.985, v * stretch * 0.985
        p[e] = eyes[i] + EYE_RADIUS * np.stack([u, v, np.sqrt(np.maximum(1 - u**2 - v**2, 0))], 1)
    middle = np.array([0.0]), np.array([MOUTH_Y])
    add_parts(t, who, p, settle(who, _skin(who, *middle), *middle)[0])
    wide = who.shape["eye_size"] + 0.9 * who.child - 0.5 * who.age
    return Rest(p, eyes, np.array([0.80 + 0.11 * wide, -0.20 - 0.03 * wide]))

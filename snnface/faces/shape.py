"""The resting geometry of one identity: profile curves of the skull with the features added as smooth bumps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnface.faces.identity import Identity
from snnface.faces.mesh import ARC, BODY, CAVITY, EAR, EYE, EYE_S, HAIR, MOUTH_Y, TEETH_LOW, TEETH_UP, Template

EYE_RADIUS = 1.5

# Control points from the top to under the chin: template y, height and depth of the midline profile,
# height and half width of the side profile, depth of the back (cm).
_PROFILE = np.array(
    [
        (12.6, 11.6, -1.0, 11.6, 0.0, -1.0),
        (12.3, 11.5, 0.3, 11.4, 1.6, -2.6),
        (11.6, 11.1, 2.3, 10.7, 3.3, -4.6),
        (9.3, 9.0, 6.2, 8.6, 5.7, -7.9),
        (6.5, 6.5, 8.3, 6.2, 6.9, -9.4),
        (4.0, 4.0, 9.1, 3.9, 7.3, -9.8),
        (2.2, 2.2, 9.5, 2.1, 7.4, -9.7),
        (0.0, 0.0, 9.2, 0.0, 7.3, -9.2),
        (-3.0, -3.0, 9.1, -2.7, 7.1, -7.8),
        (-5.6, -5.6, 9.5, -4.9, 6.75, -6.6),
        (-7.0, -7.0, 9.6, -6.0, 6.5, -6.2),
        (-8.5, -8.5, 9.15, -7.1, 6.1, -6.0),
        (-10.0, -10.0, 9.4, -8.2, 5.6, -5.9),
        (-11.2, -11.2, 8.9, -9.0, 5.0, -5.8),
        (-12.0, -11.7, 7.8, -9.3, 4.6, -5.7),
        (-13.0, -11.6, 5.6, -9.3, 4.3, -5.6),
        (-14.0, -11.2, 3.2, -9.2, 4.1, -5.6),
    ]
)[::-1]


@dataclass(frozen=True)
class Rest:
    """Positions ``[V, 3]`` (cm; x to the subject's left, y up, z forward) of the closed face, the eyes'
    centres ``[2, 3]``, and the resting travel of the upper and lower lid (cm)."""

    positions: np.ndarray
    eye_centres: np.ndarray
    eye_opening: np.ndarray


def _profile(at: np.ndarray) -> list[np.ndarray]:
    """The five curves at the heights ``at`` of the template: piecewise cubics that overshoot nowhere (PCHIP; Fritsch
    and Butland 1984)."""
    x, y = _PROFILE[:, 0], _PROFILE[:, 1:]
    h = np.diff(x)[:, None]
    d = np.diff(y, axis=0) / h
    slope = np.zeros_like(y)
    rising = d[:-1] * d[1:] > 0
    near, far = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    np.divide((near + far) * d[:-1] * d[1:], near * d[1:] + far * d[:-1], out=slope[1:-1], where=rising)
    for end, inward in ((0, 1), (-1, -2)):
        three_points = ((2 * h[end] + h[inward]) * d[end] - h[end] * d[inward]) / (h[end] + h[inward])
        limit = np.where(d[end] * d[inward] < 0, 3 * np.abs(d[end]), np.inf)
        slope[end] = np.where(three_points * d[end] > 0, np.clip(three_points, -limit, limit), 0.0)
    k = np.clip(np.searchsorted(x, at, "right") - 1, 0, len(h) - 1)
    step, t = h[k], ((at - x[k]) / h[k, 0])[:, None]
    rise = t * t * (3 - 2 * t)
    tangents = t * (1 - t) ** 2 * slope[k] - t * t * (1 - t) * slope[k + 1]
    return list((y[k] + rise * (y[k + 1] - y[k]) + step * tangents).T)


def gauss(x: np.ndarray, y: np.ndarray, at: tuple[float, float], sigma: tuple[float, float]) -> np.ndarray:
    """``exp(-½ ((x-x₀)/σx)² - ½ ((y-y₀)/σy)²)``, as a product so that an open grid takes few exponentials."""
    return np.exp(-0.5 * ((x - at[0]) / sigma[0]) ** 2) * np.exp(-0.5 * ((y - at[1]) / sigma[1]) ** 2)


def smoothstep(x: np.ndarray | float, a: float, b: float) -> np.ndarray:
    """0 below ``a``, 1 above ``b``, a smooth cubic between."""
    t = np.clip((np.asarray(x) - a) / (b - a), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def hair_mask(who: Identity, s: np.ndarray, y: np.ndarray, soft: float = 0.5) -> np.ndarray:
    """Where hair grows on the template, 0..1: above a hairline that dips to sideburns and covers the back."""
    a = np.abs(s)
    line = who.hairline - 0.02 * a**2 + who.temple * gauss(a, y * 0, (5.2, 0.0), (1.5, 1.0))
    line = line - 6.5 * smoothstep(a, 7.0, 9.6) - 14.0 * smoothstep(a, 12.0, 14.0)
    return smoothstep(y - line, -soft, soft)


def _skin(who: Identity, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    m = who.shape
    ym, zm, ys, w, zb = _profile(y)
    low, chin = smoothstep(-y, 3.0, 9.0), smoothstep(-y, 8.0, 10.5)
    w = 1.04 * w * (1 + 0.035 * m["head_width"]) * (1 + low * 0.05 * m["jaw_width"])
    zm = (
        zm
        + 0.25 * m["brow_ridge"] * gauss(y, y, (2.2, 2.2), (1.0, 1.0))
        - 0.35 * m["forehead_slope"] * smoothstep(y, 2, 9)
    )
    zm = zm + chin * 0.3 * m["chin_forward"] + 0.2 * m["mouth_forward"] * gauss(y, y, (-7.0, -7.0), (1.4, 1.4))
    phi = s / ARC
    sin, cos = np.sin(phi), np.cos(phi)
    x = w * sin
    round_ = np.maximum(1 - np.abs(sin) ** 2.35, 0.0) ** (1 / 2.35)
    z = np.where(cos >= 0, zm, zb) * round_
    t = np.where(cos >= 0, round_, 0.0) ** 1.4
    h = ys + (ym - ys) * t
    h = np.where(cos < 0, ys + (ys - ym) * 0.35 * (1 - np.abs(sin)), h)
    stretch = smoothstep(-h, 0.0, 6.0)
    h = h * (1 + 0.035 * m["face_length"] * stretch) - chin * 0.3 * m["chin_length"]
    z = z + np.where(cos > 0, _features(who, s, y), 0.0)
    return np.stack([x, h, z], -1)


def _features(who: Identity, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Forward bumps (cm) of the face on the template."""
    m = who.shape
    a = np.abs(s)
    z = -1.15 * gauss(a, y, (EYE_S - 0.2, 0.1), (1.5, 0.95)) + 0.30 * gauss(a, y, (3.0, 2.3), (1.9, 0.6))
    z += 0.45 * (1 + 0.5 * m["cheekbones"]) * gauss(a, y, (4.6, -2.6), (1.5, 1.1))
    z += 0.35 * m["cheek_fullness"] * gauss(a, y, (4.4, -5.8), (1.6, 1.7)) - 0.25 * gauss(
        a, y, (4.6, -6.0), (1.3, 1.3)
    )
    length, width = 0.25 * m["nose_length"], 1 + 0.13 * m["nose_width"]
    tip = -4.25 - length
    along = smoothstep(-y, -1.2, -tip + 0.2)
    under = 1 - smoothstep(-y, -tip + 0.05, -tip + 0.95)
    ridge = (0.45 + (2.3 + 0.35 * m["nose_height"]) * along) * under * smoothstep(-y, -2.4, -0.4)
    z += ridge * np.exp(-0.5 * (a / (width * (0.5 + 0.38 * along))) ** 2)
    z += (0.35 + 0.12 * m["nose_tip"]) * gauss(a, y, (0.0, tip + 0.15), (0.62 * width, 0.5))
    z += (
        1.05
        * gauss(a, y, (1.12 * width, tip - 0.1), (0.42 * width, 0.45))
        * (1 - smoothstep(-y, -tip + 0.3, -tip + 0.9))
    )
    d, full = y - MOUTH_Y, 1 + 0.22 * m["lip_fullness"]
    taper = np.clip(1 - (a / 2.7) ** 2, 0, 1) ** 0.7
    z += 0.42 * full * taper * gauss(a, d, (0.0, 0.42), (3.0, 0.32)) + 0.50 * full * taper * gauss(
        a, d, (0.0, -0.5), (2.2, 0.36)
    )
    z -= 0.22 * taper * gauss(a, d, (0.0, 0.0), (3.0, 0.11))
    z -= 0.30 * gauss(a, d, (2.75, 0.0), (0.5, 0.5)) + 0.35 * gauss(a, y, (0.0, -8.6), (1.7, 0.4))
    z += 0.35 * gauss(a, y, (0.0, -10.1), (1.2, 0.8)) - 0.12 * gauss(a, y, (0.0, -5.9), (0.3, 0.5))
    return z


def _move_features(who: Identity, p: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sideways and upward modes: eyes, brows and mouth glide over the skull."""
    m, a, sign = who.shape, np.abs(s), np.sign(s)
    eye = gauss(a, y, (EYE_S, 0.0), (1.9, 1.3))
    q = p.copy()
    q[..., 0] += sign * eye * (0.13 * m["eye_spacing"])
    q[..., 1] += eye * np.clip(a - EYE_S, -1.6, 1.6) * (0.10 + 0.05 * m["eye_tilt"])
    q[..., 1] -= 0.22 * np.clip(1 - ((a - EYE_S) / 1.75) ** 2, 0, 1) * gauss(y, y, (0.0, 0.0), (0.8, 0.8))
    q[..., 1] += 0.22 * m["brow_height"] * gauss(a, y, (3.0, 2.3), (2.4, 0.9))
    mouth = gauss(a, y, (0.0, MOUTH_Y), (3.0, 1.3))
    q[..., 0] *= 1 + 0.055 * m["mouth_width"] * mouth
    q[..., 1] += mouth * 0.12 * (1 + np.cos(np.clip(a / 2.5, 0, 1) * np.pi)) * 0.4 - 0.06 * mouth
    return q


def rest_geometry(t: Template, who: Identity) -> Rest:
    """The closed resting face of ``who``."""
    p = np.zeros((len(t.s), 3))
    k = t.skin
    s, y = t.s[k], t.y[k]
    skin = _move_features(who, _skin(who, s, y), s, y)
    skin[:, 2] -= np.where(t.eye[k] < 0, t.depth[k], 0.0)
    mask = np.zeros(len(t.s))
    mask[k] = hair_mask(who, s, y, 0.8)
    out = skin - np.array([0.0, 1.5, -1.0])
    out /= np.linalg.norm(out, axis=1, keepdims=True) + 1e-9
    wave = 1 + 0.12 * np.sin(1.9 * s + 0.7 * y + who.number) * np.sin(1.1 * y)
    p[k] = skin + out * (who.hair_thickness * mask[k] * wave)[:, None]

    centre = np.array([[-EYE_S, 0.0], [EYE_S, 0.0]])
    front = _move_features(who, _skin(who, centre[:, 0], centre[:, 1]), centre[:, 0], centre[:, 1])
    eyes = front - np.array([0.0, -0.30, EYE_RADIUS - 0.12])
    for i in range(2):
        e = (t.part == EYE) & (t.eye == i)
        u, v = t.s[e], t.y[e]
        r = np.sqrt(u**2 + v**2)
        stretch = np.where(r > 0, np.maximum(np.abs(u), np.abs(v)) / np.maximum(r, 1e-9), 1.0)
        u, v = u * stretch * 0.985, v * stretch * 0.985
        p[e] = eyes[i] + EYE_RADIUS * np.stack([u, v, np.sqrt(np.maximum(1 - u**2 - v**2, 0))], 1)
    lip = _move_features(who, _skin(who, np.zeros(1), np.full(1, MOUTH_Y)), np.zeros(1), np.full(1, MOUTH_Y))[0]
    _mouth(t, p, lip)
    _body(t, p)
    _ears(t, p, who)
    _curtain(t, p, who)
    opening = np.array([1.02 + 0.13 * who.shape["eye_size"], -0.16 - 0.03 * who.shape["eye_size"]])
    return Rest(p, eyes, opening)


def _mouth(t: Template, p: np.ndarray, lip: np.ndarray) -> None:
    for part, top, bottom, back in ((TEETH_UP, 0.95, -0.22, 0.75), (TEETH_LOW, -0.30, -1.2, 1.0)):
        k = t.part == part
        x = 1.75 * t.s[k]
        p[k, 0], p[k, 1] = x, lip[1] + (top + bottom) / 2 + t.y[k] * (top - bottom) / 2
        p[k, 2] = lip[2] - back - x**2 / 2.7
    k = t.part == CAVITY
    x = 3.0 * t.s[k]
    p[k, 0], p[k, 1], p[k, 2] = x, lip[1] + 1.9 * t.y[k] - 0.2, lip[2] - 2.6 - x**2 / 6.5


_TORSO = np.array(
    [
        (-8.0, 4.5, 4.4),
        (-10.0, 4.6, 4.5),
        (-12.5, 4.8, 4.6),
        (-14.0, 5.3, 4.9),
        (-15.2, 7.5, 5.6),
        (-16.2, 11.5, 6.2),
        (-17.5, 15.5, 7.0),
        (-20.0, 18.5, 8.0),
        (-25.0, 20.0, 9.0),
        (-34.0, 20.5, 9.5),
    ]
)


def _body(t: Template, p: np.ndarray) -> None:
    k = t.part == BODY
    row = np.rint((1 - t.y[k]) / 2 * (len(_TORSO) - 1)).astype(int)
    h, rx, rz = _TORSO[row].T
    phi = t.s[k] * 1.75
    drop = np.where(row >= 4, 1.5 * np.abs(np.sin(phi)) ** 3 * (row < 8), 0.0)
    p[k] = np.stack([rx * np.sin(phi), h - drop, rz * np.cos(phi) - 2.0], 1)


def _ears(t: Template, p: np.ndarray, who: Identity) -> None:
    width = 7.5 * (1 + 0.035 * who.shape["head_width"])
    for i, sign in enumerate((-1, 1)):
        k = (t.part == EAR) & (t.eye == i)
        u, v = t.s[k], t.y[k]
        lobe = np.sqrt(np.maximum(1 - (0.93 * v) ** 2, 0.0)) * (0.85 + 0.25 * v)
        out = (u + 1) / 2 * lobe
        rim = 0.25 * np.sin(np.pi * np.clip(out * 1.2, 0, 1))
        p[k] = np.stack([sign * (width - 0.35 + 1.5 * out), -1.6 + 3.1 * v + 0.3 * out, 0.2 - 0.9 * out + rim], 1)


def _curtain(t: Template, p: np.ndarray, who: Identity) -> None:
    """Hair that hangs behind the neck; short hair ends behind the skull, where it cannot be seen."""
    k = t.part == HAIR
    phi, v = t.s[k] * 1.7, (1 - t.y[k]) / 2
    length = 3.0 + 16.0 * smoothstep(who.hair_length, 0.55, 1.0)
    bulge = (0.2 + 0.8 * smoothstep(who.hair_length, 0.5, 0.75)) * (1.0 + 0.1 * np.sin(9 * t.s[k] + who.number))
    w = 5.0 + 2.6 * bulge * np.sin(np.pi * np.clip(0.25 + 0.6 * v, 0, 1))
    p[k] = np.stack(
        [w * np.sin(phi), 3.0 - length * v, -2.5 + 1.2 * np.cos(phi) - 1.5 * (1 - np.abs(np.sin(phi)))], 1
    )

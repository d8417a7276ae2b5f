"""The parts behind and beside the face: teeth, neck and shoulders, ears, hair that hangs down."""

from __future__ import annotations

import numpy as np

from snnface.faces.curves import smoothstep
from snnface.faces.identity import Identity
from snnface.faces.mesh import BODY, CAVITY, EAR, HAIR, TEETH_LOW, TEETH_UP, Template

# Height, half width and half depth (cm) of neck and shoulders, from behind the jaw downwards.
_TORSO = np.array(
    [
        (-4.5, 4.3, 4.1),
        (-8.0, 4.4, 4.3),
        (-11.0, 4.6, 4.4),
        (-13.6, 5.3, 4.8),
        (-15.0, 7.3, 5.5),
        (-16.2, 11.5, 6.2),
        (-17.5, 15.5, 7.0),
        (-20.0, 18.5, 8.0),
        (-25.0, 20.0, 9.0),
        (-34.0, 20.5, 9.5),
    ]
)


def add_parts(t: Template, who: Identity, p: np.ndarray, lip: np.ndarray) -> None:
    """Place all parts but skin and eyes in ``p`` [V, 3]; ``lip`` [3] is the middle of the closed mouth."""
    _mouth(t, p, lip)
    _body(t, p, who)
    _ears(t, p, who)
    _curtain(t, p, who)


def _mouth(t: Template, p: np.ndarray, lip: np.ndarray) -> None:
    for part, top, bottom, back in ((TEETH_UP, 0.95, -0.22, 0.75), (TEETH_LOW, -0.30, -1.2, 1.0)):
        k = t.part == part
        x = 1.75 * t.s[k]
        p[k, 0], p[k, 1] = x, lip[1] + (top + bottom) / 2 + t.y[k] * (top - bottom) / 2
        p[k, 2] = lip[2] - back - x**2 / 2.7
    k = t.part == CAVITY
    x = 3.0 * t.s[k]
    p[k, 0], p[k, 1], p[k, 2] = x, lip[1] + 1.9 * t.y[k] - 0.2, lip[2] - 2.6 - x**2 / 6.5


def _body(t: Template, p: np.ndarray, who: Identity) -> None:
    k = t.part == BODY
    row = np.rint((1 - t.y[k]) / 2 * (len(_TORSO) - 1)).astype(int)
    h, rx, rz = _TORSO[row].T
    build = 1 + (0.07 * who.sex - 0.14 * who.child) * (0.5 + 0.5 * smoothstep(-h, 12, 17))
    phi = t.s[k] * 2.1
    drop = np.where(row >= 4, 1.5 * np.abs(np.sin(phi)) ** 3 * (row < 8), 0.0)
    p[k] = np.stack([build * rx * np.sin(phi), h - drop, build * rz * np.cos(phi) - 1.4], 1)


def _ears(t: Template, p: np.ndarray, who: Identity) -> None:
    """Shells that lean back from the head; hair that covers them presses them flat."""
    width = 7.6 * (1 + 0.035 * who.shape["head_width"])
    for i, sign in enumerate((-1, 1)):
        k = (t.part == EAR) & (t.eye == i)
        out, v = (t.s[k] + 1) / 2, t.y[k]
        # The rim: round above, drawn in towards the lobe.
        reach = out * np.sqrt(np.maximum(1 - (0.96 * v) ** 2, 0.0)) * (0.86 + 0.22 * v)
        away = (1.55 + 0.25 * who.shape["ear_spread"]) * (1 - 0.9 * who.cover)
        roll = 0.22 * np.sin(np.pi * np.clip(1.15 * out, 0, 1)) - 0.25 * smoothstep(out, 0.75, 1.0)
        x = width - 0.35 + away * reach + roll * (1 - who.cover)
        y = -1.7 + 3.05 * v * (1 + 0.05 * who.shape["ear_size"]) + 0.25 * reach
        p[k] = np.stack([sign * x, y, 0.9 - 3.0 * reach], 1)


def _curtain(t: Template, p: np.ndarray, who: Identity) -> None:
    """Hair that hangs behind the neck; short hair ends behind the skull, where it cannot be seen."""
    k = t.part == HAIR
    phi, v = t.s[k] * 1.7, (1 - t.y[k]) / 2
    length = 3.0 + 15.0 * smoothstep(who.hair_length, 0.55, 1.0)
    bulge = (0.2 + 0.8 * smoothstep(who.hair_length, 0.5, 0.75)) * (1.0 + 0.08 * np.sin(7 * t.s[k] + who.number))
    w = 5.2 + (2.4 + 1.2 * who.cover) * bulge * np.sin(np.pi * np.clip(0.25 + 0.6 * v, 0, 1))
    back = -2.5 + 1.6 * np.cos(phi) - 1.5 * (1 - np.abs(np.sin(phi)))
    p[k] = np.stack([w * np.sin(phi), 3.0 - length * v + 0.5 * np.sin(5 * phi) * v, back], 1)

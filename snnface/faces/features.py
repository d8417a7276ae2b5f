"""What stands out of the skull: brows, sockets, cheeks, nose, lips and chin, and where they sit."""

from __future__ import annotations

import numpy as np

from snnface.faces.curves import gauss, pchip, smoothstep
from snnface.faces.identity import Identity
from snnface.faces.mesh import EYE_S, MOUTH_Y

# From the root to the lip: template y, height over the face and half width of the nose's back (cm).
_NOSE = np.array(
    [
        (1.5, 0.00, 0.75),
        (0.3, 0.40, 0.60),
        (-1.4, 1.00, 0.66),
        (-2.8, 1.70, 0.76),
        (-3.6, 2.15, 0.90),
        (-4.05, 2.32, 0.98),
        (-4.4, 2.18, 1.00),
        (-4.7, 1.60, 0.95),
        (-4.95, 0.90, 0.85),
        (-5.3, 0.30, 0.75),
        (-5.8, 0.00, 0.70),
    ]
)[::-1]


def forward(who: Identity, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far (cm) the features lie before the skull ``[N]`` at places of the template."""
    m = who.shape
    a = np.abs(s)
    z = -1.15 * gauss(a, y, (EYE_S - 0.2, 0.1), (1.5, 0.95)) - 0.30 * gauss(a, y, (1.55, 0.2), (0.5, 0.7))
    z += (0.34 + 0.12 * m["brow_ridge"]) * gauss(a, y, (3.0, 2.2), (1.9, 0.6))
    z += 0.14 * gauss(a, y, (3.5, 1.3), (1.5, 0.3)) - 0.30 * gauss(a, y, (6.4, 2.6), (1.2, 2.2))
    z += 0.50 * (1 + 0.5 * m["cheekbones"]) * gauss(a, y, (4.6, -2.5), (1.5, 1.0))
    z += 0.35 * m["cheek_fullness"] * gauss(a, y, (4.4, -5.6), (1.6, 1.7))
    z -= 0.30 * gauss(a, y, (4.7, -6.0), (1.3, 1.3)) + 0.16 * gauss(a, y, (2.5, -5.5), (0.4, 0.9))
    z += who.age * (0.30 * gauss(a, y, (5.0, -9.2), (1.0, 0.9)) + 0.13 * gauss(a, y, (2.9, -1.2), (1.0, 0.28)))
    return z + _nose(who, a, y) + _mouth(who, a, y)


def nose_height(who: Identity, y: np.ndarray) -> np.ndarray:
    """Template heights of the average nose that a longer or shorter one has at ``y``."""
    return np.where(y < 0, y / (1 + 0.05 * who.shape["nose_length"]), y)


def _nose(who: Identity, a: np.ndarray, y: np.ndarray) -> np.ndarray:
    m = who.shape
    y = nose_height(who, y)
    height, half = pchip(_NOSE, y)
    width = 1 + 0.13 * m["nose_width"]
    gain = 1 + 0.13 * m["nose_height"] * smoothstep(-y, -0.5, 3.0)
    z = gain * height * np.exp(-((a / (width * half)) ** 2.4))
    z += (0.10 + 0.12 * m["nose_tip"]) * gauss(a, y, (0.0, -4.1), (0.6 * width, 0.5))
    wings = gauss(a, y, (1.18 * width, -4.35), (0.40 * width, 0.45))
    return z + 0.95 * wings * (1 - smoothstep(-y, 4.55, 5.1))


def _mouth(who: Identity, a: np.ndarray, y: np.ndarray) -> np.ndarray:
    d, full = y - MOUTH_Y, 1 + 0.22 * who.shape["lip_fullness"]
    taper = np.clip(1 - (a / 2.7) ** 2, 0, 1) ** 0.7
    z = full * taper * (0.42 * gauss(a, d, (0.0, 0.42), (3.0, 0.32)) + 0.50 * gauss(a, d, (0.0, -0.5), (2.2, 0.36)))
    z -= 0.22 * taper * gauss(a, d, (0.0, 0.0), (3.0, 0.11)) + 0.30 * gauss(a, d, (2.75, 0.0), (0.5, 0.5))
    z += 0.45 * gauss(a, y, (0.0, -10.1), (1.3, 0.85)) - 0.38 * gauss(a, y, (0.0, -8.6), (1.7, 0.4))
    return z - 0.12 * gauss(a, y, (0.0, -5.9), (0.3, 0.5))


def settle(who: Identity, p: np.ndarray, s: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Points ``p`` [..., 3] of the head moved sideways and up: eyes, brows and mouth glide over the skull."""
    m, a, sign = who.shape, np.abs(s), np.sign(s)
    eye = gauss(a, y, (EYE_S, 0.0), (1.9, 1.3))
    q = p.copy()
    q[..., 0] += sign * eye * (0.13 * m["eye_spacing"])
    q[..., 1] += eye * np.clip(a - EYE_S, -1.6, 1.6) * (0.10 + 0.05 * m["eye_tilt"])
    q[..., 1] -= 0.22 * np.clip(1 - ((a - EYE_S) / 1.75) ** 2, 0, 1) * gauss(y, y, (0.0, 0.0), (0.8, 0.8))
    q[..., 1] += 0.22 * m["brow_height"] * gauss(a, y, (3.0, 2.3), (2.4, 0.9))
    q[..., 1] -= 0.35 * who.age * gauss(a, y, (5.0, -9.2), (1.2, 1.2)) + 0.10 * who.age * eye * (y > 0)
    mouth = gauss(a, y, (0.0, MOUTH_Y), (3.0, 1.3))
    q[..., 0] *= 1 + 0.055 * m["mouth_width"] * mouth
    q[..., 1] += mouth * 0.12 * (1 + np.cos(np.clip(a / 2.5, 0, 1) * np.pi)) * 0.4 - 0.06 * mouth
    return q

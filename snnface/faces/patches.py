"""The patches beside the painted skin: eyes, teeth, the inside of the mouth, cloth, hair, neck, ears, glasses."""

from __future__ import annotations

import numpy as np

from snnface.faces.curves import gauss, smoothstep
from snnface.faces.identity import Identity
from snnface.faces.texture import PATCH, PATCHES, SIZE, line, mix, noise, skin_texture

#: Colours of the frames of glasses: black, horn, metal, red, blue (linear RGB).
_FRAMES = ((0.02, 0.02, 0.02), (0.09, 0.04, 0.02), (0.35, 0.35, 0.36), (0.20, 0.02, 0.03), (0.03, 0.05, 0.16))


def _patches(who: Identity) -> np.ndarray:
    """The strip float32 ``[3, SIZE, PATCH]`` beside the skin."""
    rng = np.random.default_rng([1299709, who.number])
    u = (np.arange(PATCH, dtype=np.float32) + 0.5) / PATCH * 2 - 1
    x, y = u[None], -u[:, None]
    r = np.sqrt(x**2 + y**2)

    def plain(colour: np.ndarray | tuple[float, float, float]) -> np.ndarray:
        """A patch of one colour."""
        return np.tile(np.array(colour, np.float32)[:, None, None], (1, PATCH, PATCH))

    eye, iris = plain((0.66, 0.63, 0.60)), who.iris.astype(np.float32)
    mix(eye, np.array((0.5, 0.25, 0.22)), 0.5 * smoothstep(np.abs(x), 0.6, 1.0))
    mix(eye, iris, 1 - smoothstep(r, 0.39, 0.44))
    eye *= np.where((r < 0.42) & (r > 0.18), 1 + 0.25 * np.sin(np.arctan2(y, x) * 13 + 3 * r), 1.0)
    mix(eye, iris * 0.25, np.exp(-0.5 * ((r - 0.40) / 0.035) ** 2))
    mix(eye, np.full(3, 0.006), 1 - smoothstep(r, 0.16, 0.21))
    mix(eye, np.full(3, 1.0), gauss(x, y, (-0.12, 0.14), (0.06, 0.06)))
    gaps = np.abs(np.mod(x * 4.5, 1.0) - 0.5) * 2
    teeth = plain((0.72, 0.68, 0.58)) * (1 - 0.45 * smoothstep(gaps, 0.80, 1.0) - 0.15 * np.abs(y) - 0.45 * x**2)
    inside = plain((0.030, 0.010, 0.010))
    mix(inside, np.array((0.30, 0.09, 0.09)), np.clip(1.2 * gauss(x, y, (0, -0.62), (0.45, 0.32)), 0, 1))
    shape = (PATCH, PATCH)
    patches = {
        "eye": eye,
        "teeth": teeth,
        "dark": inside,
        "cloth": plain(who.cloth) * (1 + 0.08 * noise(rng, shape, 1.0)),
        "hair": plain(who.hair) * np.clip(1 + 0.3 * noise(rng, shape, (9.0, 1.0)), 0.3, 2),
        "neck": plain(who.skin) * (1 + 0.03 * noise(rng, shape, 4.0)),
        "ear": _ear(who, x, y),
        "frame": plain(_FRAMES[who.number % len(_FRAMES)]),
    }
    strip = np.zeros((3, SIZE, PATCH), np.float32)
    strip[:, : len(PATCHES) * PATCH] = np.concatenate([patches[name] for name in PATCHES], 1)
    return np.clip(strip, 0.004, 1.0)


def _ear(who: Identity, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The shell of the ear ``[3, PATCH, PATCH]``, x from the head to the rim, y up: dark hollow, bright ridges."""
    shade = 1 - 0.62 * np.clip(gauss(x, y, (-0.42, -0.12), (0.30, 0.30)) * 1.2, 0, 1)
    groove = np.exp(-0.5 * ((np.hypot(x + 0.65, 0.95 * y) - 1.12) / 0.09) ** 2) * smoothstep(y, -0.6, 0.0)
    fork = line(x, y, [(0.05, -0.55), (0.18, 0.05), (-0.25, 0.55)], 0.10)
    shade *= (1 - 0.42 * groove) * (1 + 0.15 * fork) * (1 - 0.3 * smoothstep(-x, 0.75, 1.0) * (y > 0.2))
    return np.asarray((who.skin * (1.0, 0.88, 0.86)).astype(np.float32)[:, None, None] * shade.astype(np.float32))


def texture_atlas(who: Identity) -> np.ndarray:
    """float32 ``[3, 512, 576]``: the skin and, right of it, the patches."""
    return np.concatenate([skin_texture(who), _patches(who)], 2)

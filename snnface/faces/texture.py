"""The painted skin: one texture over the template, finer than the mesh, with patches for eyes, teeth and cloth."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from snnface.faces.identity import Identity
from snnface.faces.mesh import BODY, CAVITY, EAR, EYE, EYE_S, HAIR, MOUTH_Y, TEETH_LOW, TEETH_UP, Template
from snnface.faces.shape import gauss, hair_mask, smoothstep

#: Texels a side of the skin, and the strip beside it: eye, teeth, dark, cloth, hair, neck (64 texels each).
SIZE, PATCH = 512, 64
S_RANGE, Y_RANGE = 12.5, (13.5, -14.5)
_ORDER = ("eye", "teeth", "dark", "cloth", "hair", "neck")


@dataclass(frozen=True)
class Wrinkles:
    """Shading layers of the actions: flat ``patches`` in ``boxes`` [L, 4] (rows, columns) from ``starts`` [L]."""

    patches: np.ndarray
    boxes: np.ndarray
    starts: np.ndarray


def template_grid(size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Template coordinates (s, y) of the texels' centres ``[size, size]``."""
    s = (np.arange(size) + 0.5) / size * 2 * S_RANGE - S_RANGE
    y = Y_RANGE[0] + (np.arange(size) + 0.5) / size * (Y_RANGE[1] - Y_RANGE[0])
    ss, yy = np.meshgrid(s, y)
    return ss, yy


def line(x: np.ndarray, y: np.ndarray, path: list[tuple[float, float]], width: float) -> np.ndarray:
    """A soft stroke along a polyline that thins out at its ends: Gaussian of ``width`` beside."""
    points = np.array(path, float)
    best, along = np.full(x.shape, np.inf), np.zeros(x.shape)
    for k, (p, q) in enumerate(itertools.pairwise(points)):
        d = q - p
        t = np.clip(((x - p[0]) * d[0] + (y - p[1]) * d[1]) / (d @ d), 0, 1)
        r = (x - p[0] - t * d[0]) ** 2 + (y - p[1] - t * d[1]) ** 2
        along = np.where(r < best, (k + t) / (len(points) - 1), along)
        best = np.minimum(best, r)
    return np.exp(-0.5 * best / width**2) * np.sqrt(np.clip(4 * along * (1 - along), 0.12, 1))


def noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float | tuple[float, float]) -> np.ndarray:
    """Smooth noise with unit spread."""
    n = gaussian_filter(rng.normal(size=shape), sigma, mode="wrap")
    return n / n.std()


def _mix(base: np.ndarray, colour: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return base + (colour - base) * mask[..., None]


def brow_line(who: Identity, a: np.ndarray) -> np.ndarray:
    """Height (cm) of the brow's middle at the distance ``a`` from the midline."""
    x = (a - 1.2) / 3.8
    return 1.95 + who.brow_arch * np.sin(np.clip(x, -0.2, 1.15) * np.pi * 0.72) - 0.25 * smoothstep(x, 0.6, 1.3)


def skin_texture(who: Identity) -> np.ndarray:
    """Linear albedo ``[512, 512, 3]`` of the head of ``who``."""
    rng = np.random.default_rng([104729, who.number])
    s, y = template_grid()
    a, d = np.abs(s), y - MOUTH_Y
    shape = s.shape
    tone = 1 + 0.05 * noise(rng, shape, 22) + 0.045 * noise(rng, shape, 3.5) + 0.03 * noise(rng, shape, 1.5)
    img = who.skin * tone[..., None]
    red = 0.35 * gauss(a, y, (4.2, -3.2), (1.7, 1.5)) + 0.35 * gauss(a, y, (0, -4.3), (1.2, 0.8))
    img *= 1 - red[..., None] * np.array([0.0, 0.30, 0.30])
    spots = noise(rng, shape, 1.8)
    img *= 1 - (who.freckles * 0.45 * smoothstep(spots, 1.2, 2.2) * (y < 3))[..., None] * np.array([0.6, 0.9, 1.0])
    for _ in range(int(rng.integers(0, 4))):
        at, w = (rng.uniform(-6, 6), rng.uniform(-9, 6)), rng.uniform(0.08, 0.14)
        img *= 1 - 0.7 * gauss(s, y, at, (w, w))[..., None]
    shade = 0.20 * gauss(a, y, (EYE_S - 0.6, 0.5), (1.5, 0.7)) + 0.16 * gauss(a, y, (EYE_S - 0.4, -0.9), (1.2, 0.35))
    shade += 0.16 * gauss(a, y, (1.0, 0.4), (0.35, 1.0)) + 0.22 * gauss(a, d, (0, -1.55), (1.2, 0.28))
    shade += 0.22 * gauss(a, y, (0, -5.25), (1.1, 0.28)) + 0.08 * gauss(a, y, (0.0, -5.9), (0.18, 0.5))
    shade += (0.10 + 0.28 * who.age) * line(a, y, [(1.55, -4.3), (2.3, -5.4), (2.9, -6.7)], 0.16)
    shade += 0.38 * line(a, y, [(1.35, -3.6), (1.68, -4.2), (1.55, -4.85)], 0.13)
    shade += (0.1 + 0.12 * who.age) * line(a, y, [(1.9, -0.8), (2.6, -1.25), (3.6, -1.3)], 0.12)
    shade += (
        0.08 * who.age * sum(line(a, y, [(0, h), (2.5, h + 0.15), (4.5, h - 0.15)], 0.09) for h in (4.0, 5.0, 5.9))
    )
    shade += 0.40 * line(a, y, [(1.75, 0.45), (2.6, 0.85), (3.8, 0.85), (4.8, 0.35)], 0.08)
    img *= 1 - np.clip(shade, 0, 0.8)[..., None]
    if who.stubble:
        beard = smoothstep(-y, 6.6, 8.2) * smoothstep(a + 0.25 * (y + 8), -9, -1) + 0.9 * gauss(
            a, d, (0.8, 1.1), (1.4, 0.3)
        )
        beard = np.clip(beard + smoothstep(a, 6.5, 8.5) * smoothstep(-y, 3.0, 6.0), 0, 1) * (y > -12.4)
        grain = np.clip(0.75 + 0.3 * noise(rng, shape, 1.0), 0, 1)
        img = _mix(img, who.hair * 0.8 + who.skin * 0.1, np.clip(who.stubble * beard * grain, 0, 0.9))
    img = _paint_mouth(who, img, a, d, rng)
    nostril = gauss(
        a, y, (0.58 * (1 + 0.13 * who.shape["nose_width"]), -4.98 - 0.2 * who.shape["nose_length"]), (0.3, 0.13)
    )
    img *= 1 - 0.85 * np.clip(1.4 * nostril, 0, 1)[..., None]
    inside = np.clip(1 - ((a - EYE_S) / 1.55) ** 2, 0, 1) ** 0.3
    lash = inside * (
        smoothstep(y, -0.07, 0.02) * (1 - smoothstep(y, 0.10, 0.26)) + 0.45 * smoothstep(y, -0.13, -0.04) * (y < 0)
    )
    img = _mix(img, who.hair * 0.25, np.clip(0.92 * lash, 0, 1))
    taper = smoothstep(a, 0.85, 1.5) * (1 - smoothstep(a, 4.2, 5.6))
    half = who.brow_thickness * (0.35 + 0.65 * (1 - smoothstep(a, 2.2, 5.4))) + 0.02
    strand = 1 + 0.35 * noise(rng, shape, (2.4, 0.8))
    brow = taper * (1 - smoothstep(np.abs(y - brow_line(who, a)) / half, 0.6, 1.25)) * np.clip(strand, 0.3, 1.1)
    img = _mix(img, who.hair * 0.55, np.clip(who.brow_density * brow, 0, 1))
    if who.hair_length:
        edge = hair_mask(who, s, y + 0.22 * noise(rng, shape, (6.0, 1.2)), 0.3)
        strands = np.clip(1 + 0.30 * noise(rng, shape, (14.0, 1.3)) + 0.12 * noise(rng, shape, 12), 0.3, 2)
        img = img * (1 - edge[..., None]) + who.hair * strands[..., None] * edge[..., None]
    return np.clip(img, 0.004, 1.0)


def _paint_mouth(
    who: Identity, img: np.ndarray, a: np.ndarray, d: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    full = 1 + 0.22 * who.shape["lip_fullness"]
    taper = np.clip(1 - (a / 2.52) ** 2, 0, 1)
    bow = (
        0.66 * full * taper**0.8 * (1 - 0.22 * np.exp(-((a / 0.35) ** 2)) + 0.10 * np.exp(-(((a - 0.65) / 0.4) ** 2)))
    )
    lower = 0.88 * full * taper**0.6
    red = np.where(d >= 0, 1 - smoothstep(d - bow, -0.08, 0.08), 1 - smoothstep(-d - lower, -0.12, 0.10)) * (a < 2.55)
    grain = 1 + 0.06 * noise(rng, a.shape, (4.0, 1.0))
    shade = np.where(d >= 0, 0.80, 1.02 - 0.12 * np.abs(d + 0.45))
    img = _mix(img, who.lips, 0.88 * red) * np.where(red > 0.02, 1 + (grain * shade - 1) * red, 1.0)[..., None]
    seam = np.clip(1 - (a / 2.72) ** 2, 0, 1) ** 0.35 * np.exp(-0.5 * (d / 0.065) ** 2)
    corner = 0.55 * gauss(a, d, (2.58, -0.02), (0.16, 0.12))
    return img * (1 - np.clip(0.72 * seam + corner, 0, 0.85))[..., None]


def _patches(who: Identity) -> np.ndarray:
    """The strip ``[SIZE, PATCH, 3]`` beside the skin."""
    rng = np.random.default_rng([1299709, who.number])
    u = (np.arange(PATCH) + 0.5) / PATCH * 2 - 1
    x, y = np.meshgrid(u, -u)
    strip = np.zeros((SIZE, PATCH, 3))
    r = np.sqrt(x**2 + y**2)
    eye = np.full((PATCH, PATCH, 3), (0.66, 0.63, 0.60))
    eye = _mix(eye, np.array([0.5, 0.25, 0.22]), 0.5 * smoothstep(np.abs(x), 0.6, 1.0))
    ray = 1 + 0.25 * np.sin(np.arctan2(y, x) * 13 + 3 * r)
    eye = _mix(eye, who.iris, 1 - smoothstep(r, 0.39, 0.44))
    eye *= np.where((r < 0.42) & (r > 0.18), ray, 1.0)[..., None]
    eye = _mix(eye, who.iris * 0.25, np.exp(-0.5 * ((r - 0.40) / 0.035) ** 2))
    eye = _mix(eye, np.full(3, 0.006), 1 - smoothstep(r, 0.16, 0.21))
    eye = _mix(eye, np.full(3, 1.0), np.exp(-0.5 * (((x + 0.12) / 0.06) ** 2 + ((y - 0.14) / 0.06) ** 2)))
    teeth = np.full((PATCH, PATCH, 3), (0.72, 0.68, 0.58))
    gaps = np.abs(np.mod(x * 4.5, 1.0) - 0.5) * 2
    teeth *= (1 - 0.45 * smoothstep(gaps, 0.80, 1.0) - 0.15 * np.abs(y) - 0.45 * x**2)[..., None]
    weave = 1 + 0.08 * noise(rng, (PATCH, PATCH), 1.0)
    strands = np.clip(1 + 0.3 * noise(rng, (PATCH, PATCH), (9.0, 1.0)), 0.3, 2)
    colours = {
        "eye": eye,
        "teeth": teeth,
        "dark": np.broadcast_to(np.array([0.035, 0.012, 0.012]), eye.shape),
        "cloth": who.cloth * weave[..., None],
        "hair": who.hair * strands[..., None],
        "neck": who.skin * (1 + 0.04 * noise(rng, (PATCH, PATCH), 4.0))[..., None],
    }
    for i, name in enumerate(_ORDER):
        strip[i * PATCH : (i + 1) * PATCH] = colours[name]
    return strip


def texture_atlas(who: Identity) -> np.ndarray:
    """float64 ``[512, 576, 3]``: the skin and, right of it, the patches."""
    return np.concatenate([skin_texture(who), np.clip(_patches(who), 0.004, 1.0)], 1)


def texture_coordinates(t: Template) -> np.ndarray:
    """``[V, 2]`` column and row (texels of the full atlas, 0 at the first texel's edge) of each vertex."""
    uv = np.zeros((len(t.s), 2))
    s = np.clip(t.s, -12.3, 12.3)
    uv[:, 0] = (s + S_RANGE) / (2 * S_RANGE) * SIZE
    uv[:, 1] = (t.y - Y_RANGE[0]) / (Y_RANGE[1] - Y_RANGE[0]) * SIZE
    # Folded vertices keep to their own lip or lid, away from the dark seam between them.
    fold = t.skin & (t.depth > 0) & (t.y < -5)
    uv[fold, 1] -= t.side[fold] * 5.0
    names = {EYE: "eye", TEETH_UP: "teeth", TEETH_LOW: "teeth", CAVITY: "dark", EAR: "neck", HAIR: "hair"}
    for part, name in names.items():
        _place(uv, t, t.part == part, name)
    body = t.part == BODY
    _place(uv, t, body & (t.y > -0.1), "neck")
    _place(uv, t, body & (t.y <= -0.1), "cloth")
    return uv


def _place(uv: np.ndarray, t: Template, k: np.ndarray, name: str) -> None:
    half = PATCH / 2 - 3
    x, y = t.s[k], t.y[k]
    if name == "eye":
        r = np.sqrt(x**2 + y**2)
        stretch = np.where(r > 0, np.maximum(np.abs(x), np.abs(y)) / np.maximum(r, 1e-9), 1.0)
        x, y = x * stretch, y * stretch
    uv[k, 0] = SIZE + PATCH / 2 + x * half
    uv[k, 1] = (_ORDER.index(name) + 0.5) * PATCH - y * half

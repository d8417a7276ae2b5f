"""The painted skin: one texture over the template, finer than the mesh, with patches for eyes, teeth and cloth."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from snnface.faces.curves import gauss, smoothstep
from snnface.faces.identity import Identity
from snnface.faces.mesh import EYE_S, MOUTH_Y
from snnface.faces.shape import beard_mask, hair_mask

#: Texels a side of the skin, and the strip beside it (64 texels a patch).
SIZE, PATCH = 512, 64
PATCHES = ("eye", "teeth", "dark", "cloth", "hair", "neck", "ear", "frame")
#: Heights of the first and the last row. Columns are even up to the temples, and coarser around the back, which ends
#: at half the circumference; shares of half the texture.
Y_RANGE = (13.5, -14.5)
_COLUMNS = np.array([(0.0, 0.0), (8.6, 0.7), (24.0, 1.0)])


@dataclass(frozen=True)
class Wrinkles:
    """Shading layers of the actions: flat ``patches`` in ``boxes`` [L, 4] (rows, columns) from ``starts`` [L]."""

    patches: np.ndarray
    boxes: np.ndarray
    starts: np.ndarray


def column_share(s: np.ndarray) -> np.ndarray:
    """Where along the texture's width (0 to 1) a place ``s`` of the template lies."""
    return 0.5 + 0.5 * np.sign(s) * np.interp(np.abs(s), *_COLUMNS.T)


def template_grid(size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Template coordinates s ``[1, size]`` and y ``[size, 1]``, float32, of the texels' centres."""
    share = (np.arange(size) + 0.5) / size
    s = np.sign(share - 0.5) * np.interp(np.abs(2 * share - 1), *_COLUMNS[:, ::-1].T)
    y = Y_RANGE[0] + share * (Y_RANGE[1] - Y_RANGE[0])
    return s[None].astype(np.float32), y[:, None].astype(np.float32)


def line(x: np.ndarray, y: np.ndarray, path: list[tuple[float, float]], width: float) -> np.ndarray:
    """A soft stroke along a polyline that thins out at its ends: Gaussian of ``width`` beside.

    x ``[1, W]``, y ``[H, 1]``; only points within 4.5 widths of the line are looked at.
    """
    points = np.array(path, np.float32)
    low, high = points.min(0) - 4.5 * width, points.max(0) + 4.5 * width
    cols = np.flatnonzero((x[0] > low[0]) & (x[0] < high[0]))
    rows = np.flatnonzero((y[:, 0] > low[1]) & (y[:, 0] < high[1]))
    near_x, near_y = x[:, cols], y[rows]
    best, along = (np.full((len(rows), len(cols)), v, np.float32) for v in (np.inf, 0.0))
    for k, (p, q) in enumerate(itertools.pairwise(points)):
        d = q - p
        t = np.clip(((near_x - p[0]) * d[0] + (near_y - p[1]) * d[1]) / (d @ d), 0, 1)
        r = (near_x - p[0] - t * d[0]) ** 2 + (near_y - p[1] - t * d[1]) ** 2
        along = np.where(r < best, (k + t) / (len(points) - 1), along)
        best = np.minimum(best, r)
    out = np.zeros((len(y), x.shape[1]), np.float32)
    stroke = np.exp(-0.5 * best / width**2) * np.sqrt(np.clip(4 * along * (1 - along), 0.12, 1))
    out[np.ix_(rows, cols)] = stroke
    return out


def noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float | tuple[float, float]) -> np.ndarray:
    """Smooth noise float32 ``shape`` with unit spread: white noise after a Gaussian of ``sigma`` pixels, periodic.

    Drawn as its waves, of which the Gaussian leaves only the long ones.
    """
    rows, cols = np.broadcast_to(sigma, 2)
    down = np.exp(-2 * (np.pi * rows * np.fft.fftfreq(shape[0])) ** 2).astype(np.float32)
    across = np.exp(-2 * (np.pi * cols * np.fft.rfftfreq(shape[1])) ** 2).astype(np.float32)
    across = across[across > 1e-4]
    # All columns but the first stand for two waves, one of each direction.
    across[0] *= math.sqrt(2)
    waves = rng.standard_normal((shape[0], len(across), 2), np.float32).view(np.complex64)[..., 0]
    n = np.fft.irfft(np.fft.ifft(waves * (down[:, None] * across), axis=0), shape[1])
    return n / n.std()


def mix(base: np.ndarray, colour: np.ndarray, mask: np.ndarray) -> None:
    """Blend ``base`` [3, H, W] with ``colour`` ([3], or [3, H, W]) by the share ``mask`` [H, W]."""
    base += (colour.reshape(3, *(colour.shape[1:] or (1, 1))) - base) * mask


def _tinted(mask: np.ndarray, loss: tuple[float, float, float]) -> np.ndarray:
    """Factor ``[3, H, W]``: ``1 - mask · loss`` of each channel."""
    return 1 - mask * np.array(loss, np.float32)[:, None, None]


def brow_line(who: Identity, a: np.ndarray) -> np.ndarray:
    """Height (cm) of the brow's middle at the distance ``a`` from the midline."""
    x = (a - 1.2) / 3.8
    return 1.95 + who.brow_arch * np.sin(np.clip(x, -0.2, 1.15) * np.pi * 0.72) - 0.25 * smoothstep(x, 0.6, 1.3)


@cache
def _folds() -> tuple[np.ndarray, np.ndarray]:
    """Depth ``[512, 512]`` of the shadows and creases that all faces have, and of what age adds to them."""
    s, y = template_grid()
    a, d = np.abs(s), y - MOUTH_Y
    all_have = 0.16 * gauss(a, y, (EYE_S - 0.8, 0.5), (1.3, 0.6)) + 0.12 * gauss(
        a, y, (EYE_S - 0.6, -0.8), (1.2, 0.35)
    )
    all_have += 0.20 * gauss(a, y, (1.35, 0.3), (0.35, 0.8)) + 0.20 * gauss(a, d, (0, -1.6), (1.2, 0.28))
    all_have += 0.30 * gauss(a, y, (0, -5.2), (1.0, 0.22)) + 0.10 * gauss(a, y, (0.0, -5.9), (0.2, 0.5))
    beside_mouth = line(a, y, [(1.6, -4.4), (2.3, -5.4), (2.9, -6.7)], 0.16)
    below_eye = line(a, y, [(1.9, -0.8), (2.6, -1.25), (3.6, -1.3)], 0.12)
    all_have += 0.10 * beside_mouth + 0.08 * below_eye
    all_have += 0.34 * line(a, y, [(1.45, -3.5), (1.75, -4.2), (1.55, -4.85)], 0.13)
    all_have += 0.46 * line(a, y, [(1.75, 0.50), (2.6, 0.92), (3.8, 0.92), (4.8, 0.40)], 0.075)
    age = 0.40 * beside_mouth + 0.25 * below_eye + 0.22 * line(a, y, [(2.6, -7.3), (2.9, -8.4), (2.8, -9.4)], 0.14)
    for h in (3.9, 4.8, 5.7):
        age += 0.20 * line(a, y, [(0, h), (2.5, h + 0.15), (4.5, h - 0.15)], 0.10)
    for k in (-1.2, -0.3, 0.6):
        age += 0.22 * line(a, y, [(5.0, 0.2 * k), (6.3, 0.55 * k)], 0.07)
    return all_have, age + 0.22 * line(a, y, [(0.45, 2.7), (0.5, 1.7)], 0.10)


def _window(low: float, high: float, width: float = 24.0) -> tuple[slice, slice]:
    """Rows and columns of the skin's texels between two heights ``low`` < y < ``high``, closer than ``width`` to the
    midline (cm)."""
    top, bottom = (int((y - Y_RANGE[0]) / (Y_RANGE[1] - Y_RANGE[0]) * SIZE) for y in (high, low))
    half = int((column_share(np.array(width)) - 0.5) * SIZE)
    return slice(max(top, 0), min(bottom, SIZE)), slice(SIZE // 2 - half, SIZE // 2 + half)


def skin_texture(who: Identity) -> np.ndarray:
    """Linear albedo float32 ``[3, 512, 512]`` of the head of ``who``."""
    rng = np.random.default_rng([104729, who.number])
    s, y = template_grid()
    a = np.abs(s)
    shape = (SIZE, SIZE)
    skin = who.skin.astype(np.float32)
    tone = 1 + 0.045 * noise(rng, shape, 22) + (0.012 + 0.014 * who.age) * noise(rng, shape, 3.5)
    tone += 0.018 * noise(rng, shape, 1.2)
    spots = noise(rng, shape, 1.8)
    for _ in range(int(rng.integers(0, 4))):
        at, w = (rng.uniform(-6, 6), rng.uniform(-9, 6)), rng.uniform(0.08, 0.14)
        tone *= 1 - 0.7 * gauss(s, y, at, (w, w))
    all_have, age = _folds()
    tone *= 1 - np.clip(all_have + who.age * age, 0, 0.8)
    img = skin[:, None, None] * tone
    red = 0.40 * gauss(a, y, (4.2, -3.0), (1.7, 1.4)) + 0.40 * gauss(a, y, (0, -4.2), (1.2, 0.8))
    img *= _tinted(red + 0.15 * gauss(a, y, (EYE_S, -0.6), (1.6, 0.6)), (0.0, 0.25, 0.28))
    img *= _tinted(who.freckles * 0.45 * smoothstep(spots, 1.2, 2.2) * (y < 3), (0.6, 0.9, 1.0))
    _paint_mouth(who, img, rng)
    _paint_beard(who, img, rng)
    _paint_eyes_and_nose(who, img, rng)
    if who.hair_length:
        ragged = y + 0.13 * noise(rng, shape, (7.0, 0.9)) + 0.14 * noise(rng, shape, 6.0)
        edge = hair_mask(who, s, ragged, (-0.35, 0.35) if who.fringe else (-0.7, 0.5))
        mix(img, _strands(who, rng, shape, y), edge)
    return np.clip(img, 0.004, 1.0)


def _strands(who: Identity, rng: np.random.Generator, shape: tuple[int, int], y: np.ndarray) -> np.ndarray:
    """Combed hair ``[3, H, W]``: locks of strands, and the sheen of the crown."""
    locks = 1 + 0.20 * noise(rng, shape, (16.0, 1.2)) + 0.16 * noise(rng, shape, (26.0, 4.0))
    sheen = 1 + 0.35 * np.exp(-0.5 * ((y - 8.2 - 0.3 * noise(rng, shape, (4.0, 3.0))) / 0.9) ** 2)
    return np.asarray(who.hair.astype(np.float32)[:, None, None] * np.clip(locks, 0.35, 1.8) * sheen)


def _part(img: np.ndarray, window: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A window of the texture (a view), its distance from the midline ``[1, W]`` and its height ``[H, 1]``."""
    s, y = template_grid()
    return img[:, *window], np.abs(s[:, window[1]]), y[window[0]]


def _paint_beard(who: Identity, img: np.ndarray, rng: np.random.Generator) -> None:
    """Stubble around the mouth and along the jaw, and the hair of a grown beard."""
    if not (who.stubble or who.beard):
        return
    part, a, y = _part(img, _window(-12.6, 1.0, 10.5))
    d = y - MOUTH_Y
    shaved = smoothstep(-y, 6.8, 8.6) * smoothstep(a + 0.25 * (y + 8), -9, -1) + 0.9 * gauss(
        a, d, (0.8, 1.2), (1.6, 0.3)
    )
    sides = smoothstep(a, 6.5, 8.5) * smoothstep(-y, 3.0, 6.0) * (1 - smoothstep(a, 8.6, 10.2))
    shaved = np.clip(shaved + sides, 0, 1) * (1 - _red(who, a, d))
    grain = np.clip(0.75 + 0.3 * noise(rng, shaved.shape, 1.0), 0, 1)
    mix(part, (who.hair * 0.8 + who.skin * 0.1).astype(np.float32), np.clip(who.stubble * shaved * grain, 0, 0.9))
    if who.beard:
        grown = beard_mask(who, a, y + 0.14 * noise(rng, shaved.shape, (3.0, 1.2))) * (1 - _red(who, a, d))
        locks = np.clip(1 + 0.30 * noise(rng, shaved.shape, (4.0, 0.9)), 0.3, 1.8)
        mix(part, 0.9 * who.hair.astype(np.float32)[:, None, None] * locks, smoothstep(grown, 0.15, 0.6) * 0.95)


def _red(who: Identity, a: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The red of the lips, 0..1, at the distance ``a`` from the midline and the height ``d`` over their line."""
    full = 1 + 0.22 * who.shape["lip_fullness"]
    taper = np.clip(1 - (a / 2.52) ** 2, 0, 1)
    notch = 1 - 0.22 * np.exp(-((a / 0.35) ** 2)) + 0.10 * np.exp(-(((a - 0.65) / 0.4) ** 2))
    bow, lower = 0.66 * full * taper**0.8 * notch, 0.88 * full * taper**0.6
    above, below = 1 - smoothstep(d - bow, -0.08, 0.08), 1 - smoothstep(-d - lower, -0.12, 0.10)
    return np.where(d >= 0, above, below) * (a < 2.55)


def _paint_mouth(who: Identity, img: np.ndarray, rng: np.random.Generator) -> None:
    part, a, y = _part(img, _window(MOUTH_Y - 2.2, MOUTH_Y + 1.6, 3.4))
    d = y - MOUTH_Y
    red = _red(who, a, d)
    grain = 1 + 0.06 * noise(rng, red.shape, (4.0, 1.0))
    shade = np.where(d >= 0, 0.80, 1.02 - 0.12 * np.abs(d + 0.45))
    mix(part, who.lips.astype(np.float32), 0.88 * red)
    part *= np.where(red > 0.02, 1 + (grain * shade - 1) * red, 1.0)
    seam = np.clip(1 - (a / 2.72) ** 2, 0, 1) ** 0.35 * np.exp(-0.5 * (d / 0.065) ** 2)
    corner = 0.55 * gauss(a, d, (2.58, -0.02), (0.16, 0.12))
    part *= 1 - np.clip(0.72 * seam + corner, 0, 0.85)


def _paint_eyes_and_nose(who: Identity, img: np.ndarray, rng: np.random.Generator) -> None:
    """Nostrils, lashes and brows."""
    hair = who.hair.astype(np.float32)
    part, a, y = _part(img, _window(-6.5, -3.8, 2.5))
    at = (0.62 * (1 + 0.13 * who.shape["nose_width"]), -4.92 * (1 + 0.05 * who.shape["nose_length"]))
    part *= 1 - 0.88 * np.clip(1.5 * gauss(a, y, at, (0.30, 0.13)), 0, 1)
    part, a, y = _part(img, _window(-0.2, 0.4, 5.0))
    lash = smoothstep(y, -0.07, 0.02) * (1 - smoothstep(y, 0.10, 0.26)) + 0.45 * smoothstep(y, -0.13, -0.04) * (y < 0)
    mix(part, hair * 0.25, 0.92 * lash * np.clip(1 - ((a - EYE_S) / 1.55) ** 2, 0, 1) ** 0.3)
    part, a, y = _part(img, _window(0.6, 3.6, 5.8))
    taper = smoothstep(a, 0.85, 1.5) * (1 - smoothstep(a, 4.2, 5.6))
    half = who.brow_thickness * (0.35 + 0.65 * (1 - smoothstep(a, 2.2, 5.4))) + 0.02
    brow = taper * (1 - smoothstep(np.abs(y - brow_line(who, a)) / half, 0.6, 1.25))
    brow = brow * np.clip(1 + 0.22 * noise(rng, brow.shape, (2.6, 0.8)), 0.5, 1.1)
    mix(part, hair * 0.55, np.clip(who.brow_density * brow, 0, 1))

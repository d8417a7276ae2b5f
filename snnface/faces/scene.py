"""What stands around the face: light, camera framing and the background, drawn for one clip."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from snnface.faces.images import add_clouds

#: The face from chin to hairline (cm), the share of the picture's height it fills, and its middle.
FACE_HEIGHT, FACE_SHARE = 18.5, 0.80
FACE_CENTRE = np.array([0.0, -2.0, 6.0])
NECK_PIVOT = np.array([0.0, -6.0, -1.0])


def rotation(angles: np.ndarray) -> np.ndarray:
    """Rotations ``[F, 3, 3]`` of the head by degrees ``[F, 3]``: + yaw to +x, + pitch up, + roll the crown to +x."""
    a, b, c = np.cos(np.deg2rad(angles)).T
    i, j, k = np.sin(np.deg2rad(angles)).T
    # Tilt (roll) after turn (yaw) after nod (pitch).
    rows = [
        [c * a, k * b - c * i * j, k * j + c * i * b],
        [-k * a, c * b + k * i * j, c * j - k * i * b],
        [-i, -a * j, a * b],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


@dataclass(frozen=True)
class Scene:
    """Light: unit ``direction`` in the world, ``key`` and ``ambient`` strength, ``tint`` (linear RGB, mean 1).

    Camera: ``focal`` length (pixels), ``distance`` (cm), ``centre`` of the picture (pixels), and the shift of the
    body that puts the resting face where it was drawn to be.
    """

    direction: np.ndarray
    key: float
    ambient: float
    tint: np.ndarray
    focal: float
    distance: float
    centre: tuple[float, float]
    placement: np.ndarray

    def camera(self) -> np.ndarray:
        """float32 ``[4]``: focal length, distance, centre."""
        return np.array([self.focal, self.distance, *self.centre], np.float32)

    def head_motion(self, angles: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rigid motions ``[F, 3, 4]`` of the head and of the body for the head's angles ``[F, 3]`` (degrees) and
        shift ``[F, 3]`` (cm)."""
        turn = rotation(angles)
        head = np.concatenate([turn, (NECK_PIVOT - turn @ NECK_PIVOT + shift + self.placement)[..., None]], 2)
        still = np.broadcast_to(np.eye(3), turn.shape)
        body = np.concatenate([still, (0.5 * shift + self.placement)[..., None]], 2)
        return head.astype(np.float32), body.astype(np.float32)

    def light_in_head(self, angles: np.ndarray, lamp: np.ndarray) -> np.ndarray:
        """float32 ``[F, 8]``: direction of the key light, its strength, ambient, the world's up, in the head's frame
        turned by ``angles`` ``[F, 3]`` (degrees); ``lamp`` ``[F, 3]`` as of :class:`snnface.faces.motion.State`."""
        back = rotation(angles).transpose(0, 2, 1)
        turn, lift, change = np.deg2rad(lamp[:, 0]), np.deg2rad(lamp[:, 1]), np.exp(lamp[:, 2])
        azimuth = np.arctan2(self.direction[0], self.direction[2]) + turn
        elevation = np.arcsin(np.clip(self.direction[1], -1, 1)) + lift
        flat = np.cos(elevation)
        towards = np.stack([np.sin(azimuth) * flat, np.sin(elevation), np.cos(azimuth) * flat], 1)
        strength = np.broadcast_to(np.stack([change * self.key, change * self.ambient], 1), (len(back), 2))
        key = (back @ towards[..., None])[..., 0]
        return np.concatenate([key, strength, back[:, :, 1]], 1).astype(np.float32)


def draw_scene(rng: np.random.Generator, width: int, height: int, rest_angles: np.ndarray) -> Scene:
    """Light and framing: the face is shifted and scaled by up to 10 %."""
    azimuth, elevation = np.deg2rad(rng.uniform(-75, 75)), np.deg2rad(rng.uniform(-10, 60))
    direction = np.array(
        [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
    )
    exposure = rng.uniform(0.75, 1.25)
    key, ambient = exposure * rng.uniform(0.45, 1.0), exposure * rng.uniform(0.30, 0.6)
    tint = rng.uniform(0.88, 1.12, 3)
    distance = rng.uniform(60.0, 110.0)
    scale, shift = rng.uniform(0.9, 1.1), rng.uniform(-0.1, 0.1, 2)
    side = min(height, width * 1.1)
    focal = FACE_SHARE * side * scale / FACE_HEIGHT * (distance - FACE_CENTRE[2])
    r = rotation(rest_angles[None])[0]
    face = r @ (FACE_CENTRE - NECK_PIVOT) + NECK_PIVOT
    wanted = np.array([shift[0], -shift[1]]) * FACE_HEIGHT / FACE_SHARE / scale
    placement = np.array([wanted[0] - face[0], wanted[1] - face[1], FACE_CENTRE[2] - face[2]])
    return Scene(direction, key, ambient, tint / tint.mean(), focal, distance, (width / 2, height / 2), placement)


@lru_cache(maxsize=8)
def _spline(values: int, points: int) -> np.ndarray:
    """float32 ``[points, values]``: what each value adds to the cubic spline through all, at even distances."""

    def basis(at: np.ndarray) -> np.ndarray:
        """Cubic B-splines about -1, 0, … values; what lies beyond the ends is a mirror image."""
        d = np.abs(at[:, None] - np.arange(-1, values + 1))
        b = np.where(d < 1, 2 / 3 - d**2 + d**3 / 2, np.maximum(2 - d, 0) ** 3 / 6)
        b[:, 2] += b[:, 0]
        b[:, -3] += b[:, -1]
        return b[:, 1:-1]

    return (basis(np.linspace(0, values - 1, points)) @ np.linalg.inv(basis(np.arange(values)))).astype(np.float32)


def draw_background(rng: np.random.Generator, rows: int, cols: int) -> np.ndarray:
    """Static background, linear RGB float32 ``[rows, cols, 3]``: smooth clouds and a few plain shapes."""
    grey = np.zeros((rows, cols), np.float32)
    side = max(rows, cols)
    for cell in (3, 6, 12, 24):
        cells = rng.normal(size=(cell + 3, cell + 3)).astype(np.float32)
        weights = _spline(cell + 3, round((cell + 3) * (side + 8) / cell))
        oy, ox = (int(rng.integers(0, len(weights) - n + 1)) for n in (rows, cols))
        add_clouds(weights[oy : oy + rows], cells / np.float32(cell**0.7), weights[ox : ox + cols], grey)
    grey = 0.5 + 0.5 * np.tanh(grey * rng.uniform(0.3, 1.5))
    low, high = sorted(rng.uniform(0.03, 0.8, 2).tolist())
    grey = low + (high - low) * grey
    y, x = (v.astype(np.float32) / side for v in np.ogrid[0:rows, 0:cols])
    for _ in range(int(rng.integers(1, 6))):
        cx, cy = rng.uniform(0, 1, 2).tolist()
        w, h = rng.uniform(0.04, 0.3, 2).tolist()
        turn, level, soft = rng.uniform(0, np.pi), rng.uniform(0.03, 0.8), rng.uniform(0.004, 0.02)
        cos, sin = math.cos(turn), math.sin(turn)
        u, v = (x - cx) * cos + (y - cy) * sin, (y - cy) * cos - (x - cx) * sin
        inside = np.hypot(u / w, v / h) - 1 if rng.random() < 0.4 else np.maximum(np.abs(u) / w, np.abs(v) / h) - 1
        mask = 1 / (1 + np.exp(np.clip(inside * min(w, h) / soft, -30, 30)))
        grey += (level - grey) * mask
    tint = 1 + rng.uniform(-0.15, 0.15, 3)
    return grey[..., None] * tint.astype(np.float32)

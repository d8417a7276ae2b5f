"""What stands around the face: light, camera framing and the background, drawn for one clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import zoom

#: The face from chin to hairline (cm), the share of the picture's height it fills, and its middle.
FACE_HEIGHT, FACE_SHARE = 18.5, 0.80
FACE_CENTRE = np.array([0.0, -2.0, 6.0])
NECK_PIVOT = np.array([0.0, -6.0, -1.0])


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rotation ``[3, 3]`` of the head by degrees: + yaw to +x, + pitch up, + roll the crown towards +x."""
    a, b, c = np.deg2rad([yaw, pitch, roll])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    tilt = np.array([[np.cos(c), np.sin(c), 0], [-np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return tilt @ turn @ nod


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
        """Rigid motions ``[3, 4]`` of the head and of the body for the head's angles (degrees) and shift (cm)."""
        r = rotation(*angles)
        head = np.empty((3, 4), np.float32)
        head[:, :3] = r
        head[:, 3] = NECK_PIVOT - r @ NECK_PIVOT + shift + self.placement
        body = np.zeros((3, 4), np.float32)
        body[:, :3] = np.eye(3)
        body[:, 3] = 0.5 * shift + self.placement
        return head, body

    def light_in_head(self, angles: np.ndarray) -> np.ndarray:
        """float32 ``[8]``: direction of the key light, its strength, ambient, the world's up, in the head's frame."""
        r = rotation(*angles)
        return np.array([*(r.T @ self.direction), self.key, self.ambient, *r.T[:, 1]], np.float32)


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
    r = rotation(*rest_angles)
    face = r @ (FACE_CENTRE - NECK_PIVOT) + NECK_PIVOT
    wanted = np.array([shift[0], -shift[1]]) * FACE_HEIGHT / FACE_SHARE / scale
    placement = np.array([wanted[0] - face[0], wanted[1] - face[1], FACE_CENTRE[2] - face[2]])
    return Scene(direction, key, ambient, tint / tint.mean(), focal, distance, (width / 2, height / 2), placement)


def draw_background(rng: np.random.Generator, rows: int, cols: int) -> np.ndarray:
    """Static background, linear RGB float32 ``[rows, cols, 3]``: smooth clouds and a few plain shapes."""
    grey = np.zeros((rows, cols))
    side = max(rows, cols)
    for cell in (3, 6, 12, 24):
        cells = rng.normal(size=(cell + 3, cell + 3))
        clouds = zoom(cells, (side + 8) / cell, order=3 if side < 600 else 1)
        oy, ox = (int(rng.integers(0, max(n - m, 0) + 1)) for n, m in zip(clouds.shape, (rows, cols), strict=True))
        grey += clouds[oy : oy + rows, ox : ox + cols] / cell**0.7
    grey = 0.5 + 0.5 * np.tanh(grey * rng.uniform(0.3, 1.5))
    low, high = sorted(rng.uniform(0.03, 0.8, 2))
    grey = low + (high - low) * grey
    y, x = np.mgrid[0:rows, 0:cols] / side
    for _ in range(int(rng.integers(1, 6))):
        cx, cy = rng.uniform(0, 1, 2)
        w, h = rng.uniform(0.04, 0.3, 2)
        turn, level, soft = rng.uniform(0, np.pi), rng.uniform(0.03, 0.8), rng.uniform(0.004, 0.02)
        u, v = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn), (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        inside = np.hypot(u / w, v / h) - 1 if rng.random() < 0.4 else np.maximum(np.abs(u) / w, np.abs(v) / h) - 1
        mask = 1 / (1 + np.exp(np.clip(inside * min(w, h) / soft, -30, 30)))
        grey += (level - grey) * mask
    tint = 1 + rng.uniform(-0.15, 0.15, 3)
    return (grey[..., None] * tint).astype(np.float32)

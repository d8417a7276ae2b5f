"""One clip of one face: light at the sensor, pictures and labels at any time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from snnface.errors import InputError
from snnface.faces import picture, render
from snnface.faces.canvas import Canvas
from snnface.faces.motion import Motion, State
from snnface.faces.outline import follow_outline
from snnface.faces.person import Face
from snnface.faces.procedural import PROCEDURAL
from snnface.faces.scene import draw_scene
from snnface.facs import AUS, EXPRESSIONS

#: Shortest and longest step (µs) from one sample to the next, and how far (pixels) anything may move in one.
SHORTEST_STEP, LONGEST_STEP, LARGEST_MOVE = 500, 33_334, 0.5
#: Motion is followed on a grid of this many µs: nothing starts and stops between two of its points.
GRID_US = 4000
#: Moments whose state is held at a time, so that long clips need no more memory than short ones.
BLOCK = 1024


@dataclass(frozen=True)
class ClipSpec:
    """What to act: ``au`` is a FACS number or -1, ``expression`` an index of ``EXPRESSIONS`` or -1.

    identity: the person. seconds: length of the clip. width, height: pixels of the sensor. seed: of everything else.

    Raises
    ------
    InputError: a number is out of range, or both an action and an expression are asked for.
    """

    identity: int
    au: int
    expression: int
    seconds: float
    width: int
    height: int
    seed: int

    def __post_init__(self) -> None:
        if self.au != -1 and self.au not in AUS:
            raise InputError("clip", f"action unit {self.au}", f"Give -1 or one of {AUS}")
        if not -1 <= self.expression < len(EXPRESSIONS):
            raise InputError("clip", f"expression {self.expression}", f"Give -1 to {len(EXPRESSIONS) - 1}")
        if self.au != -1 and self.expression != -1:
            raise InputError("clip", "both an action unit and an expression", "Set one of them to -1")
        if self.identity < 0 or self.seed < 0:
            raise InputError("clip", "a negative identity or seed", "Give numbers ≥ 0")
        if not 0.3 <= self.seconds <= 3600:
            raise InputError("clip", f"length {self.seconds} s", "Give 0.3 to 3600 seconds")
        if not (16 <= self.width <= 4096 and 16 <= self.height <= 4096):
            raise InputError("clip", f"picture {self.width}x{self.height}", "Give sides of 16 to 4096 pixels")


class FaceClip:
    """A face that rests and then acts; the same clip for the same :class:`ClipSpec`.

    Pose, light, background, motion and gaze are drawn from separate streams of the seed: none depends on the label.
    ``intensity`` (0..1), if given, replaces the drawn one, to show an action at a strength of choice. ``face``: the
    kind of face.

    Raises
    ------
    InputError: this kind of face cannot act what the clip is of.
    """

    def __init__(self, spec: ClipSpec, intensity: float | None = None, face: Face = PROCEDURAL) -> None:
        if spec.au != -1 and spec.au not in face.actions:
            raise InputError(f"face {face.name}", f"cannot act AU{spec.au}", f"Choose one of {face.actions}")
        if spec.expression != -1 and spec.expression not in face.expressions:
            missing = EXPRESSIONS[spec.expression]
            raise InputError(f"face {face.name}", f"cannot act {missing}", f"Choose one of {face.expressions}")
        self.spec = spec
        motion_seed, scene_seed, self._back_seed = np.random.SeedSequence(spec.seed).spawn(3)
        drawn = len(face.components)
        self.motion = Motion(spec.au, spec.expression, spec.seconds, motion_seed, intensity, drawn)
        if 45 not in face.actions:
            self.motion.stray.clear()
        self.scene = draw_scene(np.random.default_rng(scene_seed), spec.width, spec.height, self.motion.rest_head)
        self.person = face.person(spec.identity)
        self.model = self.person.model
        self._camera = self.scene.camera()

    @property
    def duration_us(self) -> int:
        """Length in µs."""
        return round(self.spec.seconds * 1e6)

    def state(self, t_us: np.ndarray | int) -> State:
        """Everything that moves at the times ``t_us`` (µs)."""
        return self.motion.at(np.atleast_1d(np.asarray(t_us, float)) * 1e-6)

    def film(self, times_us: np.ndarray) -> Iterator[np.ndarray]:
        """Pictures at some times (µs): linear RGB float32 ``[H, W, 3]``, pixels area-averaged; > 0, roughly 0..1."""
        for start in range(0, len(times_us), BLOCK):
            pose = self._pose(times_us[start : start + BLOCK])
            for i in range(len(pose.head)):
                yield self._canvas.draw(pose, i, self._camera)

    def luminance(self, t_us: int) -> np.ndarray:
        """float32 ``[H, W]`` linear light at time ``t_us``."""
        return picture.luminance(next(self.film(np.array([t_us]))))

    def rgb(self, t_us: int) -> np.ndarray:
        """uint8 ``[H, W, 3]`` sRGB picture of the same pixels."""
        return picture.srgb(next(self.film(np.array([t_us]))))

    def sampling_times(self, stops_us: np.ndarray) -> np.ndarray:
        """int64 ``[N]`` times (µs) at which to look, from the first of the increasing ``stops_us`` to the last; each
        of them is among the times.

        From one to the next nothing moves by more than half a pixel, unless they are 500 µs apart; at most 33 ms.
        """
        stops = np.asarray(stops_us, np.int64)
        grid = np.append(np.arange(stops[0], stops[-1], GRID_US), stops[-1])
        steps = [self._steps(grid[i : i + BLOCK + 1]) for i in range(0, len(grid) - 1, BLOCK)]
        clock = np.concatenate([[0.0], *steps]).cumsum()
        at = np.interp(stops, grid, clock)
        count = np.maximum(np.ceil(np.diff(at) - 1e-6), 1).astype(np.int64)
        # Between two stops, steps of equal length by this clock.
        step = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
        ticks = np.repeat(at[:-1], count) + step * np.repeat(np.diff(at) / count, count)
        between = np.rint(np.interp(ticks[step > 0], clock, grid)).astype(np.int64)
        return np.union1d(stops, between)

    def labels(self, t_us: np.ndarray) -> dict[str, np.ndarray]:
        """Labels at the times ``t_us`` int64 ``[F]`` (µs), all float32 but ``visible`` (bool).

        au_intensity ``[F, 24]`` in the order of ``AUS``; landmarks ``[F, 68, 2]`` in event pixels (x, y; a pixel's
        centre is a whole number); visible ``[F, 68]``: the skin there faces the camera; coefficients ``[F, K]`` as in
        the face's ``coefficients`` (the head's are the acted part, relative to rest); pose ``[F, 3]`` yaw, pitch,
        roll in degrees (to the subject's left, up, towards the left shoulder are positive); gaze ``[F, 2]`` degrees
        (to the subject's left, up); box ``[F, 4]`` x0, y0, x1, y1 of the face from chin to hairline.
        """
        times = np.atleast_1d(np.asarray(t_us, np.int64))
        state, frames, mesh = self.state(times), len(times), self.person.mesh
        pose = self.person.pose(state, self.scene)
        known = len(mesh.landmarks)
        marks, box = np.full((frames, 68, 2), np.nan, np.float32), np.empty((frames, 4), np.float32)
        places, directions = (np.zeros((frames, 68, 3), np.float32) for _ in range(2))
        around = mesh.smooth[np.isin(mesh.smooth, mesh.facing).any(1)]
        p, screen, normals = (np.empty((len(self.model.occlusion), 3), np.float32) for _ in range(3))
        for i in range(frames):
            self.person.place(pose, i, self._camera, p, screen)
            xy = screen[:, :2] - np.float32(0.5)
            box[i, :2], box[i, 2:] = xy[mesh.outline].min(0), xy[mesh.outline].max(0)
            if known:
                render.find_normals(p, around, normals)
                marks[i], places[i], directions[i] = xy[mesh.landmarks], p[mesh.facing], normals[mesh.facing]
                follow_outline(mesh, xy, marks[i])
        turn = pose.head[:, :, :3].transpose(0, 2, 1)
        towards = np.array([0, 0, self.scene.distance], np.float32) - (places @ turn + pose.head[:, None, :, 3])
        return {
            "au_intensity": state.au,
            "landmarks": marks,
            "visible": ((directions @ turn) * towards).sum(2) > 0,
            "coefficients": state.coefficients(),
            "pose": state.head.astype(np.float32),
            "gaze": state.gaze.astype(np.float32),
            "box": box,
        }

    def _pose(self, t_us: np.ndarray) -> Any:
        return self.person.pose(self.state(t_us), self.scene)

    @cached_property
    def _canvas(self) -> Canvas:
        return Canvas(self.person, self.scene, self.spec.height, self.spec.width, self._back_seed)

    def _steps(self, grid_us: np.ndarray) -> np.ndarray:
        """float64 ``[G - 1]``: how many steps it takes from each time (µs) of a grid to the next."""
        pose = self._pose(grid_us)
        moved = self.person.travelled(pose, self._camera)
        iris = 1.5 * self.scene.focal / self.scene.distance * np.abs(np.diff(pose.look, axis=0))
        # Wrinkles that come up count as if they moved.
        wrinkles = 5.0 * np.abs(np.diff(pose.channels, axis=0))
        moved = np.concatenate([moved[:, None], iris, wrinkles], 1).max(1)
        gap = np.diff(grid_us)
        return np.clip(moved / LARGEST_MOVE, gap / LONGEST_STEP, gap / SHORTEST_STEP)

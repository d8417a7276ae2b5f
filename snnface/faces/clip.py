"""One clip of one face: light at the sensor, pictures and labels at any time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from snnface.errors import InputError
from snnface.faces import picture
from snnface.faces.canvas import Canvas
from snnface.faces.labels import labels_of
from snnface.faces.motion import Motion, State
from snnface.faces.person import Face
from snnface.faces.procedural import PROCEDURAL
from snnface.faces.props import Prop, make_glasses
from snnface.faces.scene import draw_scene
from snnface.faces.stage import Stage
from snnface.faces.surroundings import Surroundings
from snnface.faces.variation import PLAIN, Variation
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
    kind of face. ``variation``: how much clips differ beyond that.

    Raises
    ------
    InputError: this kind of face cannot act what the clip is of.
    """

    def __init__(
        self,
        spec: ClipSpec,
        intensity: float | None = None,
        face: Face = PROCEDURAL,
        variation: Variation = PLAIN,
    ) -> None:
        if spec.au != -1 and spec.au not in face.actions:
            raise InputError(f"face {face.name}", f"cannot act AU{spec.au}", f"Choose one of {face.actions}")
        if spec.expression != -1 and spec.expression not in face.expressions:
            missing = EXPRESSIONS[spec.expression]
            raise InputError(f"face {face.name}", f"cannot act {missing}", f"Choose one of {face.expressions}")
        self.spec = spec
        motion_seed, scene_seed, self._back_seed, around_seed = np.random.SeedSequence(spec.seed).spawn(4)
        drawn = len(face.components)
        self.motion = Motion(spec.au, spec.expression, spec.seconds, motion_seed, intensity, drawn, variation)
        if drawn:
            self.motion.gestures.clear()
        if 45 not in face.actions:
            self.motion.stray.clear()
        self.scene = draw_scene(np.random.default_rng(scene_seed), spec.width, spec.height, self.motion.rest_head)
        self.person = face.person(spec.identity, variation.beards)
        self.model = self.person.model
        self.around = Surroundings(around_seed, variation, spec.seconds)
        self.stage = Stage([*self.around.props, *self._glasses(variation.glasses)], self.around.margin)
        self._camera = self.scene.camera()

    @property
    def duration_us(self) -> int:
        """Length in µs."""
        return round(self.spec.seconds * 1e6)

    def state(self, t_us: np.ndarray | int) -> State:
        """Everything that moves at the times ``t_us`` (µs)."""
        seconds = np.atleast_1d(np.asarray(t_us, float)) * 1e-6
        return replace(self.motion.at(seconds), lamp=self.around.lamp(seconds))

    def film(self, times_us: np.ndarray) -> Iterator[np.ndarray]:
        """Pictures at some times (µs): linear RGB float32 ``[H, W, 3]``, pixels area-averaged; > 0, roughly 0..1.

        As a camera sees them whose exposure outlasts the mains' swings; :meth:`light` has those.
        """
        for start in range(0, len(times_us), BLOCK):
            times = np.asarray(times_us[start : start + BLOCK])
            pose = self._pose(times)
            things, drift = self.stage.seen(times * 1e-6, pose, self._camera), self.around.drift(times * 1e-6)
            for i in range(len(pose.head)):
                yield self._canvas.draw(pose, i, self._camera, things, drift)

    def light(self, times_us: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """What an event sensor sees: time (µs), luminance float32 ``[H, W]`` and, at ``times_us``, the picture of the
        :meth:`film`. Where the light flickers, moments between those times, in order, without a picture."""
        before: tuple[int, np.ndarray] | None = None
        for t, seen in zip(np.asarray(times_us).tolist(), self.film(times_us), strict=True):
            now = picture.luminance(seen)
            if before is None:
                yield t, now * np.float32(self.around.mains(t)), seen
            else:
                for moment, light in self.around.between(*before, t, now):
                    yield moment, light, seen if moment == t else None
            before = t, now

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
        """Labels at the times ``t_us`` int64 ``[F]`` (µs): :func:`snnface.faces.labels.labels_of`."""
        times = np.atleast_1d(np.asarray(t_us, np.int64))
        state = self.state(times)
        pose = self.person.pose(state, self.scene)
        things = self.stage.seen(times * 1e-6, pose, self._camera)
        return labels_of(self.person, self.scene, state, pose, self.stage, things)

    def _pose(self, t_us: np.ndarray) -> Any:
        return self.person.pose(self.state(t_us), self.scene)

    @cached_property
    def _canvas(self) -> Canvas:
        return Canvas(self.person, self.scene, self.spec.height, self.spec.width, self._back_seed, self.stage)

    def _glasses(self, share: float) -> list[Prop]:
        """Those of the person, if it has any: the same ones in every clip."""
        wears = np.random.default_rng([86028121, self.spec.identity]).random() < share
        marks = self.person.mesh.landmarks
        return [make_glasses(self.spec.identity, self.model.rest[marks])] if wears and len(marks) else []

    def _steps(self, grid_us: np.ndarray) -> np.ndarray:
        """float64 ``[G - 1]``: how many steps it takes from each time (µs) of a grid to the next."""
        state, side = self.state(grid_us), max(self.spec.width, self.spec.height)
        pose = self.person.pose(state, self.scene)
        moved = self.person.travelled(pose, self._camera)
        iris = 1.5 * self.scene.focal / self.scene.distance * np.abs(np.diff(pose.look, axis=0))
        # Wrinkles that come up count as if they moved.
        wrinkles = 5.0 * np.abs(np.diff(pose.channels, axis=0))
        # So does light that grows by a twentieth or turns by three degrees; outside the picture nothing counts.
        lamp = np.abs(np.diff(state.lamp, axis=0)) * (1 / 6, 1 / 6, 10.0)
        drift = side * np.abs(np.diff(self.around.drift(grid_us * 1e-6), axis=0))
        things = self.stage.seen(grid_us * 1e-6, pose, self._camera)[..., :2]
        things = np.abs(np.diff(np.clip(things, -2, (self.spec.width + 2, self.spec.height + 2)), axis=0))
        every = (moved[:, None], iris, wrinkles, lamp, drift, things.reshape(len(moved), -1))
        moved = np.concatenate(every, 1).max(1)
        gap = np.diff(grid_us)
        return np.clip(moved / LARGEST_MOVE, gap / LONGEST_STEP, gap / SHORTEST_STEP)

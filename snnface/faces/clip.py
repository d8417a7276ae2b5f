"""One clip of one face: light at the sensor, pictures and labels at any time."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from snnface.errors import InputError
from snnface.faces import render
from snnface.faces.landmarks import facing_vertices, landmark_vertices
from snnface.faces.mesh import EYE, template
from snnface.faces.model import LUMA, face_model, face_textures, skin_rows
from snnface.faces.motion import Motion, State
from snnface.faces.scene import draw_background, draw_scene
from snnface.faces.texture import Wrinkles
from snnface.faces.wrinkles import wrinkle_layers
from snnface.facs import AUS, EXPRESSIONS

#: Sampling steps (µs) that :meth:`FaceClip.next_time` may take, and how far (pixels) anything may move in one.
SHORTEST_STEP, LONGEST_STEP, LARGEST_MOVE = 500, 16000, 0.5
#: Up to this height (pixels) a pixel is the mean of 3×3 samples, above of 2×2: a feature spans more pixels then, and
#: events are as many as with finer sampling.
FINELY_SAMPLED = 80
#: Light that the lens scatters onto every pixel: it limits the contrast as a real lens does.
STRAY_LIGHT = np.float32(0.012)


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
    ``intensity`` (0..1), if given, replaces the drawn one, to show an action at a strength of choice.
    """

    def __init__(self, spec: ClipSpec, intensity: float | None = None) -> None:
        self.spec = spec
        motion_seed, scene_seed, back_seed = np.random.SeedSequence(spec.seed).spawn(3)
        self.motion = Motion(spec.au, spec.expression, spec.seconds, motion_seed, intensity)
        self.scene = draw_scene(np.random.default_rng(scene_seed), spec.width, spec.height, self.motion.rest_head)
        self.model = face_model(spec.identity)
        small = max(spec.width, spec.height) <= 128
        self._samples = 3 if spec.height <= FINELY_SAMPLED else 2
        self._shrink = 2 if small else 1
        self._back_seed = back_seed
        self._camera = self.scene.camera()
        t = template()
        self._triangles = t.triangles
        self._eyes = np.flatnonzero(t.part == EYE)
        self._eye_of = t.eye[self._eyes].astype(np.int64)
        self._lid_margin = [
            int(
                np.flatnonzero(
                    t.skin & (t.side == 1) & (t.eye == e) & (t.depth == 0) & (np.abs(np.abs(t.s) - 2.9) < 0.1)
                )[0]
            )
            for e in range(2)
        ]
        self._uv = face_textures(spec.identity, self._shrink)[1].copy()
        self._uv_rest = self._uv[self._eyes].copy()
        self._gaze_texels = 26.0 / self._shrink
        v = len(t.s)
        self._p, self._screen = np.zeros((v, 3), np.float32), np.zeros((v, 3), np.float32)
        self._normals, self._shade = np.zeros((v, 3), np.float32), np.zeros(v, np.float32)
        self._marks, self._facing = landmark_vertices(), facing_vertices()
        watched = t.skin & (t.depth == 0) & (np.abs(t.s) < 11) & (t.y > -11.5)
        self._watch = np.unique(np.concatenate([np.flatnonzero(watched)[::9], self._marks, self._lid_margin]))
        self._watch_model = self.model.subset(self._watch)
        self._canvases: dict[int, _Canvas] = {}
        self._seen: dict[int, np.ndarray] = {}

    @property
    def duration_us(self) -> int:
        """Length in µs."""
        return round(self.spec.seconds * 1e6)

    def state(self, t_us: np.ndarray | int) -> State:
        """Everything that moves at the times ``t_us`` (µs)."""
        return self.motion.at(np.atleast_1d(np.asarray(t_us, float)) * 1e-6)

    def luminance(self, t_us: int) -> np.ndarray:
        """float32 ``[H, W]`` linear light at time ``t_us``, pixels area-averaged; > 0, roughly 0..1."""
        return self._render(t_us, 1)[0]

    def rgb(self, t_us: int) -> np.ndarray:
        """uint8 ``[H, W, 3]`` sRGB picture of the same pixels."""
        linear = np.clip(self._render(t_us, 3).transpose(1, 2, 0), 0.0, 1.0)
        curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        return np.rint(curve * 255).astype(np.uint8)

    def next_time(self, t_us: int) -> int:
        """The next sampling time (µs): nothing moves by more than half a pixel, 500 to 16000 µs later."""
        start, step = self._watched(t_us), LONGEST_STEP
        for _ in range(4):
            moved = float(np.abs(self._watched(t_us + step) - start).max())
            if moved <= LARGEST_MOVE or step == SHORTEST_STEP:
                break
            step = max(SHORTEST_STEP, int(step * max(0.9 * LARGEST_MOVE / moved, 0.1)))
        return int(t_us) + step

    @functools.cached_property
    def _backdrop(self) -> np.ndarray:
        """The background's samples, linear RGB float32 ``[H·n, W·n, 3]``."""
        rows, cols = self.spec.height * self._samples, self.spec.width * self._samples
        return draw_background(np.random.default_rng(self._back_seed), rows, cols)

    def _watched(self, t_us: int) -> np.ndarray:
        """Picture positions (pixels) of the watched vertices, and gaze and strength of wrinkles on the same scale."""
        known = self._seen.get(int(t_us))
        if known is not None:
            return known
        state = self.state(t_us)
        p = np.empty((len(self._watch), 3), np.float32)
        out = np.empty_like(p)
        self._watch_model.deform(state, 0, p)
        head, body = self.scene.head_motion(state.head[0], state.shift[0])
        render.project(p, self._watch_model.follow, head, body, self._camera, out)
        iris = np.sin(np.deg2rad(state.gaze[0])) * 1.5 * self.scene.focal / self.scene.distance
        places = np.concatenate([out[:, 0], out[:, 1], iris, 5.0 * state.channels[0]])
        # A step ends where the next one starts: the last few answers are asked for again.
        if len(self._seen) > 4:
            self._seen.clear()
        self._seen[int(t_us)] = places
        return places

    def _place(self, state: State, i: int) -> None:
        self.model.deform(state, i, self._p)
        head, body = self.scene.head_motion(state.head[i], state.shift[i])
        render.project(self._p, self.model.follow, head, body, self._camera, self._screen)

    def _light(self, state: State, i: int) -> None:
        light = self.scene.light_in_head(state.head[i])
        render.light_vertices(self._p, self._triangles, self.model.occlusion, light, self._normals, self._shade)
        margin = self._p[self._lid_margin, 1]
        render.shade_eyes(self._p, self._eyes, self._eye_of, margin, self._shade)

    def _render(self, t_us: int, channels: int) -> np.ndarray:
        state = self.state(t_us)
        canvas = self._canvases.get(channels)
        if canvas is None:
            canvas = self._canvases[channels] = _Canvas(self, channels)
        self._place(state, 0)
        self._light(state, 0)
        look = np.sin(np.deg2rad(state.gaze[0])) * self._gaze_texels
        self._uv[self._eyes] = self._uv_rest + np.array([-look[0], look[1]], np.float32)
        return canvas.draw(self, state.channels[0])

    def labels(self, t_us: np.ndarray) -> dict[str, np.ndarray]:
        """Labels at the times ``t_us`` int64 ``[F]`` (µs), all float32 but ``visible`` (bool).

        au_intensity ``[F, 24]`` in the order of ``AUS``; landmarks ``[F, 68, 2]`` in event pixels (x, y; a pixel's
        centre is a whole number); visible ``[F, 68]``: the skin there faces the camera; coefficients ``[F, K]`` as in
        ``COEFFICIENT_NAMES`` (the head's are the acted part, relative to rest); pose ``[F, 3]`` yaw, pitch, roll in
        degrees (to the subject's left, up, towards the left shoulder are positive); gaze ``[F, 2]`` degrees (to the
        subject's left, up); box ``[F, 4]`` x0, y0, x1, y1 of the face from chin to hairline.
        """
        times = np.atleast_1d(np.asarray(t_us, np.int64))
        state = self.state(times)
        frames = len(times)
        marks, visible = np.zeros((frames, 68, 2), np.float32), np.zeros((frames, 68), bool)
        box = np.zeros((frames, 4), np.float32)
        t = template()
        face = t.skin & (np.abs(t.s) < 11) & (t.y > -11.8) & (t.y < 7.0)
        for i in range(frames):
            self._place(state, i)
            self._light(state, i)
            xy = self._screen[:, :2] - 0.5
            marks[i] = xy[self._marks]
            head, _ = self.scene.head_motion(state.head[i], state.shift[i])
            world = self._p[self._facing] @ head[:, :3].T + head[:, 3]
            towards = np.array([0, 0, self.scene.distance], np.float32) - world
            visible[i] = ((self._normals[self._facing] @ head[:, :3].T) * towards).sum(1) > 0
            box[i, :2], box[i, 2:] = xy[face].min(0), xy[face].max(0)
        return {
            "au_intensity": state.au,
            "landmarks": marks,
            "visible": visible,
            "coefficients": state.coefficients(),
            "pose": state.head.astype(np.float32),
            "gaze": state.gaze.astype(np.float32),
            "box": box,
        }


class _Canvas:
    """Texture, background and buffers for one number of channels."""

    def __init__(self, clip: FaceClip, channels: int) -> None:
        spec, n = clip.spec, clip._samples
        rgb, _ = face_textures(spec.identity, clip._shrink)
        tint = clip.scene.tint.astype(np.float32)
        base = rgb * tint
        back = clip._backdrop
        if channels == 1:
            weights = LUMA.astype(np.float32)
            base, back = (base @ weights)[..., None], (back @ weights)[..., None]
        self.base = np.ascontiguousarray(base.transpose(2, 0, 1))
        self.back = np.ascontiguousarray(back.transpose(2, 0, 1))
        self.texture = self.base.copy()
        layers, self.channels = wrinkle_layers(skin_rows(clip._shrink))
        self.layers: Wrinkles = layers
        self.touched = np.zeros(len(self.channels), bool)
        self.image, self.depth = np.empty_like(self.back), np.empty(self.back.shape[1:], np.float32)
        self.owner, self.slant = np.empty(self.depth.shape, np.int32), render.slants(max(self.depth.shape))
        self.planes = np.empty((len(clip._triangles), 11), np.float32)
        self.row = np.empty(spec.width * n, np.float32)
        self.window = render.window(n)

    def draw(self, clip: FaceClip, amounts: np.ndarray) -> np.ndarray:
        """float32 ``[C, H, W]`` of the clip's present vertices."""
        k = self.layers
        amount = amounts[self.channels].astype(np.float32)
        render.wrinkle(self.base, k.patches, k.boxes, k.starts, amount, self.touched, self.texture)
        self.image[:] = self.back
        n = clip._samples
        seen = (clip._screen, clip._triangles, clip._uv, clip._shade)
        render.find_visible(*seen, n, self.slant, self.planes, self.depth, self.owner)
        render.paint(self.owner, self.planes, self.slant, self.texture, self.image)
        out = np.empty((len(self.image), clip.spec.height, clip.spec.width), np.float32)
        render.gather(self.image, n, self.window, self.row, out)
        return out + STRAY_LIGHT

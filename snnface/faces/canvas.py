"""What one clip is drawn on: texture, background, and room for the kernels to work in."""

from __future__ import annotations

import numpy as np

from snnface.faces import render
from snnface.faces.landmarks import lid_margins
from snnface.faces.mesh import EYE, template
from snnface.faces.model import FaceModel, face_textures, skin_rows
from snnface.faces.pose import Pose
from snnface.faces.scene import Scene, draw_background
from snnface.faces.wrinkles import wrinkle_layers

#: Up to this height (pixels) a pixel is the mean of 3×3 samples, above of 2×2: a feature spans more pixels then, and
#: events are as many as with finer sampling.
FINELY_SAMPLED = 80
#: Up to this many pixels a side the texture is half as fine.
COARSELY_PAINTED = 128
#: Light that the lens scatters onto every pixel: it limits the contrast as a real lens does.
STRAY_LIGHT = np.float32(0.012)
#: Texels by which a look to the side moves the iris.
GAZE_TEXELS = 26.0


class Canvas:
    """Draws the face of one clip, moment by moment; everything that does not move is made once."""

    def __init__(
        self, identity: int, model: FaceModel, scene: Scene, height: int, width: int, back: np.random.SeedSequence
    ) -> None:
        self.model, self.shape = model, (height, width, 3)
        n = self.samples = 3 if height <= FINELY_SAMPLED else 2
        rows, cols = height * n, width * n
        shrink = 2 if max(width, height) <= COARSELY_PAINTED else 1
        rgb, uv = face_textures(identity, shrink)
        self.base = rgb * scene.tint.astype(np.float32)
        self.texture = self.base.copy()
        self.layers, self.channels = wrinkle_layers(skin_rows(shrink))
        self.touched = np.zeros(len(self.channels), bool)
        self.back = draw_background(np.random.default_rng(back), rows, cols)
        t = template()
        self.triangles = t.triangles
        self.eyes = np.flatnonzero(t.part == EYE)
        self.eye_of = t.eye[self.eyes].astype(np.int64)
        self.uv, self.eyes_uv = uv.copy(), uv[self.eyes]
        self.gaze_texels = np.array([-GAZE_TEXELS, GAZE_TEXELS], np.float32) / shrink
        v = len(t.s)
        self.p, self.screen, self.normals = (np.empty((v, 3), np.float32) for _ in range(3))
        self.shade = np.empty(v, np.float32)
        self.depth = np.empty((rows, cols + render.LANES), np.float32)
        self.owner = np.empty(self.depth.shape, np.int32)
        self.slant = render.slants(max(self.depth.shape))
        self.planes = np.empty((len(t.triangles), 11), np.float32)
        self.window = render.window(n)
        self.image = np.empty((rows, cols, 3), np.float32)
        self.row = np.empty(3 * (cols + len(self.window) - n), np.float32)

    def draw(self, pose: Pose, i: int, camera: np.ndarray) -> np.ndarray:
        """Linear RGB float32 ``[H, W, 3]`` of moment ``i``."""
        k, p, n = self.layers, self.p, self.samples
        amount = pose.channels[i, self.channels]
        render.wrinkle(self.base, k.patches, k.boxes, k.starts, amount, self.touched, self.texture)
        render.place(self.model, pose, i, camera, p, self.screen)
        render.find_normals(p, self.triangles, self.normals)
        render.shade_vertices(self.normals, self.model.occlusion, pose.light[i], self.shade)
        render.shade_eyes(p, self.eyes, self.eye_of, p[lid_margins(), 1], self.shade)
        self.uv[self.eyes] = self.eyes_uv + self.gaze_texels * pose.look[i]
        seen = (self.screen, self.triangles, self.uv, self.shade)
        render.find_visible(*seen, n, self.slant, self.planes, self.depth, self.owner)
        render.paint(self.owner, self.planes, self.slant, self.texture, self.back, self.image)
        out = np.empty(self.shape, np.float32)
        render.gather(self.image.reshape(len(self.image), -1), n, self.window, STRAY_LIGHT, self.row, out)
        return out

"""What one clip is drawn on: texture, background, and room for the kernels to work in."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnface.faces import images, render
from snnface.faces.person import Person
from snnface.faces.scene import Scene, draw_background
from snnface.faces.stage import Stage

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
        self, person: Person, scene: Scene, height: int, width: int, back: np.random.SeedSequence, around: Stage
    ) -> None:
        self.person, self.shape, self.around = person, (height, width, 3), around
        n = self.samples = 3 if height <= FINELY_SAMPLED else 2
        rows, cols = height * n, width * n
        shrink = 2 if max(width, height) <= COARSELY_PAINTED else 1
        rgb, uv = person.textures(shrink)
        self.base = rgb * scene.tint.astype(np.float32)
        self.texture = self.base.copy()
        self.layers, self.channels = person.wrinkles(shrink)
        self.touched = np.zeros(len(self.channels), bool)
        self.reach = max(rows, cols)
        self.edge = int(np.ceil(around.margin * self.reach)) + 1 if around.margin else 0
        self.wide = draw_background(np.random.default_rng(back), rows + 2 * self.edge, cols + 2 * self.edge)
        self.back = np.empty((rows, cols, 3), np.float32) if self.edge else self.wide
        self.uv, self.eyes_uv = np.concatenate([uv, around.places(rgb.shape, shrink)]), uv[person.mesh.eyes]
        self.gaze_texels = np.array([-GAZE_TEXELS, GAZE_TEXELS], np.float32) / shrink
        v = len(uv)
        self.triangles = np.concatenate([person.mesh.triangles, around.triangles + np.int32(v)])
        self.screen = np.empty((len(self.uv), 3), np.float32)
        self.p, self.normals = (np.empty((v, 3), np.float32) for _ in range(2))
        self.shade = np.empty(len(self.uv), np.float32)
        self.depth = np.empty((rows, cols + render.LANES), np.float32)
        self.owner = np.empty(self.depth.shape, np.int32)
        self.slant = render.slants(max(self.depth.shape))
        self.planes = np.empty((len(self.triangles), 11), np.float32)
        self.window = images.window(n)
        self.image = np.empty((rows, cols, 3), np.float32)
        self.row = np.empty(3 * (cols + len(self.window) - n), np.float32)

    def draw(self, pose: Any, i: int, camera: np.ndarray, things: np.ndarray, drift: np.ndarray) -> np.ndarray:
        """Linear RGB float32 ``[H, W, 3]`` of moment ``i`` of a pose of the person.

        things ``[F, P, 3]``: where the props are (pixels, 1/cm); drift ``[F, 2]`` of the background.
        """
        k, p, n, mesh, v = self.layers, self.p, self.samples, self.person.mesh, len(self.p)
        amount = pose.channels[i, self.channels]
        images.wrinkle(self.base, k.patches, k.boxes, k.starts, amount, self.touched, self.texture)
        self.person.place(pose, i, camera, p, self.screen[:v])
        render.find_normals(p, mesh.smooth, self.normals)
        self.normals[mesh.copies] = self.normals[mesh.originals]
        shade = self.shade[:v]
        render.shade_vertices(self.normals, self.person.model.occlusion, pose.light[i], shade)
        render.shade_eyes(p, mesh.eyes, mesh.eye_of, p[mesh.lids, 1], shade)
        self.uv[mesh.eyes] = self.eyes_uv + self.gaze_texels * pose.look[i]
        if v < len(self.uv):
            self.screen[v:] = things[i]
            self.shade[v:] = self.around.bright * (np.float32(0.6) * pose.light[i, 3] + pose.light[i, 4])
        seen = (self.screen, self.triangles, self.uv, self.shade)
        render.find_visible(*seen, n, self.slant, self.planes, self.depth, self.owner)
        if self.edge:
            right, down = self.edge - drift[i] * self.reach
            images.slide(self.wide, down, right, self.back)
        render.paint(self.owner, self.planes, self.slant, self.texture, self.back, self.image)
        out = np.empty(self.shape, np.float32)
        images.gather(self.image.reshape(len(self.image), -1), n, self.window, STRAY_LIGHT, self.row, out)
        return out

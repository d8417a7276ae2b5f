"""What is true of a face at some moments: landmarks, what hides them, pose, gaze, actions."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnface.faces import render
from snnface.faces.canvas import GAZE_TEXELS
from snnface.faces.marks98 import NEAREST, wflw
from snnface.faces.motion import State
from snnface.faces.outline import follow_outline
from snnface.faces.person import Person
from snnface.faces.scene import Scene
from snnface.faces.stage import Stage
from snnface.faces.texture import PATCH

#: What a look to the side moves the pupil by, in radii of the eyeball: as the iris is painted (:mod:`canvas`).
_LOOK = 0.985 * GAZE_TEXELS / (PATCH / 2 - 3)
#: A pupil is seen where the lids are open by this share of the eye's width.
_OPEN = 0.12


def labels_of(
    person: Person, scene: Scene, state: State, pose: Any, stage: Stage, things: np.ndarray
) -> dict[str, np.ndarray]:
    """Labels of F moments, all float32 but ``visible`` and ``visible98`` (bool).

    au_intensity ``[F, 24]`` in the order of ``AUS``; landmarks ``[F, 68, 2]`` in event pixels (x, y; a pixel's
    centre is a whole number); visible ``[F, 68]``: the skin there faces the camera and nothing is before it;
    landmarks98 and visible98 the same of the WFLW scheme; coefficients ``[F, K]`` as in the face's ``coefficients``
    (the head's are the acted part, relative to rest); pose ``[F, 3]`` yaw, pitch, roll in degrees (to the subject's
    left, up, towards the left shoulder are positive); gaze ``[F, 2]`` degrees (to the subject's left, up); box
    ``[F, 4]`` x0, y0, x1, y1 of the face from chin to hairline.
    """
    frames, mesh, camera = len(state.head), person.mesh, scene.camera()
    known = len(mesh.landmarks)
    marks, low = np.full((frames, 68, 3), np.nan, np.float32), np.full((frames, 8, 3), np.nan, np.float32)
    box = np.empty((frames, 4), np.float32)
    places, directions = (np.zeros((frames, 68, 3), np.float32) for _ in range(2))
    around = mesh.smooth[np.isin(mesh.smooth, mesh.facing).any(1)]
    p, screen, normals = (np.empty((len(person.model.occlusion), 3), np.float32) for _ in range(3))
    for i in range(frames):
        person.place(pose, i, camera, p, screen)
        xy = screen[:, :2] - np.float32(0.5)
        box[i, :2], box[i, 2:] = xy[mesh.outline].min(0), xy[mesh.outline].max(0)
        if known:
            render.find_normals(p, around, normals)
            marks[i], places[i], directions[i] = screen[mesh.landmarks], p[mesh.facing], normals[mesh.facing]
            low[i] = screen[mesh.brow_low]
            marks[i, :, :2] -= np.float32(0.5)
            low[i, :, :2] -= np.float32(0.5)
            follow_outline(mesh, xy, marks[i, :, :2])
    all98 = wflw(marks, low, _pupils(person, pose, camera))
    turn = pose.head[:, :, :3].transpose(0, 2, 1)
    towards = np.array([0, 0, scene.distance], np.float32) - (places @ turn + pose.head[:, None, :, 3])
    facing = ((directions @ turn) * towards).sum(2) > 0
    facing98 = facing[:, NEAREST]
    facing98[:, 96:] = _open(marks) & facing[:, [[36, 39], [42, 45]]].any(2)
    # Skin bends: half a centimetre is left between a landmark and what hides it.
    ahead = things - np.array([0.5, 0.5, 0.5 / scene.distance**2], np.float32)
    return {
        "au_intensity": state.au,
        "landmarks": np.ascontiguousarray(marks[..., :2]),
        "visible": facing & ~stage.hidden(ahead, marks),
        "landmarks98": all98[..., :2].astype(np.float32),
        "visible98": facing98 & ~stage.hidden(ahead, all98),
        "coefficients": state.coefficients(),
        "pose": state.head.astype(np.float32),
        "gaze": state.gaze.astype(np.float32),
        "box": box,
    }


def _pupils(person: Person, pose: Any, camera: np.ndarray) -> np.ndarray:
    """``[F, 2, 3]``: pixels and 1/distance of the right and the left pupil; not a number without eyes."""
    model, mesh = person.model, person.mesh
    out = np.full((len(pose.look), 2, 3), np.nan)
    if not len(mesh.eyes) or not len(model.eye_centres):
        return out
    x, y = _LOOK * pose.look.T
    ahead = np.stack([x, y, np.sqrt(np.maximum(1 - x**2 - y**2, 0))], 1)
    for e in range(2):
        ball = model.rest[mesh.eyes[mesh.eye_of == e]] - model.eye_centres[e]
        at = model.eye_centres[e] + np.linalg.norm(ball, axis=1).mean() * ahead
        world = (pose.head[:, :, :3] @ at[..., None])[..., 0] + pose.head[:, :, 3]
        inverse = 1 / (camera[1] - world[:, 2])
        out[:, e, 0] = camera[2] + camera[0] * world[:, 0] * inverse - 0.5
        out[:, e, 1] = camera[3] - camera[0] * world[:, 1] * inverse - 0.5
        out[:, e, 2] = inverse
    return out


def _open(marks: np.ndarray) -> np.ndarray:
    """bool ``[F, 2]``: whether the right and the left eye are open, by their landmarks ``[F, 68, 3]``."""
    xy = marks[..., :2]
    wide = np.linalg.norm(xy[:, [36, 42]] - xy[:, [39, 45]], axis=2)
    gap = (xy[:, [[40, 41], [46, 47]]] - xy[:, [[38, 37], [44, 43]]]).mean(2)
    return np.linalg.norm(gap, axis=2) > _OPEN * np.maximum(wide, 1e-6)

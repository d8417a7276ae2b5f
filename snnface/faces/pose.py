"""What the kernels need to know of every moment: how far each part moves, and how head, body and light stand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from snnface.faces.actions import CHANNEL_INDEX, JAW_DEGREES
from snnface.faces.model import FaceModel
from snnface.faces.motion import State
from snnface.faces.scene import Scene


class Pose(NamedTuple):
    """F moments, float32: a named tuple, because the kernels take it as it is.

    channels ``[F, channels]``; jaw ``[F]`` its turn (radians); lids ``[F, 2, 2]`` travel (cm) of the upper and lower
    lid of each eye; head and body ``[F, 3, 4]`` rigid motions; light ``[F, 8]`` as of :meth:`Scene.light_in_head`;
    look ``[F, 2]`` sines of the gaze to the subject's left and up.
    """

    channels: np.ndarray
    jaw: np.ndarray
    lids: np.ndarray
    head: np.ndarray
    body: np.ndarray
    light: np.ndarray
    look: np.ndarray


def pose_of(state: State, model: FaceModel, scene: Scene) -> Pose:
    """The pose of ``model`` in ``scene`` at the moments of ``state``."""
    jaw = sum(np.deg2rad(g) * state.channels[:, CHANNEL_INDEX[au, 0]] for au, g in JAW_DEGREES.items())
    head, body = scene.head_motion(state.head, state.shift)
    return Pose(
        channels=state.channels.astype(np.float32),
        jaw=np.asarray(jaw, np.float32),
        lids=model.lid_travel(state),
        head=head,
        body=body,
        light=scene.light_in_head(state.head, state.lamp),
        look=np.sin(np.deg2rad(state.gaze)).astype(np.float32),
    )

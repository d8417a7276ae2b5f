"""One person of a linear face: drawn from its identity modes, painted, and ready to act."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from snnface.faces import render
from snnface.faces.curves import smoothstep
from snnface.faces.identity import Identity, draw_identity
from snnface.faces.linear import kernels
from snnface.faces.linear.fields import BLINK, COUNT, LID_CHANNELS, LOOK, SEAL
from snnface.faces.linear.head import Head, eye_front
from snnface.faces.linear.kernels import LinearModel
from snnface.faces.linear.lids import Lids, rest_lips
from snnface.faces.linear.topology import DARK, EYE, PLAIN, SKIN, TEETH, Topology
from snnface.faces.model import painted_atlas, shrunk_coordinates, skin_rows, skin_shade
from snnface.faces.motion import State
from snnface.faces.scene import Scene
from snnface.faces.shape import hair_height
from snnface.faces.texture import Wrinkles
from snnface.faces.wrinkles import wrinkle_layers

#: Identity amplitudes are drawn with unit spread and kept within this.
_LIMIT = 2.0
#: Degrees of gaze at which the lids' shapes are full.
_FULL_LOOK = 30.0
#: An eyeball's radius by the distance of the lids' margins from its centre, and the lids' ball by the eyeball's.
_BALL, _LID_BALL = 0.985, 1.02


class LinearPose(NamedTuple):
    """F moments, float32: ``channels`` [F, C] as in :mod:`snnface.faces.linear.fields`, the rest as of
    :class:`snnface.faces.pose.Pose`. A named tuple, because the kernels take it as it is."""

    channels: np.ndarray
    head: np.ndarray
    body: np.ndarray
    light: np.ndarray
    look: np.ndarray


class LinearPerson:
    """A :class:`~snnface.faces.person.Person` of a linear face."""

    def __init__(self, head: Head, identity: int, beards: float) -> None:
        self.beards = beards
        self.identity, self.mesh, self._uv = identity, head.topology.mesh, head.topology.uv
        rng = np.random.default_rng([15485863, identity])
        amplitude = np.clip(rng.normal(size=len(head.modes)), -_LIMIT, _LIMIT)
        rest = head.rest(amplitude)
        if len(head.mouth):
            rest_lips(rest, head.mouth, head.topology.lower, rest[self.mesh.landmarks])
        centres, radius = _set_eyes(head, amplitude, rest)
        self.lids = Lids.of(head.margins or [], head.fields, rest)
        fields = head.fields.replaced({SEAL + e: seal for e, seal in enumerate(self.lids.seals)})
        eye = _around_eyes(head, rest, centres)
        _grow_hair(head, rest, draw_identity(identity, beards))
        f32 = np.float32
        self.model = LinearModel(
            rest=rest.astype(f32),
            start=fields.start,
            vertex=fields.vertex,
            delta=fields.delta,
            eye=eye,
            eye_centres=centres.astype(f32),
            lid_radius=(_LID_BALL * radius).astype(f32),
            follow=head.topology.follow.astype(f32),
            occlusion=_occlusion(head.topology, rest).astype(f32),
        )

    def pose(self, state: State, scene: Scene) -> LinearPose:
        """The pose at the moments of ``state``; lids travel until they have closed what is open at that moment."""
        amount = np.zeros((len(state.gaze), len(self.model.start) - 1))
        amount[:, : state.channels.shape[1]] = state.channels
        open_ = 1 - state.closure
        for e, channels in LID_CHANNELS.items():
            amount[:, channels] *= open_[:, e : e + 1]
        x, y = state.gaze.T / _FULL_LOOK
        for k, look in enumerate((y, -y, -x, x)):
            amount[:, LOOK + k] = np.clip(look, 0, 1) * open_.mean(1)
        amount[:, BLINK : BLINK + 2] = self.lids.blink(amount, state.closure)
        amount[:, SEAL : SEAL + 2] = state.closure
        amount[:, COUNT:] = state.components
        head, body = scene.head_motion(state.head, state.shift)
        return LinearPose(
            channels=amount.astype(np.float32),
            head=head,
            body=body,
            light=scene.light_in_head(state.head, state.lamp),
            look=np.sin(np.deg2rad(state.gaze)).astype(np.float32),
        )

    def place(self, pose: LinearPose, i: int, camera: np.ndarray, p: np.ndarray, screen: np.ndarray) -> None:
        """Vertices of moment ``i``."""
        kernels.place(self.model, pose, i, camera, p, screen)

    def travelled(self, pose: LinearPose, camera: np.ndarray) -> np.ndarray:
        """How far (pixels) the watched vertices move."""
        return np.asarray(kernels.travelled(self._watched, pose, camera))

    def textures(self, shrink: int) -> tuple[np.ndarray, np.ndarray]:
        """Painted as the procedural person of the same number is, on this face's own features."""
        atlas = painted_atlas(self.identity, shrink, self.beards)
        return atlas, shrunk_coordinates(self._uv, atlas.shape, shrink)

    def wrinkles(self, shrink: int) -> tuple[Wrinkles, np.ndarray]:
        """Furrows that actions make."""
        return wrinkle_layers(skin_rows(shrink))

    @cached_property
    def _watched(self) -> LinearModel:
        return self.model.subset(self.mesh.watched)


def _set_eyes(head: Head, amplitude: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put the eyeballs' fronts behind the lids of ``rest`` [V, 3]; returns centres ``[2, 3]`` and radii ``[2]``."""
    mesh = head.topology.mesh
    centres, radius = np.zeros((2, 3)), np.zeros(2)
    for e, margins in enumerate(head.margins or ()):
        centres[e] = head.centres(amplitude)[e]
        rim = rest[np.concatenate([margins.upper, margins.lower])]
        radius[e] = _BALL * np.linalg.norm(rim - centres[e], axis=1).min()
        rest[mesh.eyes[mesh.eye_of == e]] = centres[e] + radius[e] * eye_front()
    return centres, radius


def _around_eyes(head: Head, rest: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """int64 ``[V]``: 0 and 1 for the skin close to the right and the left eyeball, else -1."""
    eye = np.full(len(rest), -1)
    skin = (head.topology.kind == SKIN) & ~head.topology.folded
    for e in range(len(head.margins or ())):
        eye[skin & (((rest - centres[e]) ** 2).sum(1) < 2.1**2) & (rest[:, 2] > centres[e, 2])] = e
    return eye


def _grow_hair(head: Head, rest: np.ndarray, who: Identity) -> None:
    """Lift the skin of ``rest`` [V, 3] where hair and beard grow."""
    t = head.topology
    normals = np.empty(rest.shape, np.float32)
    render.find_normals(rest.astype(np.float32), t.mesh.smooth, normals)
    normals[t.mesh.copies] = normals[t.mesh.originals]
    height = hair_height(who, t.s, t.y) * (t.kind == SKIN)
    if t.ear.any():
        # Where the skin meets an ear, which is not lifted, a gap would open.
        away, _ = cKDTree(rest[t.ear]).query(rest)
        height *= smoothstep(away, 0.5, 3.0)
    rest += normals * height[:, None]


def _occlusion(t: Topology, rest: np.ndarray) -> np.ndarray:
    """Share of the light ``[V]`` that reaches each vertex."""
    out = np.ones(len(rest))
    skin = t.kind == SKIN
    out[skin] = skin_shade(np.abs(t.s[skin]), t.y[skin], t.folded[skin])
    plain = t.kind == PLAIN
    under_chin = smoothstep(-rest[plain, 1], 11.5, 15.5)
    out[plain] = np.where(t.ear[plain], 0.85, 0.65 + 0.35 * under_chin)
    teeth = t.kind == TEETH
    if teeth.any():
        out[teeth] = 0.8 - 0.5 * smoothstep(rest[teeth, 2].max() - rest[teeth, 2], 0.3, 2.5)
    out[t.kind == DARK], out[t.kind == EYE] = 0.6, 0.95
    return np.clip(out, 0.1, 1)

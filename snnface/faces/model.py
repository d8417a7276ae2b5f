"""One person ready to be animated: rest geometry, fields and textures in the arrays the kernels take."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from snnface.faces.actions import CHANNEL_INDEX, JAW_PIVOT, LID_LOWER, LID_UPPER, action_fields
from snnface.faces.curves import gauss, smoothstep
from snnface.faces.identity import BEARDS, draw_identity
from snnface.faces.mesh import BODY, CAVITY, EYE, HAIR, TEETH_LOW, TEETH_UP, template
from snnface.faces.motion import State
from snnface.faces.patches import texture_atlas
from snnface.faces.shape import EYE_RADIUS, rest_geometry
from snnface.faces.texture import SIZE


class FaceModel(NamedTuple):
    """Arrays over the vertices [V] of one identity (float32 unless said). ``basis`` is [channels, V, 3].

    A named tuple, because the kernels take it as it is.
    """

    rest: np.ndarray
    basis: np.ndarray
    jaw: np.ndarray
    lid_upper: np.ndarray
    lid_lower: np.ndarray
    eye: np.ndarray
    fold: np.ndarray
    eye_centres: np.ndarray
    eye_opening: np.ndarray
    follow: np.ndarray
    occlusion: np.ndarray
    jaw_pivot: np.ndarray
    lid_radius: np.float32

    def subset(self, vertices: np.ndarray) -> FaceModel:
        """The same face with only some of its vertices."""
        per_vertex = ("rest", "jaw", "lid_upper", "lid_lower", "eye", "fold", "follow", "occlusion")
        cut: dict[str, Any] = {n: np.ascontiguousarray(getattr(self, n)[vertices]) for n in per_vertex}
        return self._replace(basis=np.ascontiguousarray(self.basis[:, vertices]), **cut)

    def lid_travel(self, state: State) -> np.ndarray:
        """float32 ``[F, 2, 2]``: travel (cm) of the upper and the lower margin of the right and the left eye."""
        out = np.empty((len(state.gaze), 2, 2), np.float32)
        for e, side in enumerate((-1, 1)):
            upper = self.eye_opening[0] + 0.010 * state.gaze[:, 1]
            lower = self.eye_opening[1] + 0.004 * state.gaze[:, 1]
            for au, move in LID_UPPER.items():
                upper = upper + move * state.channels[:, CHANNEL_INDEX[au, side]]
            for au, move in LID_LOWER.items():
                lower = lower + move * state.channels[:, CHANNEL_INDEX[au, side]]
            shut = 1.0 - state.closure[:, e]
            out[:, e, 0], out[:, e, 1] = np.maximum(upper, lower + 0.12) * shut, lower * shut
        return out


@lru_cache(maxsize=4)
def face_model(identity: int, beards: float = BEARDS) -> FaceModel:
    """The model of the person ``identity``; ``beards`` as of :func:`~snnface.faces.identity.draw_identity`."""
    t, who = template(), draw_identity(identity, beards)
    rest, fields = rest_geometry(t, who), action_fields()
    # The neck stands on the shoulders and turns with the head only at its upper end.
    follow = np.ones(len(t.s))
    body = t.part == BODY
    follow[body] = 1 - smoothstep(-rest.positions[body, 1], 7.5, 15.0)
    occlusion = np.ones(len(t.s))
    k = t.skin
    occlusion[k] = skin_shade(np.abs(t.s[k]), t.y[k], t.depth[k] > 0)
    occlusion[body] = 0.62 + 0.38 * smoothstep(-rest.positions[body, 1], 11.5, 15.5)
    for part, level in ((TEETH_UP, 0.85), (TEETH_LOW, 0.65), (CAVITY, 0.6), (EYE, 0.95), (HAIR, 0.55)):
        occlusion[t.part == part] = level
    near_eye = t.skin & (t.eye >= 0)
    f32 = np.float32
    return FaceModel(
        rest=rest.positions.astype(f32),
        basis=fields.basis.astype(f32),
        jaw=fields.jaw.astype(f32),
        lid_upper=fields.lid_upper.astype(f32),
        lid_lower=fields.lid_lower.astype(f32),
        eye=np.where(near_eye, t.eye, -1).astype(np.int64),
        fold=np.where(near_eye, t.depth, 0.0).astype(f32),
        eye_centres=rest.eye_centres.astype(f32),
        eye_opening=rest.eye_opening,
        follow=follow.astype(f32),
        occlusion=np.clip(occlusion, 0.1, 1).astype(f32),
        jaw_pivot=JAW_PIVOT.astype(f32),
        # Lids slide over a ball a little larger than the eye.
        lid_radius=f32(1.05 * EYE_RADIUS),
    )


@lru_cache(maxsize=4)
def painted_atlas(identity: int, shrink: int, beards: float = BEARDS) -> np.ndarray:
    """Linear albedo ``[Ht, Wt, 3]`` float32 of a person; ``shrink`` 2 averages 2 × 2 texels, for small pictures."""
    atlas = texture_atlas(draw_identity(identity, beards))
    parts = [atlas[:, r::shrink, c::shrink] for r, c in np.ndindex(shrink, shrink)]
    atlas = np.add.reduce(parts) / np.float32(len(parts))
    return np.ascontiguousarray(atlas.transpose(1, 2, 0))


def shrunk_coordinates(uv: np.ndarray, shape: tuple[int, ...], shrink: int) -> np.ndarray:
    """Texture coordinates float32 ``[V, 2]`` (texels) in an atlas of ``shape``, shrunk by ``shrink``, from those in
    the full one."""
    h, w = shape[:2]
    return np.clip(uv / shrink - 0.5, 0, [w - 1.01, h - 1.01]).astype(np.float32)


def skin_shade(a: np.ndarray, y: np.ndarray, folded: np.ndarray) -> np.ndarray:
    """Share of the ambient light ``[N]`` that reaches skin ``a`` beside the midline at the template's height ``y``;
    ``folded``: on the inside of a lid or lip."""
    shade = np.ones(len(a))
    shade -= 0.22 * gauss(a, y, (2.0, 0.2), (0.9, 0.7)) + 0.35 * smoothstep(-y, 11.3, 13.5)
    shade -= 0.15 * gauss(a, y, (0.0, -5.4), (1.2, 0.35)) + 0.35 * folded
    return shade


def skin_rows(shrink: int) -> int:
    """Rows (and columns) of the skin in a texture shrunk by ``shrink``."""
    return SIZE // shrink

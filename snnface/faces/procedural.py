"""The procedural face as a kind of face: everything about it comes from code and the number of the person."""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np

from snnface.faces import render
from snnface.faces.atlas import texture_coordinates
from snnface.faces.identity import BEARDS
from snnface.faces.landmarks import brow_vertices, contour_rows, facing_vertices, landmark_vertices, lid_margins
from snnface.faces.mesh import EYE, template
from snnface.faces.model import FaceModel, face_model, painted_atlas, shrunk_coordinates, skin_rows
from snnface.faces.motion import COEFFICIENT_NAMES, State
from snnface.faces.person import Mesh
from snnface.faces.pose import Pose, pose_of
from snnface.faces.scene import Scene
from snnface.faces.texture import Wrinkles
from snnface.faces.wrinkles import wrinkle_layers
from snnface.facs import AUS, EXPRESSIONS


@cache
def procedural_mesh() -> Mesh:
    """The topology all procedural people share."""
    t = template()
    eyes = np.flatnonzero(t.part == EYE)
    face = np.flatnonzero(t.skin & (t.depth == 0) & (np.abs(t.s) < 11) & (t.y > -11.5))
    return Mesh(
        triangles=t.triangles,
        smooth=t.triangles,
        eyes=eyes,
        eye_of=t.eye[eyes].astype(np.int64),
        lids=lid_margins(),
        landmarks=landmark_vertices(),
        facing=facing_vertices(),
        brow_low=brow_vertices(),
        contour=contour_rows(),
        outline=np.flatnonzero(t.skin & (np.abs(t.s) < 11) & (t.y > -11.8) & (t.y < 7.0)),
        watched=np.unique(np.concatenate([face[::9], landmark_vertices(), lid_margins()])),
    )


class ProceduralPerson:
    """A :class:`~snnface.faces.person.Person` of the procedural face."""

    def __init__(self, identity: int, beards: float) -> None:
        self.identity, self.beards = identity, beards
        self.model, self.mesh = face_model(identity, beards), procedural_mesh()

    def pose(self, state: State, scene: Scene) -> Pose:
        """The pose at the moments of ``state``."""
        return pose_of(state, self.model, scene)

    def place(self, pose: Pose, i: int, camera: np.ndarray, p: np.ndarray, screen: np.ndarray) -> None:
        """Vertices of moment ``i``."""
        render.place(self.model, pose, i, camera, p, screen)

    def travelled(self, pose: Pose, camera: np.ndarray) -> np.ndarray:
        """How far (pixels) the watched vertices move."""
        return np.asarray(render.travelled(self._watched, pose, camera))

    def textures(self, shrink: int) -> tuple[np.ndarray, np.ndarray]:
        """Painted skin and coordinates."""
        atlas = painted_atlas(self.identity, shrink, self.beards)
        return atlas, shrunk_coordinates(texture_coordinates(template()), atlas.shape, shrink)

    def wrinkles(self, shrink: int) -> tuple[Wrinkles, np.ndarray]:
        """Furrows that actions make."""
        return wrinkle_layers(skin_rows(shrink))

    @cached_property
    def _watched(self) -> FaceModel:
        return self.model.subset(self.mesh.watched)


class ProceduralFace:
    """The :class:`~snnface.faces.person.Face` that needs no file."""

    name, sha256 = "procedural", ""
    actions, expressions = AUS, tuple(range(len(EXPRESSIONS)))
    components: tuple[str, ...] = ()
    coefficients = COEFFICIENT_NAMES

    def person(self, identity: int, beards: float = BEARDS) -> ProceduralPerson:
        """The person with this number (≥ 0)."""
        return ProceduralPerson(identity, beards)


PROCEDURAL = ProceduralFace()

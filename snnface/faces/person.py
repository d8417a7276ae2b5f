"""What a kind of face must offer to be acted, lit, filmed and labelled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from snnface.faces.identity import BEARDS
from snnface.faces.motion import State
from snnface.faces.scene import Scene
from snnface.faces.texture import Wrinkles

_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Mesh:
    """What a kind of face has whoever wears it; all are indices of its V vertices.

    triangles: int32 ``[T, 3]``, counter-clockwise from outside. smooth: int32 ``[S, 3]`` the triangles whose normals
    the vertices share, where not those; ``copies`` of a vertex (at the seams of the texture) take the normals of
    their ``originals``. eyes: vertices of the eyeballs, eye_of: 0 the subject's right, 1 the left. lids ``[2]``: the
    middle of the upper lids' margins.
    landmarks ``[68]`` in iBUG order (empty: none are known); facing ``[68]``: whose normal says whether a landmark
    faces the camera; contour ``[17, C]``: where the outline of a turned face may run instead of along the jaw's
    landmarks, each row from the landmark inwards, or empty. brow_low ``[8]``: the brows' lower edges, inner ends
    first, the right brow first, or empty. outline: the face from chin to hairline. watched: vertices that stand for
    all when it comes to how far the face moves.
    """

    triangles: np.ndarray
    eyes: np.ndarray
    eye_of: np.ndarray
    lids: np.ndarray
    landmarks: np.ndarray
    facing: np.ndarray
    outline: np.ndarray
    watched: np.ndarray
    smooth: np.ndarray
    copies: np.ndarray = field(default_factory=lambda: _NONE)
    originals: np.ndarray = field(default_factory=lambda: _NONE)
    contour: np.ndarray = field(default_factory=lambda: _NONE)
    brow_low: np.ndarray = field(default_factory=lambda: _NONE)


class Person(Protocol):
    """One person of a kind of face. ``model``: the named tuple its kernels take; it has ``rest`` [V, 3] (cm),
    ``occlusion`` float32 [V] and ``eye_centres`` [2, 3] (none without eyes).

    A pose (what :meth:`pose` returns) is a named tuple over F moments with at least ``channels``, ``head``, ``body``,
    ``light`` and ``look`` as of :class:`snnface.faces.pose.Pose`.
    """

    model: Any
    mesh: Mesh

    def pose(self, state: State, scene: Scene) -> Any:
        """The pose at the moments of ``state``."""

    def place(self, pose: Any, i: int, camera: np.ndarray, p: np.ndarray, screen: np.ndarray) -> None:
        """Vertices of moment ``i``: ``p`` [V, 3] in the head's frame (cm) and ``screen`` [V, 3] (pixels, 1/cm)."""

    def travelled(self, pose: Any, camera: np.ndarray) -> np.ndarray:
        """float32 ``[F - 1]``: by how much (pixels) a watched vertex moves in x or y from one moment to the next."""

    def textures(self, shrink: int) -> tuple[np.ndarray, np.ndarray]:
        """Linear albedo float32 ``[Ht, Wt, 3]``, shrunk by averaging, and texture coordinates ``[V, 2]``."""

    def wrinkles(self, shrink: int) -> tuple[Wrinkles, np.ndarray]:
        """Layers of shading on that texture, and the channel of the pose that brings up each."""


class Face(Protocol):
    """A kind of face. ``name``: what made it; ``sha256``: of its file, or empty.

    actions: the FACS numbers it can act; expressions: indices of ``EXPRESSIONS``. components: names of what free
    clips draw instead, for faces without an action map. coefficients: names of the columns of the labels.
    """

    name: str
    sha256: str
    actions: tuple[int, ...]
    expressions: tuple[int, ...]
    components: tuple[str, ...]
    coefficients: tuple[str, ...]

    def person(self, identity: int, beards: float = BEARDS) -> Person:
        """The person with this number (≥ 0); ``beards`` as of :func:`snnface.faces.identity.draw_identity`."""

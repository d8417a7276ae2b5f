"""The procedural face: a morphable head of our own that acts, is lit, and is seen by a camera."""

from snnface.faces.clip import ClipSpec, FaceClip
from snnface.faces.motion import COEFFICIENT_NAMES

__all__ = ["COEFFICIENT_NAMES", "ClipSpec", "FaceClip"]

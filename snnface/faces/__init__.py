"""Morphable heads that act, are lit, and are seen by a camera: the procedural one, and linear models from files."""

from snnface.faces.clip import ClipSpec, FaceClip
from snnface.faces.load import load_face
from snnface.faces.motion import COEFFICIENT_NAMES

__all__ = ["COEFFICIENT_NAMES", "ClipSpec", "FaceClip", "load_face"]

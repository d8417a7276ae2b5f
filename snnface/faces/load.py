"""The kinds of face by what people write after ``--face``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from snnface.errors import InputError
from snnface.faces.person import Face
from snnface.faces.procedural import PROCEDURAL


@lru_cache(maxsize=2)
def load_face(text: str) -> Face:
    """``procedural``; ``ict:PATH``, ICT-FaceKit's folder or npz; ``linear:PATH``, any linear 3DMM.

    Raises
    ------
    InputError: there is no such kind, or its file is not what it should be.
    """
    if text == PROCEDURAL.name:
        return PROCEDURAL
    kind, _, path = text.partition(":")
    if kind not in ("ict", "linear") or not path:
        raise InputError(f"--face {text}", "is unknown", "Use procedural, ict:PATH or linear:PATH")
    # Loaded where they are used: the procedural face needs none of it.
    from snnface.faces.linear.face import LinearFace
    from snnface.faces.linear.generic import load_linear
    from snnface.faces.linear.ict import load_ict

    return LinearFace((load_ict if kind == "ict" else load_linear)(Path(path)))

"""A linear face as its file gives it: a neutral head, and directions in which it may differ and move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from snnface.errors import InputError

_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Bases:
    """Vertices are ``neutral + Σ a_k identity_k + Σ b_s shapes_s`` in units and axes of the file's own.

    neutral ``[V, 3]``; triangles ``[T, 3]``; identity ``[K, V, 3]`` by unit-variance amplitude; shapes ``[S, V, 3]``
    of expression, by ``shape_names``, full at 1.
    landmarks ``[68]`` vertices in iBUG order, or empty; substitutes ``[17]``: where the outline of a turned face may
    run instead of through the jaw's landmarks, or empty.
    actions: what each action is made of, shapes with their weights by action: ``"12"``, or ``"12_right"`` and
    ``"12_left"`` where its sides are apart; ``"blink"`` and ``"look_up"``, ``"look_down"``, ``"look_right"``,
    ``"look_left"`` are the lids'.
    parts: vertices that are not skin: ``eye_right``, ``eye_left``, ``teeth``, ``cavity``, ``hidden``.
    lids, lips: see :class:`~snnface.faces.linear.lids.Lids`.

    Raises
    ------
    InputError: something does not fit together; ``where`` names the file.
    """

    name: str
    where: str
    sha256: str
    neutral: np.ndarray
    triangles: np.ndarray
    identity: np.ndarray
    shapes: np.ndarray
    shape_names: tuple[str, ...]
    landmarks: np.ndarray = field(default_factory=lambda: _NONE)
    substitutes: np.ndarray = field(default_factory=lambda: _NONE)
    actions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        v = len(self.neutral)
        sizes = {"identity": self.identity.shape[1:], "expression": self.shapes.shape[1:]}
        for what, shape in sizes.items():
            if shape != (v, 3):
                raise InputError(self.where, f"its {what} components have {shape[0]} vertices, not {v}", _WHOLE)
        if v < 4 or not len(self.triangles):
            raise InputError(self.where, "holds no mesh", _WHOLE)
        if len(self.shape_names) != len(self.shapes):
            raise InputError(self.where, f"{len(self.shapes)} shapes, {len(self.shape_names)} names", _WHOLE)
        for what in ("triangles", "landmarks", "substitutes"):
            numbers = getattr(self, what)
            if numbers.size and not 0 <= numbers.min() <= numbers.max() < v:
                raise InputError(self.where, f"its {what} name vertices beyond 0 to {v - 1}", _WHOLE)
        if len(self.landmarks) not in (0, 68):
            raise InputError(self.where, f"{len(self.landmarks)} landmarks", "Give the 68 of iBUG, or none")
        for what in ("neutral", "identity", "shapes"):
            if not np.isfinite(getattr(self, what)).all():
                raise InputError(self.where, f"its {what} hold numbers that are not finite", _WHOLE)
        for action, mix in self.actions.items():
            if unknown := set(mix) - set(self.shape_names):
                known = f"Its components are {', '.join(self.shape_names[:4])}, …"
                raise InputError(self.where, f"action {action} asks for {', '.join(sorted(unknown))}", known)


_WHOLE = "Get the file again"

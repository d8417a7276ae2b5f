"""Linear faces as a kind of face: which actions and expressions the file gives them."""

from __future__ import annotations

from functools import lru_cache

from snnface.faces.actions import CHANNELS
from snnface.faces.expressions import COMBINATIONS
from snnface.faces.identity import BEARDS
from snnface.faces.linear.bases import Bases
from snnface.faces.linear.head import build_head
from snnface.faces.linear.person import LinearPerson
from snnface.faces.motion import COEFFICIENT_NAMES, HEAD_ACTIONS
from snnface.facs import AUS, EXPRESSIONS


class LinearFace:
    """A :class:`~snnface.faces.person.Face` whose people come from a file."""

    def __init__(self, bases: Bases) -> None:
        self.name, self.sha256, self.bases = bases.name, bases.sha256, bases
        made = acted(bases)
        self.actions = tuple(au for au in AUS if au in made)
        self.expressions = tuple(k for k, e in enumerate(EXPRESSIONS) if set(COMBINATIONS[e]) <= made)
        self.components = () if bases.actions else bases.shape_names
        # The last four, lids and head, are not the face's own.
        self.coefficients = (*self.components, *COEFFICIENT_NAMES[-4:]) if self.components else COEFFICIENT_NAMES
        head = build_head(bases)
        self.topology = head.topology
        self.person = lru_cache(maxsize=4)(lambda identity, beards=BEARDS: LinearPerson(head, identity, beards))


def acted(bases: Bases) -> set[int]:
    """The AUs (FACS numbers) that a model can act: those of its map, eyes that close, and, with a map, the head's."""
    named = set(bases.actions)
    sides = {au: {f"{au}_right", f"{au}_left"} for au, _ in CHANNELS}
    made = {au for au, both in sides.items() if str(au) in named or both <= named}
    eyes = {43, 45} if "blink" in named or {"blink_right", "blink_left"} <= named else set()
    return made | eyes | set(HEAD_ACTIONS) if named else set()

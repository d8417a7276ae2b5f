"""What the page shows beside figures: clips with a network's answers on them, and the faces that were filmed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scene:
    """One test clip and what a spiking network made of it.

    task: "au" or "expression"; truth: its class index. events: structured ``[E]`` (t in µs from the clip's start).
    Per frame: ``frame_t_us`` int64 ``[F]``, ``rgb`` F encoded pictures (JPEG or PNG) or None, ``landmarks`` and
    ``answered_landmarks`` float ``[F, 68, 2]`` in event pixels. Per step of ``step_us``: ``probabilities`` float
    ``[T, K]`` (classes of the task, from the clip's start up to the step) and ``spikes`` float ``[T, layers]``
    (fraction of a layer's neurons that spike in the step).
    """

    task: str
    truth: int
    identity: int
    width: int
    height: int
    duration_us: int
    events: np.ndarray
    frame_t_us: np.ndarray
    rgb: list[bytes] | None
    landmarks: np.ndarray
    answered_landmarks: np.ndarray
    step_us: int
    probabilities: np.ndarray
    spikes: np.ndarray

    @property
    def answer(self) -> int:
        """Class that the network ends with."""
        return int(self.probabilities[-1].argmax())


@dataclass(frozen=True)
class Action:
    """One action of all people of a sheet: uint8 ``[H, W, 3]`` at its apex, and the events of its onset."""

    name: str
    apex: list[np.ndarray]
    events: list[np.ndarray]


@dataclass(frozen=True)
class Sheet:
    """A few people at rest (uint8 ``[H, W, 3]`` each) and in every action."""

    people: list[int]
    rest: list[np.ndarray]
    actions: list[Action]


@dataclass(frozen=True)
class Pictures:
    """All that is shown; ``layers``: names of the spiking layers, ``tau_us``: how fast an event fades for them."""

    scenes: list[Scene]
    sheet: Sheet
    layers: list[str]
    tau_us: float

    def person(self, identity: int) -> str:
        """What a person is called on the page: A, B, C … in the order of their numbers."""
        known = sorted({*(s.identity for s in self.scenes), *self.sheet.people})
        place = known.index(identity)
        return f"person {chr(ord('A') + place)}" if place < 26 else f"person {place + 1}"

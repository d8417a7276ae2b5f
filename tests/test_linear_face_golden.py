"""The procedural face keeps its clips bit for bit: figures that were published depend on them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from snnface.converters.clip import make_clip
from snnface.converters.plan import Plan

#: sha256 of events and labels of clips of the plan below, by number of the clip.
GOLDEN: dict[int, str] = {
    0: "cf25d49383acd5a0ababf9765fe71628f548c82c470dbeb36934d58937790cb0",
    4: "6a6fc36e4d5adff5bc3a5db94e7b3dee71c00f2092fc8f8b76efb06ad05307ff",
    9: "1a37ab458ea892f599d7103a255e5ced696d784f04266152cd52b4680e27087d",
}


@pytest.mark.parametrize("number", [0, 4, 9])
def test_procedural_clips_are_what_they_were(number: int) -> None:
    plan = Plan(
        clips=10, identities=3, seconds=0.5, width=64, height=64, sensor="davis346", tasks=("au", "expression"),
        rgb=True, seed=11,
    )  # fmt: skip
    clip = make_clip(plan, number)
    digest = hashlib.sha256()
    for name in ("t", "x", "y", "p"):
        digest.update(np.ascontiguousarray(clip.events[name]).tobytes())
    for name in (
        "au_intensity",
        "landmarks",
        "visible",
        "landmarks98",
        "visible98",
        "coefficients",
        "pose",
        "gaze",
        "box",
        "frame_t_us",
    ):
        digest.update(np.ascontiguousarray(getattr(clip, name)).tobytes())
    assert clip.rgb is not None
    digest.update(b"".join(clip.rgb))
    assert digest.hexdigest() == GOLDEN[number]

"""The procedural face keeps its clips bit for bit: figures that were published depend on them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from snnface.converters.clip import make_clip
from snnface.converters.plan import Plan

#: sha256 of events and labels of clips of the plan below, by number of the clip.
GOLDEN: dict[int, str] = {
    0: "a1e645c3fb7c8b6cbfdcc70118a19c81986e7baae073721a40094e9164432ac1",
    4: "a08a03d5f1d5ef46c55d81854b1098332d124225a70865809f7b02e6040ab150",
    9: "867c4458657164986696d419cd11c66f7f8e2fa2cacc810a90ea861b532885d2",
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

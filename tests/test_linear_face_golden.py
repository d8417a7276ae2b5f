"""The procedural face keeps its clips bit for bit: figures that were published depend on them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from snnface.converters.clip import make_clip
from snnface.converters.plan import Plan

#: sha256 of events and labels of clips of the plan below, by number of the clip.
GOLDEN: dict[int, str] = {
    0: "c51e19dbbff372a46db5e5ff7dd54e050f03b16ecc43a5bed2ec7b4bae484c56",
    4: "5963074d1946003d5ceb84f6dd57b65ab4a3075025a3e2218083c98ae1326bac",
    9: "5063c1e2df6038b7176bb487f3668f984cb1e74117bbc4eb11dcafbe35aa1a23",
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
    for name in ("au_intensity", "landmarks", "visible", "coefficients", "pose", "gaze", "box", "frame_t_us"):
        digest.update(np.ascontiguousarray(getattr(clip, name)).tobytes())
    assert clip.rgb is not None
    digest.update(b"".join(clip.rgb))
    assert digest.hexdigest() == GOLDEN[number]

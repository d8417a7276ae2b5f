"""The procedural face keeps its clips: figures that were published depend on them.

Means and spreads of events, labels and pictures, not their bits: a logarithm differs in its last digit from processor
to processor, and with it an event by a microsecond.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snnface.converters.clip import make_clip
from snnface.converters.plan import Plan
from snnface.datasets.store import ClipData

#: By number of the clip: ``[mean, standard deviation]`` of each field; ``python tests/test_linear_face_golden.py``
#: writes it anew.
GOLDEN = Path(__file__).with_name("golden") / "procedural_clips.json"
LABELS = (
    *("au_intensity", "landmarks", "visible", "landmarks98", "visible98", "coefficients", "pose", "gaze", "box"),
    "frame_t_us",
)


def made(number: int) -> ClipData:
    plan = Plan(
        clips=10, identities=3, seconds=0.5, width=64, height=64, sensor="davis346", tasks=("au", "expression"),
        rgb=True, seed=11,
    )  # fmt: skip
    return make_clip(plan, number)


def summary(clip: ClipData) -> dict[str, list[float]]:
    assert clip.rgb is not None
    fields = {name: clip.events[name] for name in ("t", "x", "y", "p")}
    fields |= {name: getattr(clip, name) for name in LABELS}
    fields["rgb"] = np.stack([np.asarray(Image.open(io.BytesIO(picture))) for picture in clip.rgb])
    moments = {
        k: [float(np.mean(v, dtype=np.float64)), float(np.std(v, dtype=np.float64))] for k, v in fields.items()
    }
    return {"events": [float(len(clip.events)), 0.0]} | moments


@pytest.mark.parametrize("number", [0, 4, 9])
def test_procedural_clips_are_what_they_were(number: int) -> None:
    found = summary(made(number))
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))[str(number)]
    assert found.keys() == golden.keys()
    for name, moments in golden.items():
        assert found[name] == pytest.approx(moments, rel=2e-4, abs=1e-5), name


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({n: summary(made(n)) for n in (0, 4, 9)}, indent=1) + "\n", encoding="utf-8")

"""What the demo streams: a real recording where there is one, and a synthetic face at 1280×720."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import snnface
from snnface import checkpoint
from snnface.datasets.store import Store

#: The high-resolution face is filmed this long (s) and streamed again and again until there are enough ticks.
SECONDS, WIDTH, HEIGHT, TICKS = 0.5, 1280, 720, 1000


def live_recordings(weights: Path, out: Path, data: str | None) -> dict[str, Any]:
    """Stream both through the trained network, tick by tick, as a camera would deliver them.

    ``data``: folder with ``recordings/evt3_sample.raw``, or None. Returns the answers of ``run`` as
    ``real_recording`` (the synthetic face where there is no real one) and ``synthetic_recording``.
    """
    step_us = checkpoint.load(weights)[0].config.step_us
    face = out / "face_1280x720.h5"
    if not face.is_file():
        snnface.synth(
            face,
            clips=1,
            identities=1,
            seconds=SECONDS,
            size=f"{WIDTH}x{HEIGHT}",
            tasks="expression",
            rgb=False,
            workers=1,
            split="0,0,1",
            first_identity=200_000,
            resume=True,
        )
    repeat = math.ceil(TICKS * step_us / int(Store(face).duration_us[0] * 0.98)) + 1
    synthetic = snnface.run(weights, str(face), repeat=repeat, out=out / "live_face.jsonl")
    synthetic |= {"source": f"synthetic face, {WIDTH}x{HEIGHT}, {repeat} times"}
    recording = Path(data) / "recordings" / "evt3_sample.raw" if data else None
    if recording is None or not recording.is_file():
        return {"real_recording": synthetic, "synthetic_recording": synthetic}
    real = snnface.run(weights, str(recording), out=out / "live_recording.jsonl") | {"source": recording.name}
    every = snnface.run(weights, str(recording), downscale="all") | {"source": recording.name}
    return {"real_recording": real | {"every_event": every}, "synthetic_recording": synthetic}

"""One clip of a plan: acted, seen by the event sensor and by an ordinary camera, and labelled."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from snnface.converters.plan import LENGTH_SPREAD, Plan
from snnface.converters.preset import drawn
from snnface.converters.sensors import sensor
from snnface.converters.simulator import EventSimulator
from snnface.datasets.store import ClipData
from snnface.faces import ClipSpec, FaceClip
from snnface.faces.picture import srgb

#: Time between two pictures of the ordinary camera, and between two labels (30 a second), µs.
FRAME_US = 33_333
#: The event sensor's exposure is drawn within this factor above and below 1.
EXPOSURE = 1.5


def make_clip(plan: Plan, number: int) -> ClipData:
    """Clip ``number`` of the plan; length, exposure and everything that happens are drawn whatever the label."""
    face_seed, sensor_seed, own_seed = np.random.SeedSequence([plan.seed, number]).spawn(3)
    random = np.random.default_rng(own_seed)
    seconds = plan.seconds * random.uniform(1 - LENGTH_SPREAD, 1 + LENGTH_SPREAD)
    exposure = EXPOSURE ** random.uniform(-1, 1)
    identity, au, expression = plan.labels(number)
    seed = int(face_seed.generate_state(1)[0])
    spec = ClipSpec(identity, au, expression, seconds, plan.width, plan.height, seed)
    clip = FaceClip(spec, face=plan.actor, variation=plan.variation)
    preset = sensor(plan.sensor)
    if plan.sensor_spread > 1:
        preset = drawn(preset, plan.sensor_spread, np.random.default_rng(sensor_seed.spawn(1)[0]))
    simulator = EventSimulator(plan.width, plan.height, preset, int(sensor_seed.generate_state(1)[0]))
    frame_t_us = np.arange(0, clip.duration_us, FRAME_US, dtype=np.int64)
    # Both cameras look at the same pictures: the event sensor sees each of the ordinary one's, and those between.
    times = clip.sampling_times(np.append(frame_t_us, clip.duration_us))
    events, rgb = [], []
    pictured = set(frame_t_us.tolist()) if plan.rgb else set()
    for t, light, seen in clip.light(times):
        events.append(simulator.step(exposure * light, t))
        if seen is not None and t in pictured:
            rgb.append(_jpeg(srgb(seen)))
    return ClipData(
        events=np.concatenate(events),
        duration_us=clip.duration_us,
        identity=identity,
        au=au,
        expression=expression,
        split=plan.split_of(identity),
        frame_t_us=frame_t_us,
        rgb=rgb if plan.rgb else None,
        **clip.labels(frame_t_us),
    )


def _jpeg(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()

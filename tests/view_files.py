"""A small data set, a network and a recording to look at: random, quickly made, everything in them known."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from small_networks import clip as random_events

from snnface import checkpoint
from snnface.batch import collate_events
from snnface.datasets.store import ClipData, write_store
from snnface.encoder import ConvConfig, Encoder, EncoderConfig, HeadConfig, class_heads
from snnface.events import Recording, pack
from snnface.io.recording import write

SIZE, FRAMES, DURATION_US = 32, 10, 320_000
#: Clip 0 has an action unit, clip 1 an expression.
AU, EXPRESSION = 12, 4


def faces(path: Path) -> Path:
    """Two clips of 32×32 pixels and 0.32 s: random events, landmarks on a line, noise as RGB."""
    write_store(path, (_clip(i) for i in range(2)), SIZE, SIZE, {"name": "noise"})
    return path


def _clip(number: int) -> ClipData:
    rng = np.random.default_rng(number)
    t = np.arange(FRAMES) * 33_333
    points = np.stack([np.linspace(3, 28, 68), np.linspace(5, 20, 68)], 1) + t[:, None, None] / 100_000
    intensity = np.zeros((FRAMES, 24), np.float32)
    intensity[:, 7] = np.linspace(0, 1, FRAMES)  # AU12
    return ClipData(
        events=random_events(DURATION_US, 4_000, number, SIZE, SIZE),
        duration_us=DURATION_US,
        identity=number,
        au=AU if number == 0 else -1,
        expression=EXPRESSION if number == 1 else -1,
        split=2,
        frame_t_us=t,
        au_intensity=intensity,
        landmarks=points.astype(np.float32),
        visible=np.broadcast_to(np.arange(68) % 10 > 0, (FRAMES, 68)),
        coefficients=np.zeros((FRAMES, 3)),
        pose=np.zeros((FRAMES, 3)),
        gaze=np.zeros((FRAMES, 2)),
        box=np.zeros((FRAMES, 4)),
        rgb=[_png(rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)) for _ in t],
    )


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def network(path: Path) -> Path:
    """A random encoder with all heads for 32×32 pixels, calibrated to spike."""
    torch.manual_seed(0)
    heads = class_heads() | {"landmarks": HeadConfig(size=136, scale=[1.0] * 136, offset=[9.0, 20.0] * 68)}
    config = EncoderConfig(width=SIZE, height=SIZE, conv=[ConvConfig(channels=4)], heads=heads)
    encoder = Encoder(config)
    events = random_events(DURATION_US, 4_000, 5, SIZE, SIZE)
    encoder.calibrate(collate_events([events], [DURATION_US], SIZE, SIZE), 0.1)
    checkpoint.save(path, encoder, {})
    return path


def recording(path: Path) -> Path:
    """64×48 pixels and 0.3 s, 3,000 events, the first one not at 0."""
    events = random_events(300_000, 3_000, 1, 64, 48)
    events["t"] += 7_000_000
    write(Recording(events, 64, 48), path)
    return path


def rings(path: Path, count: int) -> Path:
    """2.5 s of 1280×720 pixels with ``count`` events: rings that move, and noise."""
    rng = np.random.default_rng(0)
    width, height = 1280, 720
    t = np.sort(rng.integers(0, 2_500_000, count))
    angle, radius = rng.uniform(0, 2 * np.pi, count), rng.choice([300, 120, 60], count) + rng.normal(0, 3, count)
    middle = width / 2 + 80 * np.sin(2 * np.pi * t / 1e6)
    x, y = middle + radius * np.cos(angle), height / 2 + radius * np.sin(angle)
    p = np.cos(angle) * np.cos(2 * np.pi * t / 1e6) > 0
    noise = rng.random(count) < 0.2
    x = np.where(noise, rng.integers(0, width, count), x.clip(0, width - 1))
    y = np.where(noise, rng.integers(0, height, count), y.clip(0, height - 1))
    write(Recording(pack(t, x.astype(int), y.astype(int), p), width, height), path)
    return path

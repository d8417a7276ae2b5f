"""Small random networks and clips that several tests share: asymmetric on purpose, so that swapped axes show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnface.batch import EventBatch, collate_events
from snnface.datasets.store import ClipData, write_store
from snnface.events import pack
from snnface.network import Head, Network, Settling, SynapticLayer

WIDTH, HEIGHT, STEP_US = 11, 9, 2_000


def network(mode: str = "exact", seed: int = 0) -> Network:
    """Conv with stride, grouped and dilated conv, dense, readout with two heads; spikes in every layer."""
    rng = np.random.default_rng(seed)

    def layer(name: str, shape_out: tuple[int, ...], weight_shape: tuple[int, ...], before: tuple[int, ...], **more):
        weight = rng.normal(0.12, 0.5, weight_shape)
        kind = "conv" if len(weight_shape) == 4 else "dense"
        return SynapticLayer(name, kind, weight, before, shape_out, alpha=0.8, beta=0.9, **more)

    layers = (
        layer("conv1", (4, 5, 4), (4, 2, 3, 5), (2, 9, 11), stride=(2, 3), padding=(1, 2)),
        layer("conv2", (6, 5, 2), (6, 2, 3, 2), (4, 5, 4), padding=(1, 0), dilation=(1, 2), groups=2, threshold=2.0),
        layer("dense1", (8,), (8, 60), (60,), threshold=4.0),
        layer("readout", (5,), (5, 8), (8,), spiking=False),
    )
    heads = {
        "expression": Head(0, 3, np.array([1.0, 2.0, 0.5]), np.zeros(3)),
        "landmarks": Head(3, 5, np.ones(2), np.array([5.0, 4.0]), Settling(np.full(2, 0.8), np.full(2, 0.9), 0.2)),
    }
    return Network((2, HEIGHT, WIDTH), STEP_US, 5_000.0, mode, layers, heads=heads)


def clip(duration_us: int, events: int, seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Uniform random events, sorted."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, duration_us + 1, events))
    return pack(t, rng.integers(0, width, events), rng.integers(0, height, events), rng.integers(0, 2, events))


def batch(*durations_us: int, events: int = 400, seed: int = 0) -> EventBatch:
    """One random clip for each duration."""
    clips = [clip(d, events, seed + i) for i, d in enumerate(durations_us)]
    return collate_events(clips, durations_us, WIDTH, HEIGHT)


def write_dataset(path: Path, clips: list[np.ndarray], duration_us: int, width: int = WIDTH, height: int = HEIGHT):
    """A data set of these clips with empty labels: one frame each, splits 0, 1, 2, 0 …"""
    blank = {
        "au_intensity": (1, 24), "landmarks": (1, 68, 2), "visible": (1, 68), "coefficients": (1, 3),
        "pose": (1, 3), "gaze": (1, 2), "box": (1, 4),
    }  # fmt: skip
    write_store(
        path,
        (
            ClipData(
                events, duration_us, identity=i, au=1, expression=-1, split=i % 3,
                frame_t_us=np.zeros(1, np.int64), **{n: np.zeros(s) for n, s in blank.items()},
            )
            for i, events in enumerate(clips)
        ),
        width,
        height,
        {"generator": "uniform noise"},
    )  # fmt: skip
    return path

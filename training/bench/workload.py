"""What is measured: one network, its input and its weights, the same for everybody.

Input 2×H×W, three convolutions 3×3 of stride 2 with 32, 64 and 128 channels, each with neurons
v ← β·v + x, s = v > θ, and after a spike v ← v − θ ("subtract", training) or v ← 0 ("zero", streaming). Mean over
positions and time, a linear layer to 24 classes, cross-entropy.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snnface.batch import EventBatch
from snnface.errors import InputError
from snnface.files import atomic_path, read_json, write_json

BETA, THRESHOLD = 0.9, 1.0
STRIDE, PADDING, KERNEL = 2, 1, 3
#: Half the width of the compact surrogate, in units of the membrane: a triangle of slope 2.
SUPPORT = 0.5
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
CASES = ("faces", "noise")
#: Length of a step where the network sees events, and how they age, µs: any, since here they only count.
STEP_US = 1000
TAU_US = 1e9
#: Sides of the recordings of faces; other sizes take the same events onto another sensor.
NATIVE = 128


@dataclass(frozen=True)
class Workload:
    """``density``: fraction of input cells (pixel and polarity) that are active in a step; ``rate``: mean firing
    rate of each layer; ``size``: side of the input, pixels; ``reset``: "subtract" or "zero"; ``people``: of one clip
    of faces, who follow one another in it.

    Raises
    ------
    InputError: a setting is out of range.
    """

    case: str = "faces"
    density: float = 0.02
    size: int = NATIVE
    steps: int = 32
    batch: int = 8
    channels: tuple[int, ...] = (32, 64, 128)
    classes: int = 24
    rate: float = 0.08
    reset: str = "subtract"
    people: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.case not in CASES:
            raise InputError(f"--case {self.case}", "is unknown", f"Use one of {', '.join(CASES)}")
        if not 0 < self.density <= 0.5:
            raise InputError(f"--density {self.density}", "is no share of cells", "Give more than 0, at most 0.5")
        if self.size < 8 or self.size % 8:
            raise InputError(f"--size {self.size}", "is not a multiple of 8", "Three layers halve it each")
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name}", "is below 1", "Give at least 1")
        if self.steps % self.people:
            raise InputError("--steps", f"{self.steps} do not go round {self.people} people", "Give a multiple")

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """Of the input: (T, B, 2, H, W)."""
        return self.steps, self.batch, 2, self.size, self.size

    def layer_shape(self, layer: int) -> tuple[int, int, int]:
        """Of a layer's neurons: (C, H, W); layer −1 is the input."""
        if layer < 0:
            return 2, self.size, self.size
        side = self.layer_shape(layer - 1)[1]
        side = (side + 2 * PADDING - KERNEL) // STRIDE + 1
        return self.channels[layer], side, side

    def neurons(self, layer: int) -> int:
        """Neuron-steps of a layer in one training step."""
        return self.steps * self.batch * math.prod(self.layer_shape(layer))


@dataclass(frozen=True)
class Problem:
    """A workload with its numbers.

    ``index``: int64 ``[N]``, active cells ((step·B + clip)·2 + polarity)·H·W + y·W + x, sorted; ``labels``: int64
    ``[B]``; ``weights``: float32, OIHW of each convolution, then ``[classes, C]``. ``facts``: what its definition
    gives, as in :func:`snnface.training.bench.definition.measure`, with ``density`` and ``step_us`` (None: noise).
    """

    workload: Workload
    index: np.ndarray
    labels: np.ndarray
    weights: list[np.ndarray]
    facts: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write ``path`` (arrays, .npz) and the rest beside it (.json)."""
        arrays = {f"weight{i}": w for i, w in enumerate(self.weights)}
        with atomic_path(path) as p:
            np.savez(p, index=self.index, labels=self.labels, **arrays)  # type: ignore[arg-type]
        write_json(path.with_suffix(".json"), {"workload": asdict(self.workload), "facts": self.facts})

    @staticmethod
    def load(path: Path) -> Problem:
        """Read what :meth:`save` wrote."""
        said = read_json(path.with_suffix(".json"))
        with np.load(path, allow_pickle=False) as arrays:
            weights = [arrays[f"weight{i}"] for i in range(len(arrays) - 2)]
            index, labels = arrays["index"], arrays["labels"]
        workload = Workload(**said["workload"] | {"channels": tuple(said["workload"]["channels"])})
        return Problem(workload, index, labels, weights, said["facts"])

    def events(self) -> EventBatch:
        """The input as events, one at the end of its step of ``STEP_US`` for each active cell."""
        steps, clips, _, height, width = self.workload.shape
        t, clip, p, y, x = np.unravel_index(self.index, self.workload.shape)
        order = np.argsort(clip, kind="stable")
        offsets = np.searchsorted(clip[order], np.arange(clips + 1))
        t, x, y, p = (c[order].astype(np.int64) for c in ((t + 1) * STEP_US, x, y, p))
        columns = {"t": t, "x": x, "y": y, "p": p, "offsets": offsets, "duration_us": np.full(clips, steps * STEP_US)}
        return EventBatch(**{k: torch.from_numpy(c) for k, c in columns.items()}, width=width, height=height)

    def dense(self) -> np.ndarray:
        """The input as float32 ``[T, B, 2, H, W]``."""
        flat = np.zeros(math.prod(self.workload.shape), np.float32)
        flat[self.index] = 1
        return flat.reshape(self.workload.shape)

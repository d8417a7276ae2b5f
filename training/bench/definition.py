"""The network by its definition, step by step in plain torch: what every row is checked against."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from snnface.training.bench.cells import cells
from snnface.training.bench.workload import (
    BETA,
    KERNEL,
    PADDING,
    STRIDE,
    SUPPORT,
    THRESHOLD,
    Problem,
    Workload,
)

#: Frames and clips on which the weights are scaled, and how closely the rate is met (relative).
_FRAMES, _CLIPS, _CLOSE = 256, 8, 0.01


def prepare(workload: Workload, weights_of: Workload | None = None) -> Problem:
    """The workload's numbers, with weights that were scaled on it or on another workload."""
    index, step_us = cells(workload)
    x = _Frames(index, workload)
    weights = calibrated(x, workload) if weights_of is None else prepare(weights_of).weights
    labels = np.random.default_rng([workload.seed, 1]).integers(0, workload.classes, workload.batch)
    facts = measure(x, weights, labels, workload)
    facts |= {"density": len(index) / math.prod(workload.shape), "step_us": step_us}
    return Problem(workload, index, labels, weights, facts)


class _Frames:
    """The input as a sequence of dense frames ``[B, 2, H, W]``, one at a time."""

    def __init__(self, index: np.ndarray, workload: Workload) -> None:
        self.shape = workload.shape
        self._frame = math.prod(self.shape[1:])
        self._index = index
        self._first = np.searchsorted(index, np.arange(len(self) + 1) * self._frame)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[step] for step in range(len(self)))

    def __getitem__(self, step: int) -> Tensor:
        frame = torch.zeros(self._frame)
        cells = self._index[self._first[step] : self._first[step + 1]] - step * self._frame
        frame[torch.from_numpy(cells)] = 1
        return frame.view(self.shape[1:])


def fire(x: Tensor, v: Tensor | float, reset: str) -> tuple[Tensor, Tensor, Tensor]:
    """One step: input and membrane → membrane before reset, spikes, membrane after."""
    before = BETA * v + x
    spikes = (before > THRESHOLD).float()
    after = before - THRESHOLD * spikes if reset == "subtract" else before * (1 - spikes)
    return before, spikes, after


@torch.no_grad()
def calibrated(x: _Frames, workload: Workload) -> list[np.ndarray]:
    """Random weights, each layer scaled by bisection until its mean rate is the workload's on this very input."""
    generator = np.random.default_rng([workload.seed, 2])
    clips = min(workload.batch, _CLIPS)
    spikes = torch.stack([x[t][:clips] for t in range(min(len(x), _FRAMES // clips))])
    weights, inputs = [], 2
    for outputs in workload.channels:
        shape = (outputs, inputs, KERNEL, KERNEL)
        weight = generator.standard_normal(shape, np.float32) / np.float32((inputs * KERNEL**2) ** 0.5)
        currents = F.conv2d(spikes.flatten(0, 1), torch.from_numpy(weight), None, STRIDE, PADDING)
        scale, spikes = _scaled(currents.unflatten(0, spikes.shape[:2]), workload)
        weights.append(weight * np.float32(scale))
        inputs = outputs
    weights.append(generator.standard_normal((workload.classes, inputs), np.float32) / np.float32(inputs**0.5))
    return weights


def _scaled(currents: Tensor, workload: Workload) -> tuple[float, Tensor]:
    low, high = 1e-3, 1e3
    for _ in range(40):
        scale = (low * high) ** 0.5
        v: Tensor | float = 0.0
        steps = []
        for current in currents:
            _, spikes, v = fire(scale * current, v, workload.reset)
            steps.append(spikes)
        rate = float(torch.stack([s.mean() for s in steps]).mean())
        if abs(rate / workload.rate - 1) < _CLOSE:
            break
        low, high = (scale, high) if rate < workload.rate else (low, scale)
    return scale, torch.stack(steps)


@torch.no_grad()
def measure(x: _Frames, weights: Sequence[np.ndarray], labels: np.ndarray, workload: Workload) -> dict[str, Any]:
    """What the definition gives.

    ``loss``: cross-entropy of the batch; ``rates``: mean rate of each layer; ``adds``: of each layer, the additions
    that its input's spikes ask for (fan-out as it is, borders included); ``near``: of each layer, the share of
    neuron-steps within the compact surrogate's support; ``flow``: the share to which a gradient comes back from
    those, through a membrane that nothing has reset to zero since; ``spikes``: of the last layer at each step.
    """
    torch_weights = [torch.from_numpy(w) for w in weights]
    fan_out = [_fan_out(workload, i) for i in range(len(workload.channels))]
    v: list[Tensor | float] = [0.0] * len(workload.channels)
    count = [0.0] * len(v)
    near, flow, adds = [0.0] * len(v), [0.0] * len(v), [0.0] * len(v)
    waiting: list[Tensor | float] = [0.0] * len(v)  # steps that a gradient would come back to
    total, last = torch.zeros(workload.batch, workload.channels[-1]), []
    for frame in x:
        spikes = frame
        for i, weight in enumerate(torch_weights[:-1]):
            adds[i] += float((spikes * fan_out[i]).sum())
            current = F.conv2d(spikes, weight, None, STRIDE, PADDING)
            before, spikes, v[i] = fire(current, v[i], workload.reset)
            count[i] += float(spikes.sum())
            close = (before - THRESHOLD).abs() < SUPPORT
            near[i] += float(close.sum())
            steps = torch.ones_like(before) + waiting[i]
            flow[i] += float(steps[close].sum())
            waiting[i] = steps * ~(close | spikes.bool() if workload.reset == "zero" else close)
        total += spikes.mean((2, 3))
        last.append(int(spikes.sum()))
    logits = total / len(x) @ torch_weights[-1].T
    sizes = [workload.neurons(i) for i in range(len(v))]
    return {
        "loss": float(F.cross_entropy(logits, torch.from_numpy(labels))),
        "rates": [c / n for c, n in zip(count, sizes, strict=True)],
        "near": [c / n for c, n in zip(near, sizes, strict=True)],
        "flow": [c / n for c, n in zip(flow, sizes, strict=True)],
        "adds": adds,
        "spikes": last,
    }


def _fan_out(workload: Workload, layer: int) -> Tensor:
    """Synapses that one spike at each input position reaches ``[H, W]``."""
    channels, height, width = workload.layer_shape(layer)
    reached = torch.ones(1, 1, height, width)
    side = workload.layer_shape(layer - 1)[1]
    extra = side - ((height - 1) * STRIDE - 2 * PADDING + KERNEL)
    kernel = torch.ones(1, 1, KERNEL, KERNEL)
    return channels * F.conv_transpose2d(reached, kernel, None, STRIDE, PADDING, extra)[0, 0]

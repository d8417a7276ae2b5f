"""Training in the chip's numbers: rounded on the way forward, straight through on the way back.

What the kernels get are the numbers that the export writes: folded weights on the layer's grid, decays in 4096ths,
thresholds in the chip's units. Gradients pass the rounding as if it were not there (Bengio et al. 2013, the
straight-through estimator), except where a weight is cut off at the last level (Esser et al. 2020). Payloads are
rounded by the input itself in every recipe with ``input_mode`` graded or unary.

The grid is calibrated and not learned: :func:`~snnface.hardware.quantising.quantise.choose_grid` chooses it from the
weights as every epoch finds them and from what the currents reach on training clips, so that the bounds against
wrapping hold of it as of any export. What a learned scale would add, the gain of each channel learns: it moves the
weights over the levels.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnface.backends import run_fastest
from snnface.batch import EventBatch
from snnface.encoder import Encoder, Neurons, Synapses
from snnface.files import read_json, write_json
from snnface.forward import Layer, Run, Trace
from snnface.hardware.integers.network import DECAY_UNIT, THRESHOLD_MAX
from snnface.hardware.quantising.grid import Grid, top
from snnface.hardware.quantising.quantise import choose_grid, settled
from snnface.input import Coding
from snnface.training.clips import Clips
from snnface.training.recipe import Quantise

#: Decays of exactly 0 or 1 have no finite logit; at this one they round to them.
_LOGIT_MOST = 16.0


class _Straight(torch.autograd.Function):
    """``rounded`` forward, the gradient of ``value`` back, where ``inside``."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, rounded: Tensor, inside: Tensor | None) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(inside)
        return rounded.view_as(rounded)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (inside,) = ctx.saved_tensors
        return g if inside is None else g * inside, None, None


def rounded_layers(layers: Sequence[Layer], grid: Grid, payload_one: int) -> list[Layer]:
    """Layers with the numbers that :func:`~snnface.hardware.quantising.rounded.on_grid` makes, by their scale.

    ``payload_one``: payload of one fresh event (1 with unary input). Weights: float32 level times float32 unit.
    """
    found = []
    for i, (layer, scale, step) in enumerate(zip(layers, grid.scales, grid.steps, strict=True)):
        neuron = replace(layer.neuron, alpha=_decay(layer.neuron.alpha), beta=_decay(layer.neuron.beta))
        if layer.spiking:
            threshold = _threshold(layer.neuron.threshold, scale * (1 if i else payload_one))
            neuron = replace(neuron, threshold=threshold)
        found.append(replace(layer, weight=_weight(layer.weight, scale, step, grid.bits), neuron=neuron))
    return found


def rounding_run(grid: Grid, run: Run | None = None) -> Run:
    """What runs an encoder in the chip's numbers: :func:`rounded_layers` before ``run`` (the fastest by default)."""

    def rounding(batch: EventBatch, coding: Coding, layers: Sequence[Layer]) -> Trace:
        one = coding.payload_one if grid.input_mode == "graded" else 1
        return (run or run_fastest)(batch, coding, rounded_layers(layers, grid, one))

    return rounding


def _weight(weight: Tensor, scale: np.ndarray, step: int, bits: int) -> Tensor:
    unit = torch.as_tensor(step / scale, dtype=weight.dtype, device=weight.device)
    unit = unit.view(-1, *[1] * (weight.dim() - 1))
    with torch.no_grad():
        level = weight / unit
        inside = level.abs() <= top(bits) + 0.5
        level = level.round_().clamp_(-top(bits), top(bits)).mul_(unit)
    return _Straight.apply(weight, level, inside)


def _decay(factor: float | Tensor) -> float | Tensor:
    if not isinstance(factor, Tensor):
        return 1 - round(DECAY_UNIT * (1 - factor)) / DECAY_UNIT
    chip = 1 - (DECAY_UNIT * (1 - factor.detach().double())).round() / DECAY_UNIT
    return _Straight.apply(factor, chip.to(factor.dtype), None)


def _threshold(threshold: float | Tensor, scale: np.ndarray) -> float | Tensor:
    value = torch.as_tensor(threshold).detach().double()
    units = torch.as_tensor(scale if len(scale) > 1 else scale[0], device=value.device)
    chip = (value * units).round().clamp(max=THRESHOLD_MAX) / units
    if isinstance(threshold, Tensor):
        return _Straight.apply(threshold, chip.to(threshold.dtype), None)
    return chip.float() if chip.dim() else float(chip)


@torch.no_grad()
def baked(encoder: Encoder, grid: Grid) -> Encoder:
    """A copy whose weights, and whatever its neurons learned, are the rounded ones.

    They round to themselves on any machine, however it sums up a norm: a checkpoint of it exports to the network that
    was trained, and is that network everywhere else.
    """
    one = encoder.config.payload_one if grid.input_mode == "graded" else 1
    chip = rounded_layers(encoder.layers(), grid, one)
    copied = copy.deepcopy(encoder)
    for layer, synapses, neurons in zip(chip, copied.synapses, copied.neurons, strict=True):
        assert isinstance(synapses, Synapses)
        assert isinstance(neurons, Neurons)
        norm = layer.weight.flatten(1).norm(dim=1)
        some = (norm > 0).view(-1, *[1] * (layer.weight.dim() - 1))
        synapses.weight.copy_(torch.where(some, layer.weight, synapses.weight))
        synapses.gain.copy_(norm)
        for name, shift in neurons.named_parameters():
            value = torch.as_tensor(getattr(layer.neuron, name)).double()
            start = torch.tensor(neurons.start[name], dtype=torch.float64)
            if name == "threshold":
                shift.copy_((value / start).log())
            else:
                shift.copy_(torch.logit(value).clamp(-_LOGIT_MOST, _LOGIT_MOST) - torch.logit(start))
    return copied


class ChipNumbers:
    """The numbers that one run trains in: the grid of the present epoch, kept in ``file`` beside its progress."""

    def __init__(self, settings: Quantise, clips: Clips, seed: int, file: Path) -> None:
        self.settings, self.file = settings, file
        chosen = np.random.default_rng(seed).permutation(len(clips))[: settings.clips]
        self._calibration = clips.events_batch(sorted(chosen.tolist()))
        self.grid: Grid | None = Grid.from_json(read_json(file), file) if file.is_file() else None

    def begin(self, encoder: Encoder, epoch: int) -> Run | None:
        """What runs the encoder in this epoch, counted from 0; None (plain numbers) before ``from_epoch``."""
        if epoch < self.settings.from_epoch:
            return None
        return self._take(choose_grid(encoder.to_network(), self._calibration, bits=self.settings.bits))

    def settle(self, encoder: Encoder) -> Run | None:
        """The same at the epoch's end, where the first layer's current may have come to be able to wrap."""
        return None if self.grid is None else self._take(settled(encoder.to_network(), self.grid))

    def _take(self, grid: Grid) -> Run:
        self.grid = grid
        write_json(self.file, grid.as_json())
        return rounding_run(grid)

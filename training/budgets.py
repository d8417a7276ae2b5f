"""Budgets of a network's work as terms of the loss: synaptic operations, spikes, cores.

Spikes have gradients through ``trace.rates``, the mean rate of each channel of each clip; everything here is made of
those. Each budget costs what is above its target, in units of the target, and nothing below it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from snnface.batch import EventBatch
from snnface.counts import fan_out
from snnface.errors import InputError
from snnface.hardware.placing.chip import load_chip
from snnface.hardware.placing.cores import network_cores
from snnface.input import coded
from snnface.network import Network
from snnface.training.recipe import Losses

#: Rate at which a channel counts as half alive, spikes a step.
HALF_ALIVE = 0.005


class Budgets:
    """What each spike of a network costs; ``bits`` of its weights, which decide the memory that cores give them.

    - ``synops``: synaptic operations a second, those of the input's pixels included, though no gradient changes them.
      A channel's spikes count with the mean fan-out of its positions: exact where they are spread evenly, and for a
      dense layer.
    - ``spikes``: spikes a second of all spiking layers.
    - ``cores``: cores are whole numbers of an architecture, so what has a gradient is the share of live channels:
      r/(r + 0.005) of a channel with rate r. A convolution's cores count with its own share, those of a dense layer
      with its own and that of the layer before it. It drives the rarest channels into silence, and
      :mod:`snnface.training.prune` leaves those out.
    """

    def __init__(self, network: Network, losses: Losses, bits: int = 8) -> None:
        self.network, self.losses = network, losses
        spiking = [layer for layer in network.layers if layer.spiking]
        #: Neurons and fan-out of one channel of each spiking layer.
        self._positions = [math.prod(layer.shape_out[1:]) for layer in spiking]
        self._fan = []
        for layer, after in zip(spiking, network.layers[1:], strict=False):
            fan = torch.from_numpy(fan_out(after)).float().reshape(layer.shape_out[0], -1)
            self._fan.append(fan.mean(1))
        self._input_fan = torch.from_numpy(fan_out(network.layers[0])).flatten()
        self._cores: list[int] = []
        if losses.cores:
            core = load_chip(losses.cores_chip).core
            if core is None:
                raise InputError(f"losses.cores_chip {losses.cores_chip}", "has no cores", "Use loihi2")
            self._cores = network_cores(network, core, bits)

    def terms(self, rates: list[Tensor], events: EventBatch) -> dict[str, Tensor]:
        """The weighted terms by name. ``rates``: of each spiking layer ``[B, C]``."""
        weights, found = self.losses, {}
        for name, total in (("synops", self.synops), ("spikes", self.spikes), ("cores", self.cores)):
            weight, target = getattr(weights, name), getattr(weights, f"{name}_target")
            if weight:
                found[name] = weight * torch.relu(total(rates, events) / target - 1)
        return found

    def synops(self, rates: list[Tensor], events: EventBatch) -> Tensor:
        """Synaptic operations a second of recording, mean over the clips."""
        cells = coded(events, self.network)
        driven = self._input_fan[cells.index[cells.value != 0] % len(self._input_fan)].sum()
        total = driven / (float(events.duration_us.sum()) * 1e-6)
        for rate, positions, fan in zip(rates, self._positions, self._fan, strict=False):
            total = total + (rate.mean(0) * fan).sum() * positions / self._seconds
        return total

    def spikes(self, rates: list[Tensor], events: EventBatch) -> Tensor:
        """Spikes a second of recording, mean over the clips."""
        counts = [rate.mean(0).sum() * n for rate, n in zip(rates, self._positions, strict=True)]
        return torch.stack(counts).sum() / self._seconds

    def cores(self, rates: list[Tensor], events: EventBatch) -> Tensor:
        """Cores of the live channels."""
        live = [(rate.mean(0) / (rate.mean(0) + HALF_ALIVE)).mean() for rate in rates]
        total = rates[0].new_zeros(())
        for i, (layer, cores) in enumerate(zip(self.network.layers, self._cores, strict=True)):
            share = live[i] if layer.spiking else rates[0].new_ones(())
            if layer.kind == "dense" and i:
                share = share * live[i - 1]
            total = total + cores * share
        return total

    @property
    def _seconds(self) -> float:
        return self.network.step_us * 1e-6

"""One step of a float network over all its neurons, in plain torch: the reference that streams are tested against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from snnface.network import Network, SynapticLayer


class DenseState:
    """The state of one stream, advanced a step at a time; ``dtype``: float32 or float64."""

    def __init__(self, network: Network, dtype: type[np.floating[Any]]) -> None:
        self.network, self.dtype, self.step = network, dtype, 0
        self.u, self.v = ([np.zeros(layer.shape_out, dtype) for layer in network.layers] for _ in "uv")
        self.weights = [torch.from_numpy(layer.weight.astype(dtype)) for layer in network.layers]
        self.readout, self.counts = np.zeros(0, dtype), np.zeros(len(network.layers), np.int64)

    def tick(self, events: np.ndarray) -> bool:
        """Take the events of the next step: ``readout`` and ``counts`` (spikes by layer) are its."""
        x = self._frame(events)
        for i, layer in enumerate(self.network.layers):
            alpha, beta, threshold = (_by_channel(p, layer) for p in (layer.alpha, layer.beta, layer.threshold))
            self.u[i] = (alpha * self.u[i] + _sums(layer, self.weights[i], x)).astype(self.dtype)
            v = (beta * self.v[i] + self.u[i]).astype(self.dtype)
            spikes = v > threshold if layer.spiking else np.zeros(v.shape, bool)
            self.v[i] = np.where(spikes, v - threshold if layer.reset == "subtract" else 0, v).astype(self.dtype)
            self.counts[i] = spikes.sum()
            x = spikes.astype(self.dtype)
        self.step += 1
        self.readout = (x if self.network.layers[-1].spiking else self.v[-1]).ravel()
        return True

    def get(self) -> tuple[int, tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Steps so far, and currents and membranes of every layer."""
        carried = [np.any(layer.alpha) for layer in self.network.layers]
        u = tuple(a.copy() if keep else np.zeros_like(a) for a, keep in zip(self.u, carried, strict=True))
        return self.step, u, tuple(a.copy() for a in self.v)

    def set(self, step: int, u: Sequence[np.ndarray], v: Sequence[np.ndarray]) -> None:
        """Go on from there."""
        self.step = step
        self.u, self.v = ([a.astype(self.dtype) for a in arrays] for arrays in (u, v))

    def _frame(self, events: np.ndarray) -> np.ndarray:
        """The input ``[2, H, W]`` of this step, as :func:`snnface.input.input_spikes` weighs events."""
        n = self.network
        age = (self.step + 1) * n.step_us - events["t"].astype(np.int64)
        place = tuple(events[name].astype(np.int64) for name in "pyx")
        frame = np.zeros(n.input_shape)
        if n.input_mode == "unary":
            frame[place] = 1
        else:
            np.add.at(frame, place, np.exp(-age / n.tau_syn_us))
        if n.input_mode == "graded":
            frame = np.round(frame * n.payload_one).clip(max=n.payload_max) / n.payload_one
        return frame.astype(self.dtype)


def _sums(layer: SynapticLayer, weight: torch.Tensor, x: np.ndarray) -> np.ndarray:
    """Synaptic sums ``[*shape_out]`` of the input ``[*shape_in]``."""
    if layer.kind == "dense":
        return (weight @ torch.from_numpy(x.ravel())).numpy()
    geometry = layer.stride, layer.padding, layer.dilation, layer.groups
    return torch.nn.functional.conv2d(torch.from_numpy(x)[None], weight, None, *geometry)[0].numpy()


def _by_channel(parameter: float | np.ndarray, layer: SynapticLayer) -> np.ndarray:
    return np.reshape(parameter, (-1, *[1] * (len(layer.shape_out) - 1)))

"""A network as torch modules with its state, one step a call: what NeuroBench's hooks look into.

Float networks compute as they are. Integer networks keep what a chip keeps: weights of 8 bits (stored halved, because
the chip's 8-bit weights are even), states and parameters as integers; their sums are whole numbers in single
precision, exact below 2²⁴, and their neurons compute in double precision, exact too.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snnface.errors import InputError
from snnface.hardware.integers.network import DECAY_UNIT, STATE_LIMIT, STATE_SHIFT, IntegerLayer, IntegerNetwork
from snnface.network import Network, SynapticLayer


class _Conv(nn.Conv2d):
    """A convolution without bias whose weights may be integers."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight.to(x.dtype), None, self.stride, self.padding, self.dilation, self.groups)


class _Dense(nn.Linear):
    """A dense layer without bias whose weights may be integers; its input is flattened."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.flatten(1), self.weight.to(x.dtype))


def _connection(layer: SynapticLayer | IntegerLayer, weight: Tensor) -> nn.Module:
    module: nn.Module
    if layer.kind == "conv":
        stride, padding, dilation, groups = layer.stride, layer.padding, layer.dilation, layer.groups
        out, size = len(weight), (int(weight.shape[2]), int(weight.shape[3]))
        module = _Conv(layer.shape_in[0], out, size, stride, padding, dilation, groups, bias=False, device="meta")
    else:
        module = _Dense(math.prod(layer.shape_in), len(weight), bias=False, device="meta")
    module.weight = nn.Parameter(weight, requires_grad=False)
    return module


class FloatNeurons(nn.Module):
    """u ← α·u + x, v ← β·v + u, spike where v > θ, then v ← 0 or v − θ; without spikes v is the answer."""

    alpha: Tensor
    beta: Tensor
    threshold: Tensor
    u: Tensor
    v: Tensor

    def __init__(self, layer: SynapticLayer) -> None:
        super().__init__()
        self.spiking, self.subtract = layer.spiking, layer.reset == "subtract"
        for name in ("alpha", "beta", "threshold"):
            self.register_buffer(name, _of_channels(getattr(layer, name), layer.shape_out, torch.float32))
        for name in "uv":
            self.register_buffer(name, torch.zeros(1, *layer.shape_out))

    def forward(self, x: Tensor) -> Tensor:
        self.u.copy_(self.alpha * self.u + x)
        self.v.copy_(self.beta * self.v + self.u)
        if not self.spiking:
            return self.v.clone()
        spikes = self.v > self.threshold
        self.v.copy_(torch.where(spikes, self.v - self.threshold if self.subtract else torch.zeros(()), self.v))
        return spikes.float()


class IntegerNeurons(nn.Module):
    """Lava's fixed-point neuron (:mod:`~snnface.hardware.integers.fixed_point`) on halved sums; no current wraps."""

    i_decay: Tensor
    v_decay: Tensor
    threshold: Tensor
    bias: Tensor
    u: Tensor
    v: Tensor

    def __init__(self, layer: IntegerLayer) -> None:
        super().__init__()
        self.name, self.spiking = layer.name, layer.spiking
        for name in ("i_decay", "v_decay", "threshold", "bias"):
            self.register_buffer(name, torch.as_tensor(np.asarray(getattr(layer, name)), dtype=torch.int32))
        for name in "uv":
            self.register_buffer(name, torch.zeros(1, *layer.shape_out, dtype=torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        u = _kept(self.u, self.i_decay) + x.double() * (2 << STATE_SHIFT)
        if u.abs().max() > STATE_LIMIT:
            raise InputError(f"layer {self.name}", "its current wraps", "Export with this data as --calibration")
        v = _kept(self.v, self.v_decay) + u + self.bias.double() * (1 << STATE_SHIFT)
        v.clamp_(1 - STATE_LIMIT, STATE_LIMIT - 1)
        spikes = v > self.threshold.double() * (1 << STATE_SHIFT)
        self.u.copy_(u)
        if not self.spiking:
            self.v.copy_(v)
            return v
        self.v.copy_(torch.where(spikes, 0.0, v))
        return spikes.float()


def _kept(state: Tensor, decay: Tensor) -> Tensor:
    return torch.trunc(state.double() * (DECAY_UNIT - decay) / DECAY_UNIT)


def _of_channels(value: float | np.ndarray, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.as_tensor(np.reshape(value, (-1, *[1] * (len(shape) - 1))), dtype=dtype)


class Chain(nn.Module):
    """The whole network; a call is one step of one clip, ``[1, C, H, W]`` → readout ``[1, R]`` (float units)."""

    def __init__(self, network: Network | IntegerNetwork) -> None:
        super().__init__()
        self.scale: Tensor | None = None
        neurons: FloatNeurons | IntegerNeurons
        for layer in network.layers:
            if isinstance(layer, IntegerLayer):
                if layer.delay is not None or (layer.weight % 2).any():
                    fix = "Measure a network that snnface export wrote"
                    raise InputError(f"layer {layer.name}", "has delays or odd weights", fix)
                weight, neurons = torch.as_tensor(layer.weight // 2, dtype=torch.int8), IntegerNeurons(layer)
            else:
                weight, neurons = torch.as_tensor(layer.weight, dtype=torch.float32), FloatNeurons(layer)
            self.add_module(f"{layer.name}_synapses", _connection(layer, weight))
            self.add_module(layer.name, neurons)
        if isinstance(network, IntegerNetwork):
            assert network.host is not None
            self.scale = torch.as_tensor(network.host.scales[-1] * (1 << STATE_SHIFT))

    def reset(self) -> None:
        """Silence."""
        for module in self.children():
            if isinstance(module, (FloatNeurons, IntegerNeurons)):
                module.u.zero_()
                module.v.zero_()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        for module in self.children():
            x = module(x)
        return x if self.scale is None else (x / self.scale).float()

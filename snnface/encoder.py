"""The spiking encoder: event-exact input, bias-free convolutions with stride, LIF neurons, one linear readout.

Only what a chip can hold: no bias, no pooling, no skips; normalisation is by scale alone. Each output channel's
weights have the norm ``gain`` (weight normalisation, Salimans & Kingma 2016, without its bias), which folds into
plain weights and makes training and inference the same network, whatever the batch.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from snnface.backends import run_fastest
from snnface.batch import EventBatch
from snnface.errors import InputError
from snnface.facs import AUS, EXPRESSIONS
from snnface.forward import Layer, Run, Trace
from snnface.heads import decode
from snnface.input import InputSpikes, coded
from snnface.network import Head, Network, Settling, SynapticLayer, conv_shape
from snnface.neuron import Lif, integrate, lif
from snnface.surrogate import Surrogate
from snnface.synapse import Conv, from_events, from_spikes

#: Gains are sought up to the limit. No channel's is more than the spread times its layer's median: a channel that is
#: mostly inhibited would else get weights beside which those of its layer vanish in 8 bits. None is more than the
#: most (in thresholds): where events are rare, weights would else leave the threshold no room in 8 bits.
GAIN_LIMIT, GAIN_SPREAD, GAIN_MOST = 1e4, 10.0, 100.0


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ConvConfig(_Config):
    """One convolution with its neurons; padding keeps the size up to the stride."""

    channels: int = Field(gt=0, description="channels out")
    kernel: int = Field(3, gt=0, description="side of the square kernel, pixels")
    stride: int = Field(2, gt=0, description="stride, which makes pictures smaller")
    tau_mem_us: float = Field(20_000, gt=0, description="membrane time constant, µs")


class DenseConfig(_Config):
    """One fully connected layer of spiking neurons."""

    features: int = Field(gt=0, description="neurons")
    tau_mem_us: float = Field(50_000, gt=0, description="membrane time constant, µs")


class HeadConfig(_Config):
    """Rows of the readout that answer one question; scale and offset give membranes their unit."""

    size: int = Field(gt=0)
    scale: list[float]
    offset: list[float]
    prior: float | None = Field(None, gt=0, le=1, description="weight of the mean label while the readout settles")

    @model_validator(mode="after")
    def _one_unit_a_row(self) -> HeadConfig:
        if not len(self.scale) == len(self.offset) == self.size:
            raise ValueError(f"scale and offset need {self.size} numbers each")
        return self


class Architecture(_Config):
    """What a recipe chooses of an encoder."""

    step_us: int = Field(20_000, gt=0, description="length of a step, µs")
    tau_syn_us: float = Field(20_000, gt=0, description="time constant of every synaptic current, µs")
    tau_readout_us: float = Field(200_000, gt=0, description="membrane time constant of the readout, µs")
    input_mode: Literal["exact", "graded", "unary"] = Field(
        "graded", description="ages of events as they are, rounded to the chip's payloads, or left out"
    )
    payload_max: int = Field(31, gt=0, description="largest payload of a pixel in a step; one fresh event is 8")
    conv: list[ConvConfig] = Field(min_length=1, description="convolutions, a table each")
    dense: list[DenseConfig] = Field([], description="dense layers, a table each")
    reset: Literal["zero", "subtract"] = Field("zero", description="reset of the membrane; chips know zero alone")
    learn_decays: bool = Field(
        False, description="learn the decays of each channel, except that of the events' own current"
    )
    learn_threshold: bool = Field(False, description="learn the threshold of each channel")
    surrogate: Literal["fast_sigmoid", "atan", "triangle"] = Field(
        "fast_sigmoid", description="stand-in for the spike's derivative"
    )
    slope: float = Field(2.0, gt=0, description="slope of the surrogate, per threshold")
    detach_reset: bool = Field(True, description="leave the reset out of the gradient")
    truncate_steps: int | None = Field(
        None, gt=0, description="cut the gradient's way back through time at every multiple of this step"
    )


class EncoderConfig(Architecture):
    """Architecture of an encoder; everything that is not a weight."""

    width: int = Field(64, gt=0, description="sensor width, pixels")
    height: int = Field(64, gt=0, description="sensor height, pixels")
    payload_one: int = Field(8, gt=0, description="payload of one fresh event on the chip")
    threshold: float = Field(1.0, gt=0, description="threshold of every neuron, to begin with where it is learned")
    heads: dict[str, HeadConfig] = {}


def class_heads() -> dict[str, HeadConfig]:
    """Heads of the two classification tasks, in units of logits."""
    return {
        "au": HeadConfig(size=len(AUS), scale=[1.0] * len(AUS), offset=[0.0] * len(AUS)),
        "expression": HeadConfig(
            size=len(EXPRESSIONS), scale=[1.0] * len(EXPRESSIONS), offset=[0.0] * len(EXPRESSIONS)
        ),
    }


class Synapses(nn.Module):
    """Weights of one layer: direction ``weight`` and norm ``gain`` of every output channel."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape) / math.sqrt(math.prod(shape[1:])))
        self.gain = nn.Parameter(torch.ones(shape[0]))

    def folded(self) -> Tensor:
        """Plain weights, the shape of ``weight``."""
        # What torch's own weight_norm calls: a fifth of the time of the same in plain operations, on the way back.
        return torch._weight_norm(self.weight, self.gain.view(-1, *[1] * (self.weight.dim() - 1)), 0)


class Neurons(nn.Module):
    """Decays and threshold of one layer, each one number, or where it is learned one a channel ``[C]``.

    What is learned is the distance from the number at the start, in logits of a decay and in the logarithm of a
    threshold: 0 at the start (where weight decay leads back to), and a decay stays within 0..1, a threshold positive.
    """

    def __init__(self, alpha: float, beta: float, threshold: float, channels: int, learned: Collection[str]) -> None:
        super().__init__()
        self.start = {"alpha": alpha, "beta": beta, "threshold": threshold}
        for name in learned:
            self.register_parameter(name, nn.Parameter(torch.zeros(channels)))

    def value(self, name: Literal["alpha", "beta", "threshold"]) -> float | Tensor:
        """The number itself, or ``[C]`` with its gradient."""
        start, shift = self.start[name], getattr(self, name, None)
        if shift is None:
            return start
        if name == "threshold":
            return start * shift.exp()
        return torch.sigmoid(torch.logit(shift.new_tensor(start)) + shift)


class Encoder(nn.Module):
    """Encoder and readout; call it with an :class:`EventBatch` of its sensor size."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        rows = sum(head.size for head in config.heads.values())
        shape: tuple[int, ...] = (2, config.height, config.width)
        self.shapes = [shape]
        self.synapses = nn.ModuleList()
        self.neurons = nn.ModuleList()
        for conv in config.conv:
            weight = (conv.channels, shape[0], conv.kernel, conv.kernel)
            geometry = self._geometry(conv)
            shape = conv_shape(shape, weight, geometry.stride, geometry.padding, geometry.dilation)
            self._add(weight, shape, conv.tau_mem_us)
        for dense in config.dense:
            self._add((dense.features, math.prod(self.shapes[-1])), (dense.features,), dense.tau_mem_us)
        self._add((rows, math.prod(self.shapes[-1])), (rows,), config.tau_readout_us, spiking=False)

    def _add(self, weight: tuple[int, ...], shape: tuple[int, ...], tau_mem_us: float, spiking: bool = True) -> None:
        """Append a layer with weights and neurons of these shapes."""
        c = self.config
        learned = []
        if c.learn_decays:
            # The events' ages hold for one time constant: the first current decays with that whatever is learned.
            learned = ["alpha", "beta"] if self.synapses else ["beta"]
        if c.learn_threshold and spiking:
            learned.append("threshold")
        alpha, beta = (math.exp(-c.step_us / tau) for tau in (c.tau_syn_us, tau_mem_us))
        self.synapses.append(Synapses(weight))
        self.neurons.append(Neurons(alpha, beta, c.threshold, shape[0], learned))
        self.shapes.append(shape)

    @staticmethod
    def _geometry(conv: ConvConfig) -> Conv:
        return Conv((conv.stride, conv.stride), (conv.kernel // 2, conv.kernel // 2))

    @property
    def heads(self) -> dict[str, Head]:
        """How the readout's rows answer; gradients flow to the decays that answers are settled by."""
        heads, start, neurons = {}, 0, self._all_neurons()[-1]
        for name, head in self.config.heads.items():
            rows = slice(start, start + head.size)
            settling = None
            if head.prior is not None:
                alpha, beta = (torch.as_tensor(neurons.value(decay)) for decay in ("alpha", "beta"))
                alpha, beta = (d[rows] if d.dim() else d.expand(head.size) for d in (alpha, beta))
                settling = Settling(alpha, beta, head.prior)
            scale, offset = (np.asarray(values, np.float32) for values in (head.scale, head.offset))
            heads[name] = Head(rows.start, rows.stop, scale, offset, settling)
            start = rows.stop
        return heads

    def _all_synapses(self) -> list[Synapses]:
        return [s for s in self.synapses if isinstance(s, Synapses)]

    def _all_neurons(self) -> list[Neurons]:
        return [n for n in self.neurons if isinstance(n, Neurons)]

    def layers(self) -> list[Layer]:
        """The layers with folded weights (gradients flow to direction and gain, and to what neurons learn)."""
        c = self.config
        surrogate = Surrogate(c.surrogate, c.slope)
        return [
            Layer(
                synapses.folded(),
                Lif(
                    neurons.value("alpha"),
                    neurons.value("beta"),
                    neurons.value("threshold"),
                    surrogate,
                    c.detach_reset,
                    c.reset,
                    c.truncate_steps,
                ),
                self._geometry(c.conv[i]) if i < len(c.conv) else None,
                spiking=i < len(c.conv) + len(c.dense),
            )
            for i, (synapses, neurons) in enumerate(zip(self._all_synapses(), self._all_neurons(), strict=True))
        ]

    def inputs(self, batch: EventBatch, steps: int | None = None) -> InputSpikes:
        """The batch as event-exact input in this encoder's step and mode."""
        return coded(batch, self.config, steps, next(self.parameters()).dtype)

    def forward(self, batch: EventBatch, run: Run | None = None) -> tuple[dict[str, Tensor], Trace]:
        """Answers of every step (name → ``[T, B, size]``) and the trace of spikes and readout.

        ``run``: what computes the layers, :func:`snnface.backends.run_fastest` by default.
        """
        trace = (run or run_fastest)(batch, self.config, self.layers())
        return decode(trace.readout, self.heads), trace

    @torch.no_grad()
    def calibrate(self, batch: EventBatch, rate: float = 0.05, rounds: int = 14) -> list[float]:
        """Set the gains so that every channel spikes in a fraction ``rate`` of its neuron-steps on ``batch``.

        A data-dependent start (bisection per channel, layer after layer); returns the rate of each layer. Channels
        that would need more than :data:`GAIN_SPREAD` times the layer's median gain, or :data:`GAIN_MOST`, stay below
        the rate.

        Raises
        ------
        InputError: a layer stays silent.
        """
        inputs = self.inputs(batch)
        spikes: Tensor | None = None
        rates: list[float] = []
        for layer, synapses in zip(self.layers(), self._all_synapses(), strict=True):
            unit = layer.weight / synapses.gain.view(-1, *[1] * (layer.weight.dim() - 1))
            x = from_events(inputs, unit, layer.conv) if spikes is None else from_spikes(spikes, unit, layer.conv)
            if not layer.spiking:
                membrane = integrate(x, layer.neuron)[0]
                synapses.gain.fill_(0.3 / float(membrane.std().clamp(min=1e-6)))
                continue
            low = torch.full_like(synapses.gain, 1 / GAIN_LIMIT)
            high = torch.full_like(synapses.gain, GAIN_LIMIT)
            per_channel = (-1, *[1] * (x.dim() - 3))
            for _ in range(rounds):
                gain = (low * high).sqrt()
                spikes = lif(x * gain.view(per_channel), layer.neuron)[0]
                busy = spikes.mean((0, 1, *range(3, x.dim()))) > rate
                high, low = torch.where(busy, gain, high), torch.where(busy, low, gain)
            gain = (low * high).sqrt()
            most = torch.full_like(gain, GAIN_MOST) * layer.neuron.threshold
            synapses.gain.copy_(gain.clamp(max=GAIN_SPREAD * float(gain.median())).minimum(most))
            spikes = lif(x * synapses.gain.view(per_channel), layer.neuron)[0]
            rates.append(float(spikes.mean()))
            if rates[-1] == 0:
                raise InputError(
                    "calibration",
                    f"layer {len(rates)} stays silent on these clips",
                    "Use clips with more events, or wider layers",
                )
        return rates

    @torch.no_grad()
    def to_network(self) -> Network:
        """The encoder as plain numbers, normalisation folded."""
        c = self.config
        names = [f"conv{i + 1}" for i in range(len(c.conv))] + [f"dense{i + 1}" for i in range(len(c.dense))]
        layers = [
            SynapticLayer(
                name=name,
                kind="conv" if layer.conv else "dense",
                weight=layer.weight.double().cpu().numpy(),
                shape_in=self.shapes[i],
                shape_out=self.shapes[i + 1],
                alpha=_plain(layer.neuron.alpha),
                beta=_plain(layer.neuron.beta),
                threshold=_plain(layer.neuron.threshold),
                spiking=layer.spiking,
                stride=layer.conv.stride if layer.conv else (1, 1),
                padding=layer.conv.padding if layer.conv else (0, 0),
                reset=layer.neuron.reset,
            )
            for i, (name, layer) in enumerate(zip([*names, "readout"], self.layers(), strict=True))
        ]
        return Network(
            (2, c.height, c.width),
            c.step_us,
            c.tau_syn_us,
            c.input_mode,
            tuple(layers),
            c.payload_one,
            c.payload_max,
            {name: _plain_head(head) for name, head in self.heads.items()},
        )


def _plain_head(head: Head) -> Head:
    if head.settling is None:
        return head
    alpha, beta = (_plain(decay) for decay in (head.settling.alpha, head.settling.beta))
    return replace(head, settling=Settling(alpha, beta, head.settling.prior))


def _plain(parameter: float | Tensor) -> float | np.ndarray:
    return parameter.double().cpu().numpy() if isinstance(parameter, Tensor) else parameter

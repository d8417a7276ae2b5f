"""Networks for the tests of the hardware room, and a slow reference of Lava's arithmetic written for reading."""

from __future__ import annotations

import itertools
import math

import numpy as np

from snnface.batch import EventBatch, collate_events
from snnface.events import EVENT_DTYPE
from snnface.hardware.integers.network import THRESHOLD_MAX, IntegerLayer, IntegerNetwork
from snnface.network import Head, Network, Settling, SynapticLayer, conv_shape


def float_network(seed: int = 0, input_mode: str = "graded", readout: bool = True) -> Network:
    """Random conv 5x5 stride 2 → conv 3x3 stride 2 → dense → readout on 12 x 16 pixels."""
    rng = np.random.default_rng(seed)
    shape: tuple[int, ...] = (2, 12, 16)
    layers = []
    for name, channels, k, gain in (("conv1", 6, 5, 0.9), ("conv2", 8, 3, 1.0)):
        weight = gain * rng.normal(size=(channels, shape[0], k, k)) / math.sqrt(shape[0] * k * k)
        out = conv_shape(shape, weight.shape, (2, 2), (k // 2, k // 2), (1, 1))
        layers.append(
            SynapticLayer(name, "conv", weight, shape, out, 0.78, 0.9, stride=(2, 2), padding=(k // 2, k // 2))
        )
        shape = out
    inputs = math.prod(shape)
    layers.append(
        SynapticLayer(
            "dense", "dense", 0.8 * rng.normal(size=(20, inputs)) / math.sqrt(inputs), shape, (20,), 0.78, 0.9
        )
    )
    if readout:
        spread = 10.0 ** rng.uniform(-2, 1, (7, 1))
        weight = spread * rng.normal(size=(7, 20))
        layers.append(SynapticLayer("readout", "dense", weight, (20,), (7,), 0.78, 0.95, spiking=False))
    settling = Settling(np.full(3, 0.78), np.full(3, 0.95), 0.1)
    heads = {
        "au": Head(0, 4, np.full(4, 0.5), np.zeros(4)),
        "expression": Head(4, 7, np.ones(3), np.arange(3.0), settling),
    }
    return Network((2, 12, 16), 5000, 20_000.0, input_mode, tuple(layers), heads=heads if readout else {})


def clips(network: Network, count: int = 2, seconds: float = 0.2, seed: int = 1) -> EventBatch:
    """Clips of a bright blob's random walk: events cluster, so pixels share steps as in real recordings."""
    rng = np.random.default_rng(seed)
    _, height, width = network.input_shape
    events, duration = [], round(seconds * 1e6)
    for _ in range(count):
        n = round(4000 * seconds)
        clip = np.zeros(n, EVENT_DTYPE)
        clip["t"] = np.sort(rng.integers(0, duration, n))
        walk = np.cumsum(rng.normal(size=(n, 2)) * 0.15, 0) + rng.normal(size=(n, 2)) * 1.5
        clip["x"] = (width / 2 + walk[:, 0]).clip(0, width - 1)
        clip["y"] = (height / 2 + walk[:, 1]).clip(0, height - 1)
        clip["p"] = rng.random(n) < 0.5
        events.append(clip)
    return collate_events(events, [duration] * count, width, height)


def integer_network(seed: int, delays: bool = True) -> IntegerNetwork:
    """A random small network: two convolutions with any stride, padding, dilation, groups, then two dense layers."""
    rng = np.random.default_rng(seed)
    shape: tuple[int, ...] = (2 * int(rng.integers(1, 3)), int(rng.integers(4, 8)), int(rng.integers(4, 8)))
    first, layers = shape, []
    for index in range(2):
        stride, dilation = (_pair(rng, 1, 3) for _ in range(2))
        kernel = _pair(rng, 1, 4)
        padding = tuple(d * (k - 1) // 2 + int(rng.integers(0, 2)) for d, k in zip(dilation, kernel, strict=True))
        groups = int(rng.choice([1, 2]))
        weight = _weights(rng, (2 * int(rng.integers(1, 3)), shape[0] // groups, *kernel))
        out = conv_shape(shape, weight.shape, stride, (padding[0], padding[1]), dilation)
        if min(out) < 1:
            return integer_network(seed + 1000, delays)
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        layers.append(IntegerLayer(f"conv{index}", "conv", weight, shape, out, **_neurons(rng, out), **geometry))
        shape = out
    for index, outputs in enumerate((5, 3)):
        inputs = math.prod(shape)
        weight = _weights(rng, (outputs, inputs))
        delay = rng.integers(0, 4, weight.shape) if delays and rng.random() < 0.5 else None
        layers.append(
            IntegerLayer(
                f"dense{index}", "dense", weight, shape, (outputs,), **_neurons(rng, (outputs,)), delay=delay
            )
        )
        shape = (outputs,)
    return IntegerNetwork(first, tuple(layers))


def _pair(rng: np.random.Generator, low: int, high: int) -> tuple[int, int]:
    a, b = rng.integers(low, high, 2)
    return int(a), int(b)


def _weights(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    weight = 2 * rng.integers(-127, 128, shape)
    weight.flat[0] = 254  # a positive weight: without one Lava may change a dense matrix
    return weight


def _neurons(rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Decays, thresholds and biases, each one number, one a channel, or (biases) one a neuron."""

    def parameter(low: int, high: int, full: bool = False) -> np.ndarray:
        per_channel = (shape[0], 1, 1) if len(shape) == 3 else shape
        sizes = [(), per_channel, shape] if full else [(), per_channel]
        return rng.integers(low, high, sizes[rng.integers(len(sizes))])

    return {
        "i_decay": parameter(0, 4097),
        "v_decay": parameter(0, 4097),
        "threshold": parameter(100, 3000),
        "bias": parameter(-80, 80, full=True),
    }


def without_spikes(network: IntegerNetwork) -> IntegerNetwork:
    """The same network with its last layer as a readout."""
    *rest, last = network.layers
    values = {k: getattr(last, k) for k in last.__dataclass_fields__} | {"threshold": np.asarray(THRESHOLD_MAX)}
    return IntegerNetwork(network.input_shape, (*rest, IntegerLayer(**values)), network.host)


def reference(
    network: IntegerNetwork,
    x: np.ndarray,
    lag: bool,
    reset_interval: int | None = None,
    reset_offset: int = 1,
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Spikes, currents and voltages ``[T, *shape]`` of each layer, one synapse after the other in plain integers."""
    traces = []
    source = x
    for index, layer in enumerate(network.layers):
        s, u, v = (np.zeros((len(x), *layer.shape_out), np.int64) for _ in range(3))
        parameters = [np.broadcast_to(p, layer.shape_out) for p in (layer.i_decay, layer.v_decay, layer.threshold)]
        bias = np.broadcast_to(layer.bias, layer.shape_out)
        for neuron in np.ndindex(layer.shape_out):
            i_decay, v_decay, threshold = (int(p[neuron]) for p in parameters)
            current = voltage = 0
            for t in range(len(x)):
                if reset_interval and (t + 1) % reset_interval == (reset_offset + 1 + index) % reset_interval:
                    current = voltage = 0
                total = _total(layer, neuron, source, t - lag)
                current = _wrap(_decay(current, i_decay) + (total << 6))
                voltage = _decay(voltage, v_decay) + current + (int(bias[neuron]) << 6)
                voltage = max(-(2**23) + 1, min(2**23 - 1, voltage))
                if voltage > threshold << 6:
                    s[(t, *neuron)], voltage = 1, 0
                u[(t, *neuron)], v[(t, *neuron)] = current, voltage
        traces.append((s, u, v))
        source = s
    return traces


def _decay(state: int, decay: int) -> int:
    size = abs(state) * (4096 - decay) >> 12
    return size if state >= 0 else -size


def _wrap(u: int) -> int:
    u = u - 2**24 if u > 2**23 else u
    return u + 2**24 if u <= -(2**23) else u


def _total(layer: IntegerLayer, neuron: tuple[int, ...], source: np.ndarray, t: int) -> int:
    """The synaptic sum of one neuron from what was sent at step ``t`` (and before, with delays)."""
    if layer.kind == "dense":
        (o,) = neuron
        total = 0
        for j, weight in enumerate(layer.weight[o]):
            at = t - (0 if layer.delay is None else int(layer.delay[o, j]))
            total += int(weight) * int(source[at].reshape(-1)[j]) if at >= 0 else 0
        return total
    if t < 0:
        return 0
    o, row, column = neuron
    inputs = layer.weight.shape[1]
    first = o // (layer.weight.shape[0] // layer.groups) * inputs
    total = 0
    for i, ky, kx in itertools.product(*(range(n) for n in layer.weight.shape[1:])):
        y = row * layer.stride[0] - layer.padding[0] + ky * layer.dilation[0]
        x = column * layer.stride[1] - layer.padding[1] + kx * layer.dilation[1]
        if 0 <= y < layer.shape_in[1] and 0 <= x < layer.shape_in[2]:
            total += int(layer.weight[o, i, ky, kx]) * int(source[t, first + i, y, x])
    return (total + 2**23) % 2**24 - 2**23

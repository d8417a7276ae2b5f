"""Random networks through other libraries' NIR importers: spikes, and how many differ from our float64 simulation.

    python tests/measure_nir.py --networks 20 --steps 60

Architectures are drawn: one to three convolutions with any kernel, stride, padding, dilation and groups, one or two
dense layers, a readout, decays and thresholds of a layer or of each channel. The importers compute as they do by
themselves, in float32. Where spikes differ, the first is listed with its membrane's distance from the threshold.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from snnface.hardware import nir_files
from snnface.hardware.nir_files.readers import installed
from snnface.hardware.nir_files.simulate import Simulation
from snnface.hardware.verifying.nir import against_reader
from snnface.network import Network, SynapticLayer, conv_shape


def drawn(seed: int) -> Network:
    """A random network; thresholds are then set so that every layer spikes in about a tenth of its neuron-steps."""
    rng = np.random.default_rng(seed)
    shape: tuple[int, ...] = (2, int(rng.integers(16, 33)), int(rng.integers(16, 33)))
    start, layers = shape, []
    for i in range(int(rng.integers(1, 4))):
        groups = int(rng.choice([1, 2]))
        channels, kernel = 2 * int(rng.integers(4, 11)), _pair(rng, 1, 6)
        stride, dilation = _pair(rng, 1, 3), _pair(rng, 1, 3)
        padding = tuple(d * (k - 1) // 2 + int(rng.integers(0, 2)) for d, k in zip(dilation, kernel, strict=True))
        weight = rng.normal(0.05, 1, (channels, shape[0] // groups, *kernel)) / math.sqrt(
            shape[0] * math.prod(kernel)
        )
        out = conv_shape(shape, weight.shape, stride, (padding[0], padding[1]), dilation)
        if min(out) < 2:
            break
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        layers.append(SynapticLayer(f"conv{i}", "conv", weight, shape, out, **_decays(rng, channels), **geometry))
        shape = out
    for i in range(int(rng.integers(1, 3))):
        outputs, inputs = int(rng.integers(20, 60)), math.prod(shape)
        weight = rng.normal(0.02, 1, (outputs, inputs)) / math.sqrt(inputs)
        layers.append(SynapticLayer(f"dense{i}", "dense", weight, shape, (outputs,), **_decays(rng, outputs)))
        shape = (outputs,)
    layers.append(
        SynapticLayer("readout", "dense", rng.normal(size=(5, *shape)), shape, (5,), 0.8, 0.9, spiking=False)
    )
    return _thresholds(Network((2, *start[1:]), 1000, 5000.0, "unary", tuple(layers)), rng)


def _pair(rng: np.random.Generator, low: int, high: int) -> tuple[int, int]:
    a, b = rng.integers(low, high, 2)
    return int(a), int(b)


def _decays(rng: np.random.Generator, channels: int) -> dict[str, Any]:
    size = channels if rng.random() < 0.5 else None
    alpha, beta = rng.uniform(0, 0.9, size), rng.uniform(0.3, 0.97, size)
    return {"alpha": alpha, "beta": beta, "threshold": rng.uniform(0.8, 1.2, size)}


def _thresholds(network: Network, rng: np.random.Generator) -> Network:
    """Weights scaled, layer by layer, until a layer spikes in 5 to 15 % of its neuron-steps."""
    layers = list(network.layers)
    x = (rng.random((30, *network.input_shape)) < 0.1).astype(np.float64)
    for i, layer in enumerate(layers[:-1]):
        low, high = -6.0, 6.0
        for _ in range(14):
            gain = (low + high) / 2
            layers[i] = SynapticLayer(**vars(layer) | {"weight": layer.weight * math.exp(gain)})
            made = Network(network.input_shape, 1000, 5000.0, "unary", tuple(layers[: i + 1]))
            rate = Simulation(*nir_files.open_graph(nir_files.to_graph(made))).advance(x)[i].s.mean()
            if 0.05 < rate < 0.15:
                break
            low, high = (gain, high) if rate < 0.05 else (low, gain)
    return Network(network.input_shape, 1000, 5000.0, "unary", tuple(layers))


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    readers = ("snntorch", "norse")
    found = {r: {"networks": 0, "spikes": 0, "differing": 0, "first": []} for r in readers if r in installed()}
    with tempfile.TemporaryDirectory() as folder:
        path, data = Path(folder, "n.nir"), Path(folder, "x.npy")
        for seed in range(arguments.seed, arguments.seed + arguments.networks):
            network = drawn(seed)
            nir_files.write(path, network)
            x = np.random.default_rng(seed).random((arguments.steps, *network.input_shape)) < 0.1
            np.save(data, x.astype(np.float32))
            for reader, row in found.items():
                certificate, _ = against_reader(path, reader, data, single=True)
                row["networks"] += 1
                row["spikes"] += sum(layer["spikes"] for layer in certificate["layers"])
                row["differing"] += certificate["differing_spikes"]
                if certificate["differing_spikes"]:
                    row["first"].append({"seed": seed} | certificate["first_difference"])
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

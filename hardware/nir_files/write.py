"""A network as a NIR graph that the importers of snnTorch and Norse read and run with the same spikes.

Every neuron parameter has the full shape ``[C, H, W]``, v_leak and v_reset are 0, and the time constants are those of
steps of :data:`DT`, the one step that snnTorch's importer knows:

    CubaLIF  τ_syn = DT/(1 − α), τ_mem = DT/(1 − β), w_in = τ_syn/DT, r = τ_mem/DT, v_threshold = θ

Groups are written out as zeros, thresholds of single channels go into the weights, a readout has a threshold that
nothing reaches (neither importer has LI or CubaLI), and flattening counts dimensions from the end, so that a batch
stays one. All numbers are those of float32, in which the importers hold them.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snnface import __version__
from snnface.files import atomic_path
from snnface.hardware.heads_file import described
from snnface.hardware.nir_files.network import NEURON, WEIGHTS
from snnface.hardware.nir_files.neurons import READOUT_THRESHOLD
from snnface.network import Network, SynapticLayer

if TYPE_CHECKING:
    import nir

#: Length of a step in the file's time constants, in seconds: what snnTorch assumes and cannot be told otherwise.
DT = 1e-4


def refusals(network: Network) -> list[dict[str, str]]:
    """What of a network NIR cannot say, or its readers would misread: ``{"layer", "what", "fix"}`` each."""
    found = []
    for layer in network.layers:
        beta, alpha = (np.float32(np.max(decay)) for decay in (layer.beta, layer.alpha))
        checks = (
            (not np.isfinite(layer.weight).all(), "its weights are not finite", "Train again"),
            (np.abs(layer.weight).max(initial=0) > 1e30, "its weights leave float32", "Train with smaller weights"),
            (
                layer.spiking and layer.reset != "zero",
                "its neurons reset by subtraction, and NIR's reset to a potential",
                'Train with reset = "zero"',
            ),
            (
                max(alpha, beta) >= 1,
                "it has a state without leak (a decay of 1), for which NIR would need an endless time constant",
                "Use a decay below 1",
            ),
            (
                min(np.min(layer.alpha), np.min(layer.beta)) < 0,
                "a decay is negative, and no time constant has such a one",
                "Use decays from 0 to below 1",
            ),
            (
                layer.spiking and np.min(layer.threshold) <= 0,
                "its threshold is not positive: silent neurons would spike",
                "Use a positive threshold",
            ),
        )
        found += [{"layer": layer.name, "what": what, "fix": fix} for wrong, what, fix in checks if wrong]
    return found


def notes(network: Network) -> list[str]:
    """What a reader of the file has to know beyond its numbers."""
    uneven = [x.name for x in network.layers if x.kind == "conv" and x.weight.shape[2] != x.weight.shape[3]]
    said = [
        f"steps are of {DT:g} s in the file's time constants and of {network.step_us} µs on the camera's clock; "
        f"Norse: from_nir(graph, dt={DT:g})"
    ]
    if uneven:
        said.append(
            f"{', '.join(uneven)}: nir 1.0 takes the height of a kernel for its width when it checks types; "
            "read with nir.read(FILE, type_check=False)"
        )
    if any(np.ndim(x.threshold) for x in network.layers if x.spiking):
        said.append("thresholds of single channels are divided into the weights: u and v are in units of θ there")
    if not network.layers[-1].spiking:
        said.append(f"{network.layers[-1].name} reads out its membrane: its threshold of 1e30 is never reached")
    return said


def written(network: Network) -> Network:
    """The network that the file says: numbers of float32, one threshold a layer (others divided into the weights)."""
    return replace(network, layers=tuple(_layer(layer) for layer in network.layers))


def _layer(layer: SynapticLayer) -> SynapticLayer:
    weight, threshold = np.asarray(layer.weight, np.float64), layer.threshold
    if layer.spiking and np.ndim(threshold):
        weight = weight / np.reshape(threshold, (-1, *[1] * (weight.ndim - 1)))
        threshold = 1.0
    return replace(
        layer,
        weight=_single(weight),
        alpha=_number(layer.alpha),
        beta=_number(layer.beta),
        threshold=_number(threshold),
    )


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).astype(np.float64)


def _number(value: float | np.ndarray) -> float | np.ndarray:
    return _single(value) if isinstance(value, np.ndarray) else float(np.float32(value))


def to_graph(network: Network) -> nir.NIRGraph:
    """The graph of a network in which :func:`refusals` finds nothing."""
    import nir

    network = written(network)
    nodes: dict[str, Any] = {"input": nir.Input(np.array(network.input_shape))}
    shape: tuple[int, ...] = network.input_shape
    for layer in network.layers:
        if layer.kind == "dense" and len(shape) > 1:
            nodes[f"{layer.name}_flatten"] = nir.Flatten(np.array(shape), -len(shape), -1)
        nodes[f"{layer.name}{WEIGHTS}"] = _synapses(layer)
        nodes[f"{layer.name}{NEURON}"] = _neurons(layer)
        shape = layer.shape_out
    nodes["output"] = nir.Output(np.array(shape))
    names = list(nodes)
    edges = list(itertools.pairwise(names))
    return nir.NIRGraph(nodes, edges, _metadata(network), type_check=False)


def _synapses(layer: SynapticLayer) -> Any:
    import nir

    weight, bias = layer.weight.astype(np.float32), np.zeros(len(layer.weight), np.float32)
    if layer.kind == "dense":
        return nir.Affine(weight, bias)
    return nir.Conv2d(
        layer.shape_in[1:], _ungrouped(weight, layer.groups), layer.stride, layer.padding, layer.dilation, 1, bias
    )


def _ungrouped(weight: np.ndarray, groups: int) -> np.ndarray:
    """Grouped weights ``[O, I/groups, …]`` as ``[O, I, …]``: importers take the second number for the inputs."""
    outputs, inputs = len(weight) // groups, weight.shape[1]
    full = np.zeros((len(weight), inputs * groups, *weight.shape[2:]), weight.dtype)
    for g in range(groups):
        rows = slice(g * outputs, (g + 1) * outputs)
        full[rows, g * inputs : (g + 1) * inputs] = weight[rows]
    return full


def _neurons(layer: SynapticLayer) -> Any:
    import nir

    def every(values: float | np.ndarray) -> np.ndarray:
        """A parameter for every neuron, float64 ``shape_out``."""
        channels = np.asarray(values, np.float64)
        if channels.ndim:
            channels = channels.reshape(-1, *[1] * (len(layer.shape_out) - 1))
        return np.broadcast_to(channels, layer.shape_out).copy()

    tau_syn, tau_mem = (DT / (1 - np.asarray(decay, np.float64)) for decay in (layer.alpha, layer.beta))
    return nir.CubaLIF(
        tau_syn=every(tau_syn),
        tau_mem=every(tau_mem),
        r=every(tau_mem / DT),
        v_leak=every(0.0),
        v_threshold=every(layer.threshold if layer.spiking else READOUT_THRESHOLD),
        v_reset=every(0.0),
        w_in=every(tau_syn / DT),
    )


def _metadata(network: Network) -> dict[str, Any]:
    return {
        "snnface": __version__,
        "dt": DT,
        "step_us": network.step_us,
        "tau_syn_us": float(network.tau_syn_us),
        "input_mode": network.input_mode,
        "payload_one": network.payload_one,
        "payload_max": network.payload_max,
        "reset": "zero",
        "readout": "" if network.layers[-1].spiking else network.layers[-1].name,
        "heads": json.dumps({name: described(head) for name, head in network.heads.items()}),
    }


def write(path: str | Path, network: Network) -> None:
    """Write a network as a NIR file, whole or not at all."""
    import nir

    graph = to_graph(network)
    with atomic_path(path) as temporary:
        nir.write(temporary, graph)

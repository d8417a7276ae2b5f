"""From a NIR graph to a :class:`~snnface.network.Network`: what backends run and the hardware room quantises."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from snnface.errors import InputError
from snnface.hardware.heads_file import head
from snnface.hardware.nir_files.linear import Synapses, by_channel, synapses
from snnface.hardware.nir_files.neurons import Stepped, stepped
from snnface.hardware.nir_files.semantics import Semantics
from snnface.hardware.nir_files.shapes import shapes
from snnface.hardware.nir_files.source import NEURONS, Graph, Node
from snnface.network import Network, SynapticLayer

#: Names of our nodes: a layer's weights and its neurons.
WEIGHTS, NEURON = "_weights", "_neurons"
#: The metadata with which snnface says how events become a network's input, and its readout's membranes answers.
SAID = ("snnface", "dt", "step_us", "tau_syn_us", "input_mode", "payload_one", "payload_max", "heads")


def to_network(graph: Graph, semantics: Semantics, biases: dict[str, np.ndarray] | None = None) -> Network:
    """The network of a chain of synapses and neurons; decays and gains as ``semantics`` steps them.

    ``biases``: gets the biases ``[O]`` of layers without synaptic decay, by name, in units of the weights; without
    it they are refused.

    Gains of the neurons (w_in, r, dt/τ) go into the weights, so that u and v are counted in units of the weights.
    Raises :class:`InputError`, naming the node, for what a :class:`Network` does not have: branches, biases, delays,
    several spikes a step, parameters that differ inside a channel, resets to another potential than rest.
    """
    if semantics.spikes == "many":
        raise InputError(
            graph.where,
            "has neurons that send several spikes a step, which our layers do not",
            "Train with one spike a step (sinabs: SingleSpike) and say --semantics sinabs,spikes=one",
        )
    if semantics.reset == "late" or semantics.floor is not None:
        what = "is said to subtract the threshold a step late, or to have a least membrane"
        raise InputError(graph.where, what, "Train without (snnTorch: reset_delay=False), or use snnface simulate")
    for source, target in graph.late:
        what = f"sends spikes back to {target}, and our networks only forward"
        raise graph.refuse(source, what, "Run it with snnface simulate, or train a feed-forward network")
    found = shapes(graph)
    layers: list[SynapticLayer] = []
    between: list[Node] = []
    shape = graph.input_shape
    for node in graph.nodes.values():
        if len(node.before) > 1:
            raise graph.refuse(node.name, f"adds up {' and '.join(node.before)}", "Use a chain without branches")
        if node.type in NEURONS:
            own = synapses(graph, between, shape, found)
            neurons = stepped(graph, node, found[node.name], semantics)
            layers.append(_layer(graph, own, neurons, semantics, biases))
            shape, between = found[node.name], []
        elif node.type not in ("Input", "Output"):
            between.append(node)
    _check_ends(graph, layers, between)
    return Network(_three(graph.input_shape), *_host(graph, semantics, tuple(layers)))


def _check_ends(graph: Graph, layers: list[SynapticLayer], rest: list[Node]) -> None:
    if rest:
        raise graph.refuse(
            rest[-1].name, "is followed by no neurons", "End in neurons: nir.LIF, or nir.LI to read out"
        )
    sources = [source for node in graph.nodes.values() for source in node.before]
    for source in sources:
        if sources.count(source) > 1:
            raise graph.refuse(source, "leads to more than one node", "Use a chain without branches")
    for layer in layers[:-1]:
        if not layer.spiking:
            raise graph.refuse(layer.name, "sends membranes to other neurons", "Only the last layer may be a readout")


def _three(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """An input's shape as channels, height and width."""
    channels, height, width = (*shape, 1, 1)[:3] if len(shape) < 3 else shape
    return channels, height, width


def _layer(
    graph: Graph, own: Synapses, n: Stepped, semantics: Semantics, biases: dict[str, np.ndarray] | None
) -> SynapticLayer:
    def channel(field: str, values: np.ndarray) -> np.ndarray:
        return by_channel(graph, n.name, field, values)

    gain, rest = channel("gain", n.k * n.g), channel("v_leak", n.start)
    if (np.asarray(own.bias) != 0).any():
        if biases is None:
            raise graph.refuse(n.name, "gets biases, and our layers have none", "Train the weights with bias=False")
        if (n.a != 0).any():
            what = "gets biases through a synaptic current, and a chip adds them to the membrane"
            raise graph.refuse(n.name, what, "Train the weights with bias=False, or neurons without τ_syn")
        biases[n.name.removesuffix(NEURON)] = own.bias * gain
    gain = np.where(np.abs(gain - 1) < 1e-12, 1.0, gain)
    if (n.c != n.start * (1 - n.b)).any():
        raise graph.refuse(n.name, "starts away from its rest (v_leak)", "Say --semantics start=rest")
    theta: Any = 1.0
    if n.theta is not None:
        theta = channel("v_threshold", n.theta)
        if semantics.reset == "value" and n.spiking and not np.allclose(channel("v_reset", n.reset), rest):
            what = f"resets to {n.reset.flat[0]:g} and rests at {n.start.flat[0]:g}"
            raise graph.refuse(n.name, what, "Use v_reset = v_leak")
        theta = theta - rest
        if semantics.fires == "at":  # v ≥ θ: above the next smaller number that float32 has
            theta = np.nextafter(theta.astype(np.float32), np.float32(-np.inf)).astype(np.float64)
    weight = own.weight * gain.reshape(-1, *[1] * (own.weight.ndim - 1))
    w = own.window
    try:
        return SynapticLayer(
            name=n.name.removesuffix(NEURON),
            kind="dense" if w is None else "conv",
            weight=weight,
            shape_in=own.shape_in,
            shape_out=own.shape_out,
            alpha=_one(channel("tau_syn", n.a)),
            beta=_one(channel("tau", n.b)),
            threshold=_one(np.asarray(theta)) if n.spiking else 1.0,
            spiking=n.spiking,
            stride=(1, 1) if w is None else _pair(w.stride),
            padding=(0, 0) if w is None else _pair(w.padding),
            dilation=(1, 1) if w is None else _pair(w.dilation),
            groups=own.groups,
            reset="subtract" if semantics.reset == "subtract" else "zero",
        )
    except ValueError as e:
        raise graph.refuse(n.name, f"is none of our layers ({e})", "Use snnface simulate") from e


def _pair(values: tuple[int, ...]) -> tuple[int, int]:
    return values[0], values[1]


def _one(values: np.ndarray) -> float | np.ndarray:
    """One number where all are equal. Decays are written from float32 numbers: the nearest of those is meant."""
    values = np.atleast_1d(values)
    near = values.astype(np.float32).astype(np.float64)
    values = np.where(np.abs(values - near) < 1e-12, near, values)
    return float(values[0]) if (values == values[0]).all() else values


def _host(graph: Graph, semantics: Semantics, layers: tuple[SynapticLayer, ...]) -> tuple[Any, ...]:
    """Step, age, input coding, layers and heads: as the metadata says, else spikes at the step that was stated."""
    m = graph.metadata
    if "snnface" not in m:
        step_us = semantics.step_us or round(semantics.step * 1e6)
        if step_us < 1:
            what = f"steps of {semantics.step:g} s are below 1 µs"
            raise InputError(graph.where, what, "Say --semantics step_us=1000")
        return step_us, float(step_us), "unary", layers
    try:
        heads = {name: head(x) for name, x in json.loads(m["heads"]).items()}
        return (
            semantics.step_us or int(m["step_us"]),
            float(m["tau_syn_us"]),
            str(m["input_mode"]),
            layers,
            int(m["payload_one"]),
            int(m["payload_max"]),
            heads,
        )
    except (KeyError, TypeError, ValueError) as e:
        what = f"lacks {e} in its metadata" if isinstance(e, KeyError) else f"has broken metadata ({e})"
        raise InputError(graph.where, what, "Export the network again") from e

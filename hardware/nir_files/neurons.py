"""A NIR neuron node as one step of arithmetic (:mod:`snnface.hardware.nir_files.semantics` has the equations)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnface.hardware.nir_files.semantics import Semantics
from snnface.hardware.nir_files.shapes import Shape, spread
from snnface.hardware.nir_files.source import Graph, Node

#: A threshold that no membrane reaches: the neurons are a readout. (No importer of snnTorch or Norse has LI.)
READOUT_THRESHOLD = 1e30
#: Decays below 0 by no more than this are rounding of a time constant of one step.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Stepped:
    """A layer of neurons, every field float64 ``shape``: u ← a·u + k·x, v ← b·v + g·u + c, spike beyond θ.

    ``theta``: None where the node has no threshold (its membrane is its output). ``current``: whether it has a
    synaptic current of its own; else u is the input as it comes.
    """

    name: str
    type: str
    shape: Shape
    a: np.ndarray
    k: np.ndarray
    b: np.ndarray
    g: np.ndarray
    c: np.ndarray
    theta: np.ndarray | None
    reset: np.ndarray
    start: np.ndarray
    current: bool

    @property
    def spiking(self) -> bool:
        """Whether any neuron can spike."""
        return self.theta is not None and bool((self.theta < READOUT_THRESHOLD).any())


def stepped(graph: Graph, node: Node, shape: Shape, semantics: Semantics) -> Stepped:
    """The neurons of a node; raises :class:`InputError` where a time constant is below a step or not positive."""

    def parameter(field: str, default: float = 0.0) -> np.ndarray:
        return np.full(shape, default) if node.values.get(field) is None else spread(graph, node, field, shape)

    kind, ones, zeros = node.type, np.ones(shape), np.zeros(shape)
    whole = kind in semantics.whole.split("+")
    a, k = zeros, ones
    if kind in ("CubaLIF", "CubaLI"):
        a = _decay(graph, node, "tau_syn", parameter("tau_syn"), semantics)
        k = parameter("w_in", 1.0) * (ones if whole else 1 - a)
    if kind == "Threshold":
        b, g, c = zeros, ones, zeros
    elif kind in ("I", "IF"):
        b, c = ones, zeros
        g = parameter("r") * (1.0 if whole else semantics.step)
    else:
        field = "tau_mem" if kind in ("CubaLIF", "CubaLI") else "tau"
        b = _decay(graph, node, field, parameter(field), semantics)
        scaled = ones if whole and field == "tau" else 1 - b
        g, c = parameter("r") * scaled, parameter("v_leak") * (1 - b)
    theta = None
    if kind not in ("CubaLI", "LI", "I"):
        theta = parameter("threshold" if kind == "Threshold" else "v_threshold")
        if semantics.spikes == "many" and (theta <= 0).any():
            raise graph.refuse(node.name, "has a threshold that is not positive", "Train with positive thresholds")
    start = parameter("v_leak") if semantics.start == "rest" else zeros
    return Stepped(
        node.name, kind, shape, a, k, b, g, c, theta, parameter("v_reset"), start, kind in ("CubaLIF", "CubaLI")
    )


def _decay(graph: Graph, node: Node, field: str, tau: np.ndarray, semantics: Semantics) -> np.ndarray:
    dt = semantics.step
    if (tau <= 0).any():
        raise graph.refuse(node.name, f"has {field} = {tau.min():g}, which is no length of time", "Mend the numbers")
    steps = tau / dt / (dt if semantics.tau_times_dt else 1.0)
    if semantics.decay == "exp":
        return np.exp(-1 / steps)
    decay = 1 - 1 / steps
    if (decay < -_ROUNDING).any():
        raise graph.refuse(
            node.name,
            f"has {field} = {tau.min():g}, shorter than a step of {dt:g}: its states would alternate in sign",
            "Give a shorter --dt, or the --semantics of the library that wrote the file",
        )
    return np.maximum(decay, 0.0)

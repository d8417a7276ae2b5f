"""How large the states of an integer network become on clips, in the engine where that can say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from snnface.hardware.integers.fixed_point import largest_input, payloads, simulator
from snnface.hardware.integers.native import NativeSimulator, fastest
from snnface.hardware.integers.network import IntegerNetwork

if TYPE_CHECKING:
    from snnface.batch import EventBatch


def peaks(network: IntegerNetwork, clips: EventBatch) -> tuple[list[float], np.ndarray]:
    """Largest magnitudes, in the states' units, on the input that the network's manifest describes.

    Of the current of each layer, before it wraps; of currents and membranes of the last layer's neurons, as they
    are after a step, ``[*shape_out]``. Raises as :func:`snnface.hardware.integers.fixed_point.payloads`.
    """
    engine = fastest(network, clips.size, largest_input=largest_input(network))
    if isinstance(engine, NativeSimulator):
        found = _of_engine(engine, clips)
        if not engine.wraps:  # of a current that has wrapped a trace does not say how large it was
            return found
    plain = simulator(network, clips.size)
    last = len(network.layers) - 1
    peak = np.zeros(network.layers[last].shape_out)
    for block in payloads(network, clips):
        trace = plain.advance(block, states=[last])[last]
        peak = np.maximum(peak, np.maximum(np.abs(trace.u), np.abs(trace.v)).max((0, 1)))
    return [n.peak_u for n in plain.neurons], peak


def _of_engine(engine: NativeSimulator, clips: EventBatch) -> tuple[list[float], np.ndarray]:
    """Of traces that are looked at clip by clip: together they would not fit the memory."""
    layers = engine.network.layers
    currents, peak = np.zeros(len(layers)), np.zeros(layers[-1].shape_out)
    for block in payloads(engine.network, clips):
        for traces in engine.each_clip(block, range(len(layers))):
            currents = np.maximum(currents, [max(t.u.max(initial=0), -t.u.min(initial=0)) for t in traces])
            for states in (traces[-1].u, traces[-1].v):
                peak = np.maximum(peak, np.abs(states).max(0))
    return currents.tolist(), peak

"""How large a layer's scale can be: thresholds fit their field, and no current wraps."""

from __future__ import annotations

import numpy as np

from snnface.hardware.integers.network import DECAY_UNIT, THRESHOLD_MAX
from snnface.hardware.quantising.grid import chosen, levels
from snnface.network import SynapticLayer


def rows(layer: SynapticLayer) -> np.ndarray:
    """Its weights as float64 ``[O, N]``, the inputs of each output channel."""
    return layer.weight.reshape(len(layer.weight), -1).astype(np.float64)


def threshold_bound(layer: SynapticLayer, wanted: np.ndarray, payload_one: int) -> np.ndarray:
    """The largest scale, in the shape of ``wanted``, at which the thresholds fit their field."""
    if not layer.spiking:
        return np.full(len(wanted), np.inf)
    bound = np.broadcast_to(THRESHOLD_MAX / (layer.threshold * payload_one), len(layer.weight))
    return bound if len(wanted) > 1 else np.minimum.reduce(bound, keepdims=True)


def memory(layer: SynapticLayer) -> np.ndarray:
    """What one step's sum is of the largest state that it alone, step after step, leads to."""
    return decay(layer.alpha) / DECAY_UNIT * (1.0 if layer.spiking else decay(layer.beta) / DECAY_UNIT)


def reachable_bound(
    layer: SynapticLayer, wanted: np.ndarray, bound: np.ndarray, largest_input: int, bits: int
) -> np.ndarray:
    """The largest scale within ``bound`` at which no input whatever wraps the current (nor moves a readout out of its
    range)."""
    weights = rows(layer)
    limit = np.broadcast_to((THRESHOLD_MAX - 1) * memory(layer) / largest_input, len(weights))
    with np.errstate(divide="ignore"):
        reachable = np.where(limit < 1, 0, limit / one_sided(weights))
    bound = np.minimum(bound, reachable if len(wanted) > 1 else np.minimum.reduce(reachable, keepdims=True))
    # rounding moves the sums of weights a little: shrink until the rounded weights fit
    while True:
        step, scale = chosen(wanted, bound, bits)
        over = one_sided(step * levels(weights, scale, step, bits)) > limit
        if not over.any():
            return bound
        bound = np.where(over if len(wanted) > 1 else over.any(), 0.995 * np.minimum(scale, bound), bound)


def one_sided(rows: np.ndarray) -> np.ndarray:
    """Of each row the sum of its positive or of its negative weights, whichever is larger in size."""
    return np.maximum(np.maximum(rows, 0).sum(1), np.maximum(-rows, 0).sum(1))


def decay(factor: float | np.ndarray) -> np.ndarray:
    """Decay factors per step as the chip's decays of 4096, int64."""
    return np.rint(DECAY_UNIT * (1 - np.asarray(factor))).astype(np.int64)

"""Float network → 8-bit integer network with Lava's arithmetic.

One scale s a layer turns float currents into integer ones: weights 2·round(W·s/2) (even, ±254), threshold
round(θ·s), iDecay = round(4096·(1 − α)), vDecay = round(4096·(1 − β)). With graded input the first layer's
payload of one fresh event is p₁, so its current and threshold carry s·p₁. The rows of a readout never meet a
threshold, so each row has its own scale. Bounds on s:

- weights and thresholds fit their fields: 254/max|W|, 131,071/(θ·p₁);
- the current does not wrap. First layer: from the largest reachable one, 131,071·(1 − α)/(P·max(ΣW⁺, ΣW⁻)).
  Deeper layers: the largest current on calibration clips, doubled, stays below 131,072 (without calibration
  the reachable one, every input spiking at every step). A readout's membrane likewise stays below 131,071.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from snnface.errors import InputError
from snnface.hardware.fixed_point import payloads, simulator
from snnface.hardware.integer import (
    CURRENT_LIMIT,
    DECAY_UNIT,
    GROUPS_MAX,
    PAYLOAD_LIMIT,
    STATE_SHIFT,
    THRESHOLD_MAX,
    WEIGHT_MAX,
    Host,
    IntegerLayer,
    IntegerNetwork,
)
from snnface.hardware.netx import chip_refusal
from snnface.network import Network, SynapticLayer

if TYPE_CHECKING:
    from snnface.batch import EventBatch

#: Head room of states on calibration clips.
_HEADROOM = 2.0
_ROUNDS = 8


def refusals(network: Network) -> list[dict[str, str]]:
    """What of a float network a chip cannot express: ``{"layer", "what", "fix"}`` each; empty where it fits."""
    found = []
    if not 1 <= network.payload_one <= network.payload_max <= PAYLOAD_LIMIT:
        what = f"payloads from {network.payload_one} to {network.payload_max} do not fit 8 bits"
        found.append({"layer": "input", "what": what, "fix": f"Use payloads within 1..{PAYLOAD_LIMIT}"})
    for layer in network.layers:
        checks = (
            (not np.isfinite(layer.weight).all(), "its weights are not finite", "Train again"),
            (not layer.weight.any(), "all its weights are zero", "Remove the layer or train it"),
            (layer.groups > GROUPS_MAX, f"it has {layer.groups} groups", f"Use at most {GROUPS_MAX}"),
            (
                layer.spiking and np.min(layer.threshold) <= 0,
                "its threshold is not positive",
                "Use a positive threshold",
            ),
            (
                any(np.min(decay) < 0 or np.max(decay) > 1 for decay in (layer.alpha, layer.beta)),
                "a decay factor is outside 0..1",
                "Use decays between 0 and 1",
            ),
            (
                layer.spiking and layer.reset != "zero",
                "its neurons reset by subtraction, which the chip's do not",
                'Train with reset = "zero"',
            ),
        )
        found += [{"layer": layer.name, "what": what, "fix": fix} for wrong, what, fix in checks if wrong]
    return found


def quantise(
    network: Network, calibration: EventBatch | None = None, input_mode: str | None = None
) -> IntegerNetwork:
    """Quantise a float network for ``input_mode`` "graded" or "unary" (default: the network's; exact → graded).

    ``calibration``: clips that bound the currents of the deeper layers. Raises :class:`InputError` naming the
    layer where the network cannot be expressed (see :func:`refusals`).
    """
    for refusal in refusals(network):
        raise InputError(f"layer {refusal['layer']}", refusal["what"], refusal["fix"])
    mode = input_mode or ("unary" if network.input_mode == "unary" else "graded")
    graded = mode == "graded"
    one, largest = (network.payload_one, network.payload_max) if graded else (1, 1)
    first = network.layers[0]
    scales = [_range_scale(layer, one if i == 0 else 1) for i, layer in enumerate(network.layers)]
    scales[0] = np.minimum(scales[0], _reachable_scale(first, largest))
    if calibration is None:
        for i, layer in enumerate(network.layers[1:], start=1):
            scales[i] = np.minimum(scales[i], _reachable_scale(layer, 1))
    host = Host(
        network.step_us, network.tau_syn_us, mode, network.payload_one, network.payload_max, (), network.heads
    )
    result = _build(network, scales, one, host)
    if calibration is not None:
        # Rounding at the new scale, and other spikes in the layer before, move the peaks: repeat until all fit.
        for _ in range(_ROUNDS):
            shrink = _excess(result, calibration)
            if all((x <= 1).all() for x in shrink):
                break
            scales = [s / np.where(x > 1, 1.02 * x, 1) for s, x in zip(scales, shrink, strict=True)]
            result = _build(network, scales, one, host)
    for quantised in result.layers:
        if what := chip_refusal(quantised):
            raise InputError(
                f"layer {quantised.name}", f"quantised, it has {what}", "Scale its weights or its threshold"
            )
    return result


def _rows(layer: SynapticLayer) -> np.ndarray:
    return layer.weight.reshape(len(layer.weight), -1).astype(np.float64)


def _per_row(layer: SynapticLayer, bound: np.ndarray) -> np.ndarray:
    """Bounds of the rows ``[O]`` → the layer's scale: ``[1]``, or ``[O]`` for a readout."""
    return np.minimum.reduce(bound, keepdims=True) if layer.spiking else bound


def _range_scale(layer: SynapticLayer, payload_one: int) -> np.ndarray:
    """The largest scale at which weights and threshold fit their fields."""
    peak = np.abs(_rows(layer)).max(1)
    bound = WEIGHT_MAX / np.where(peak > 0, peak, peak.max())
    if layer.spiking:
        bound = np.minimum(bound, THRESHOLD_MAX / (layer.threshold * payload_one))
    return _per_row(layer, bound)


def _reachable_scale(layer: SynapticLayer, largest_input: int) -> np.ndarray:
    """The largest scale at which no input whatever wraps the current (nor moves a readout out of its range)."""
    rows = _rows(layer)
    memory = _decay(layer.alpha) / DECAY_UNIT * (1.0 if layer.spiking else _decay(layer.beta) / DECAY_UNIT)
    limit = np.broadcast_to((THRESHOLD_MAX - 1) * memory / largest_input, len(rows))
    with np.errstate(divide="ignore"):
        scale = _per_row(layer, np.where(limit < 1, 0, limit / _one_sided(rows)))
    # rounding moves the sums of weights a little: shrink until the rounded weights fit
    while (over := _one_sided(_round(rows, scale)) > limit).any():
        scale = np.where(over.any() if layer.spiking else over, 0.995 * scale, scale)
    return scale


def _one_sided(rows: np.ndarray) -> np.ndarray:
    """Of each row the sum of its positive or of its negative weights, whichever is larger in size."""
    return np.maximum(np.maximum(rows, 0).sum(1), np.maximum(-rows, 0).sum(1))


def _round(rows: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Even integer weights at a scale ``[1]`` or ``[O]``."""
    return np.clip(2 * np.rint(rows * scale[:, None] / 2), -WEIGHT_MAX, WEIGHT_MAX)


def _decay(factor: float | np.ndarray) -> np.ndarray:
    """Decay factors per step as the chip's decays of 4096, int64."""
    return np.rint(DECAY_UNIT * (1 - np.asarray(factor))).astype(np.int64)


def _build(network: Network, scales: Sequence[np.ndarray], payload_one: int, host: Host) -> IntegerNetwork:
    ones = [payload_one] + [1] * (len(scales) - 1)
    layers = [integer_layer(*x) for x in zip(network.layers, scales, ones, strict=True)]
    currents = tuple(s * one for s, one in zip(scales, ones, strict=True))
    return IntegerNetwork(network.input_shape, tuple(layers), replace(host, scales=currents))


def integer_layer(layer: SynapticLayer, scale: np.ndarray, payload_one: int = 1) -> IntegerLayer:
    """One layer at the weight scale ``[1]`` or, row by row, ``[O]``; ``payload_one`` multiplies its threshold."""
    weight = _round(_rows(layer), scale).astype(np.int64).reshape(layer.weight.shape)
    threshold = np.rint(layer.threshold * scale[0] * payload_one) if layer.spiking else np.asarray(THRESHOLD_MAX)

    def spread(values: np.ndarray) -> np.ndarray:
        """One number, or one for each channel, as it broadcasts over the neurons."""
        return values.reshape(-1, *[1] * (len(layer.shape_out) - 1)) if values.ndim else values

    return IntegerLayer(
        layer.name,
        layer.kind,
        weight,
        layer.shape_in,
        layer.shape_out,
        spread(_decay(layer.alpha)),
        spread(_decay(layer.beta)),
        spread(np.minimum(threshold, THRESHOLD_MAX).astype(np.int64)),
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
    )


def _excess(network: IntegerNetwork, calibration: EventBatch) -> list[np.ndarray]:
    """By what factor the states of each layer leave their head room on calibration clips (first layer: 1)."""
    sim = simulator(network, calibration.size)
    last = len(network.layers) - 1
    peak = np.zeros(network.layers[last].shape_out)
    for block in payloads(network, calibration):
        trace = sim.advance(block, states=[last])[last]
        peak = np.maximum(peak, np.maximum(np.abs(trace.u), np.abs(trace.v)).max((0, 1)))
    unit = (1 << STATE_SHIFT) * CURRENT_LIMIT / _HEADROOM
    excess = [np.array([n.peak_u / unit]) for n in sim.neurons]
    if not network.layers[last].spiking:
        excess[last] = peak / unit
    excess[0] = np.ones(1)
    return excess

"""Float network → integer network with Lava's arithmetic.

One scale s a layer turns float currents into integer ones: weights step·round(W·s/step) (even, ±254), threshold
round(θ·s), iDecay = round(4096·(1 − α)), vDecay = round(4096·(1 − β)). With graded input the first layer's
payload of one fresh event is p₁, so its current and threshold carry s·p₁. The rows of a readout never meet a
threshold, so each row has its own scale; below 8 bits each channel has, with its own threshold. Bits and step of a
weight: :mod:`snnface.hardware.quantising.grid`. Bounds on s:

- weights and thresholds fit their fields: 254/max|W| (less where few bits are better spent), 131,071/(θ·p₁);
- the current does not wrap. First layer: from the largest reachable one, 131,071·(1 − α)/(P·max(ΣW⁺, ΣW⁻)).
  Deeper layers: the largest current on calibration clips, doubled, stays below 131,072 (without calibration
  the reachable one, every input spiking at every step). A readout's membrane likewise stays below 131,071.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from snnface.errors import InputError
from snnface.hardware.integers.network import (
    CURRENT_LIMIT,
    GROUPS_MAX,
    PAYLOAD_LIMIT,
    STATE_SHIFT,
    IntegerNetwork,
)
from snnface.hardware.quantising.bounds import reachable_bound, rows, threshold_bound
from snnface.hardware.quantising.grid import BITS_MOST, Grid, check_bits, chosen, wanted_scale
from snnface.hardware.quantising.peaks import peaks
from snnface.hardware.quantising.rounded import integer_network, on_grid, payload_range
from snnface.network import Network

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
    network: Network,
    calibration: EventBatch | None = None,
    input_mode: str | None = None,
    bits: int = 8,
    trained: Grid | None = None,
) -> IntegerNetwork:
    """Quantise a float network to weights of ``bits`` bits, for ``input_mode`` "graded" or "unary" (default: the
    network's; exact → graded).

    ``calibration``: clips that bound the currents of the deeper layers. ``trained``: the grid that the network was
    trained on, which it keeps where that has these bits; calibration then only checks it. Raises :class:`InputError`
    naming the layer where the network cannot be expressed (see :func:`refusals`).
    """
    if trained is None or trained.bits != bits:
        return on_grid(network, choose_grid(network, calibration, input_mode, bits))
    if input_mode not in (None, trained.input_mode):
        trained = settled(network, trained, input_mode)
    result = on_grid(network, trained)
    for layer, excess in zip(result.layers, _excess(result, calibration) if calibration else [], strict=False):
        if (excess > _HEADROOM).any():
            what = "leaves its range on the calibration clips, at the scale that it was trained with"
            raise InputError(f"layer {layer.name}", what, "Train it on with more quantise.clips")
    return result


def choose_grid(
    network: Network, calibration: EventBatch | None = None, input_mode: str | None = None, bits: int = 8
) -> Grid:
    """The grid on which :func:`quantise` puts the weights; the same arguments and errors."""
    check_bits(bits)
    for refusal in refusals(network):
        raise InputError(f"layer {refusal['layer']}", refusal["what"], refusal["fix"])
    mode = input_mode or ("unary" if network.input_mode == "unary" else "graded")
    one, largest = payload_range(network, mode)
    first = network.layers[0]
    wanted = [wanted_scale(rows(x), bits, together=x.spiking and bits == BITS_MOST) for x in network.layers]
    bounds = [
        threshold_bound(x, w, one if i == 0 else 1)
        for i, (x, w) in enumerate(zip(network.layers, wanted, strict=True))
    ]
    bounds[0] = reachable_bound(first, wanted[0], bounds[0], largest, bits)
    if calibration is None:
        for i, layer in enumerate(network.layers[1:], start=1):
            bounds[i] = reachable_bound(layer, wanted[i], bounds[i], 1, bits)
    grid = _grid(wanted, bounds, bits, mode)
    if calibration is not None:
        # Rounding at the new scale, and other spikes in the layer before, move the peaks: repeat until all fit.
        for _ in range(_ROUNDS):
            shrink = _excess(integer_network(network, grid), calibration)
            if all((x <= 1).all() for x in shrink):
                break
            bounds = [
                np.where(x > 1, s / np.where(x > 1, 1.02 * x, 1), b)
                for s, x, b in zip(grid.scales, shrink, bounds, strict=True)
            ]
            grid = _grid(wanted, bounds, bits, mode)
    return grid


def settled(network: Network, grid: Grid, input_mode: str | None = None) -> Grid:
    """The grid of weights that have moved since it was chosen: the same, but where the first layer's current could
    come to wrap, its scale is reduced.

    ``input_mode``: another than the grid's, for which the first layer's levels stay what they are, at the largest
    step that its bounds leave.
    """
    mode = input_mode or grid.input_mode
    one, largest = payload_range(network, mode)
    first, scale = network.layers[0], grid.scales[0]
    finest = scale * 2 / grid.steps[0]
    bound = scale if mode == grid.input_mode else threshold_bound(first, finest, one)
    step, scale = chosen(finest, reachable_bound(first, finest, bound, largest, grid.bits), grid.bits)
    return Grid(grid.bits, mode, (step, *grid.steps[1:]), (scale, *grid.scales[1:]))


def _grid(wanted: Sequence[np.ndarray], bounds: Sequence[np.ndarray], bits: int, mode: str) -> Grid:
    steps, scales = zip(*(chosen(w, b, bits) for w, b in zip(wanted, bounds, strict=True)), strict=True)
    return Grid(bits, mode, steps, scales)


def _excess(network: IntegerNetwork, calibration: EventBatch) -> list[np.ndarray]:
    """By what factor the states of each layer leave their head room on calibration clips (first layer: 1)."""
    currents, last = peaks(network, calibration)
    unit = (1 << STATE_SHIFT) * CURRENT_LIMIT / _HEADROOM
    excess = [np.array([current / unit]) for current in currents]
    if not network.layers[-1].spiking:
        excess[-1] = last / unit
    excess[0] = np.ones(1)
    return excess

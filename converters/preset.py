"""Event sensors as the simulator sees them: one record with a source for every figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Readout:
    """The bus that reads a sensor's pixels, one after another.

    ``events_per_s``: most events in a second; ``line_us``: time to go to another row or column; ``order``: whether
    whole rows or columns are read, each in its turn, or events in their order of arrival; ``holds``: whether a pixel
    that waits to be read cannot ask again, so that its further events until then are dropped (and counted).
    """

    events_per_s: float
    line_us: float = 0.0
    order: Literal["row", "column", "arrival"] = "row"
    holds: bool = True


@dataclass(frozen=True)
class SensorPreset:
    """One pixel design. Thresholds are natural-log contrast.

    ``threshold_on``, ``threshold_off``: log contrast; ``mismatch``: their standard deviation over pixels, as a
    fraction; ``cutoff_hz``: bandwidth of the photoreceptor at full light (proportional to light below, 0 =
    unlimited); ``leak_hz``: ON events a pixel and second from leak, on average; ``shot_hz``: noise events a pixel
    and second in the dark; ``refractory_us``: dead time of a pixel after an event; ``source``: of the whole;
    ``leak_spread``: standard deviation over pixels of the leak's decimal logarithm; ``hot_fraction``, ``hot_hz``:
    share of pixels that leak at this rate instead; ``bright_shot``, ``shot_half``: how shot noise falls with light
    (:func:`~snnface.converters.noise.shot_share`); ``readout``: None reads every event at once; ``size``: width and
    height of the real sensor; ``sources``: of each figure by its name; "assumed: …" gives the reason.
    """

    name: str
    threshold_on: float
    threshold_off: float
    mismatch: float
    cutoff_hz: float
    leak_hz: float
    shot_hz: float
    refractory_us: int
    source: str
    leak_spread: float = 0.0
    hot_fraction: float = 0.0
    hot_hz: float = 0.0
    bright_shot: float = 0.25
    shot_half: float = 0.0
    readout: Readout | None = None
    size: tuple[int, int] | None = None
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)


#: The two thresholds of a drawn sensor differ by up to this factor more than those of its preset.
_APART = 1.2


def drawn(preset: SensorPreset, spread: float, random: np.random.Generator) -> SensorPreset:
    """A sensor of this design with other biases: figures up to ``spread`` times above and below, by their logarithm.

    Both thresholds move together, as with the light's contrast, and a little apart; bandwidth, leak and refractory
    period each on their own; shot noise by up to the square, because it differs most from sensor to sensor.
    """

    def factor(most: float) -> float:
        return float(most ** random.uniform(-1, 1))

    contrast = factor(spread)
    return replace(
        preset,
        threshold_on=preset.threshold_on * contrast * factor(_APART),
        threshold_off=preset.threshold_off * contrast * factor(_APART),
        cutoff_hz=preset.cutoff_hz * factor(spread),
        leak_hz=preset.leak_hz * factor(spread),
        shot_hz=preset.shot_hz * factor(spread**2),
        refractory_us=round(preset.refractory_us * factor(spread)),
    )

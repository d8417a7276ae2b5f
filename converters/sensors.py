"""Event sensors as the simulator sees them.

Contrast thresholds and noise of a real camera depend on its bias settings; the values are typical ones, with
their source. Thresholds are natural-log contrast.
"""

from __future__ import annotations

from dataclasses import dataclass

from snnface.errors import InputError


@dataclass(frozen=True)
class SensorPreset:
    """One pixel design.

    ``threshold_on``, ``threshold_off``: log contrast; ``mismatch``: their standard deviation over pixels, as a
    fraction; ``cutoff_hz``: bandwidth of the photoreceptor at full light (proportional to light below, 0 =
    unlimited); ``leak_hz``: ON events a pixel and second from leak; ``shot_hz``: noise events a pixel and second
    in the dark (a quarter of it at full light); ``refractory_us``: dead time of a pixel after an event.
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


SENSORS: dict[str, SensorPreset] = {
    s.name: s
    for s in (
        SensorPreset("clean", 0.2, 0.2, 0.0, 0.0, 0.0, 0.0, 0, "no noise, equal thresholds: for checks"),
        SensorPreset(
            "davis346",
            0.20,
            0.22,
            0.035 / 0.2,
            300.0,
            0.1,
            0.3,
            500,
            "v2e's figures for a DAVIS (Hu, Liu, Delbruck 2021): thresholds 0.2 with 0.03-0.04 spread, cutoff "
            "300 Hz, leak 0.1 Hz; shot noise between its clean and noisy settings",
        ),
        SensorPreset(
            "evk4",
            0.22,
            0.25,
            0.03 / 0.22,
            1000.0,
            0.05,
            0.1,
            200,
            "IMX636/IMX646 class (Finateu et al. 2020): nominal contrast about 25 %; spread, leak and shot noise "
            "are assumptions in the range that users report at default biases",
        ),
    )
}


def sensor(name: str) -> SensorPreset:
    """A preset by name; raises :class:`InputError` naming the known ones."""
    if name not in SENSORS:
        raise InputError(f"--sensor {name}", "is unknown", f"Use one of {', '.join(SENSORS)}")
    return SENSORS[name]

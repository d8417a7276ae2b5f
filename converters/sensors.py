"""Event sensors as the simulator sees them.

Contrast thresholds and noise of a real camera depend on its bias settings; the values are typical ones, with
their source. Thresholds are natural-log contrast.
"""

from __future__ import annotations

from snnface.converters.preset import Readout, SensorPreset
from snnface.errors import InputError

__all__ = ["SENSORS", "Readout", "SensorPreset", "sensor"]

SENSORS: dict[str, SensorPreset] = {
    s.name: s
    for s in (
        SensorPreset("clean", 0.2, 0.2, 0.0, 0.0, 0.0, 0.0, 0, "no noise, equal thresholds: for checks"),
        SensorPreset(
            "davis346",
            threshold_on=0.20,
            threshold_off=0.22,
            mismatch=0.15,
            cutoff_hz=300.0,
            leak_hz=0.1,
            shot_hz=0.1,
            refractory_us=500,
            source="v2e's defaults for a DAVIS346 (Hu, Liu and Delbruck 2021): threshold 0.2 with a spread of 0.03, "
            "cutoff 300 Hz, leak 0.1 Hz, refractory period 0.5 ms; assumed: shot noise of a well-lit face, between "
            "its defaults (0.001 Hz) and its noisy set (5 Hz), and OFF 10 % less sensitive than ON",
        ),
        SensorPreset(
            "evk4",
            threshold_on=0.22,
            threshold_off=0.25,
            mismatch=0.03 / 0.22,
            cutoff_hz=1000.0,
            leak_hz=0.05,
            shot_hz=0.1,
            refractory_us=200,
            source="IMX636: nominal contrast threshold of 25 % as its makers state it (ln 1.25 = 0.22); everything "
            "else depends on biases and light and is an assumption in the range that users report",
        ),
    )
}


def sensor(name: str) -> SensorPreset:
    """A preset by name; raises :class:`InputError` naming the known ones."""
    if name not in SENSORS:
        raise InputError(f"--sensor {name}", "is unknown", f"Use one of {', '.join(SENSORS)}")
    return SENSORS[name]

"""Event sensors by name.

Thresholds, bandwidth and noise of a real camera depend on its bias settings, its temperature and the light; the
values are typical ones. Every figure has its source beside it, or the reason for which it was assumed, or the
recording to which it was fitted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from snnface.converters.preset import Readout, SensorPreset
from snnface.errors import InputError

__all__ = ["SENSORS", "Readout", "SensorPreset", "sensor"]

_V2E = "v2e's default (Hu, Liu and Delbruck 2021)"
_V2E_LEAK = "default of v2e's emulator class; 0.01 Hz on its command line"
_SONY = "Sony's table of IMX636 and IMX646 (product brief)"
_DVX = "makers' specification of the DVXplorer"
_DAVIS = "makers' specification of the DAVIS346"
_GEN31 = "makers' table of the PPS3MVCD (Gen3.1 VGA), in the manual of the SilkyEvCam VGA"
_LICHTSTEINER = "Lichtsteiner, Posch and Delbruck 2008"
_HOT = "assumed: 200 in a million pixels, 20 events a second each: as many as a filter should find"
_HOT_SEEN = (
    "fitted to one recording, a person by a DVXplorer of 320×240 pixels (docs/realism.md): 94 of 76,800 pixels, "
    "187 events a second each"
)
_HELD = "pixels hold their request until they are acknowledged (address-event handshake, " + _LICHTSTEINER + ")"

#: What Sony's two HD sensors share: they answer with the same chip number, and differ in a bit of their grade and in
#: what they are specified for in low light.
_HD = SensorPreset(
    "imx636",
    threshold_on=0.223,
    threshold_off=0.245,
    mismatch=0.135,
    cutoff_hz=1600.0,
    leak_hz=0.05,
    shot_hz=10.0,
    refractory_us=200,
    source="Sony IMX636 as in Prophesee's EVK4, 1280×720 pixels of 4.86 µm",
    leak_spread=0.1,
    hot_fraction=2e-4,
    hot_hz=20.0,
    bright_shot=1e-3,
    shot_half=0.02,
    readout=Readout(1.06e9, order="row"),
    size=(1280, 720),
    sources={
        "threshold_on": "makers: nominal contrast threshold of 25 %; ln 1.25",
        "threshold_off": "assumed: OFF 10 % less sensitive than ON; no figure by polarity was found",
        "mismatch": f"assumed: {_V2E} of 0.03 in log contrast",
        "cutoff_hz": "makers: latency below 100 µs at 1000 lux; 1 / (2π · 100 µs)",
        "leak_hz": "assumed: half of v2e's 0.1 Hz, as the pixel is smaller",
        "leak_spread": _V2E,
        "shot_hz": f"{_SONY}: background rate of 10 Hz at 5 lux, taken as the dark",
        "bright_shot": "assumed: nothing but leak is left in bright light",
        "shot_half": "assumed: full light is some 250 lux, so that 5 lux are 2 % of it",
        "hot_fraction": _HOT,
        "hot_hz": _HOT,
        "refractory_us": "assumed: set by a bias; short enough not to be seen in faces",
        "readout": f"{_SONY}: 1.06 · 10⁹ events a second; rows as its EVT3 format has them; {_HELD}",
        "size": _SONY,
    },
)


def _like(base: SensorPreset, name: str, source: str, sources: dict[str, str], **changes: Any) -> SensorPreset:
    """Another preset: figures that are not in ``changes`` stay, with their source."""
    return replace(base, name=name, source=source, sources={**base.sources, **sources}, **changes)


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
            size=(346, 260),
            source="v2e's settings for a DAVIS346: the simple model of published figures, every event read at once",
            sources={
                "threshold_on": _V2E,
                "threshold_off": "assumed: OFF 10 % less sensitive than ON",
                "mismatch": f"{_V2E}: 0.03 of 0.2",
                "cutoff_hz": _V2E,
                "leak_hz": _V2E_LEAK,
                "shot_hz": "assumed: a well-lit face, between v2e's default (0.001 Hz) and its noisy set (5 Hz)",
                "bright_shot": _V2E,
                "refractory_us": _V2E,
                "size": _DAVIS,
            },
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
            size=(1280, 720),
            source="IMX636 in the simple model of published figures, every event read at once",
            sources={
                "threshold_on": "makers: nominal contrast threshold of 25 %; ln 1.25",
                "threshold_off": "assumed: OFF less sensitive than ON",
                "mismatch": f"assumed: {_V2E} of 0.03 in log contrast",
                "cutoff_hz": "assumed: in the range that users report",
                "leak_hz": "assumed: in the range that users report",
                "shot_hz": "assumed: a well-lit face",
                "bright_shot": _V2E,
                "refractory_us": "assumed: in the range that users report",
                "size": _SONY,
            },
        ),
        _HD,
        _like(
            _HD,
            "imx646",
            "Sony IMX646, the IMX636's sibling for low light: same array, pitch and rate",
            {"shot_hz": f"{_SONY}: background rate of 5 Hz at 0.3 lux, taken as the dark",
             "shot_half": "assumed: the same full light as of the IMX636, of which 0.3 lux are 0.12 %"},
            shot_hz=5.0,
            shot_half=0.0012,
        ),
        _like(
            _HD,
            "gen31",
            "Prophesee Gen3.1 VGA (PPS3MVCD), 640×480 pixels of 15 µm",
            {"threshold_on": "assumed: the 25 % of its successor",
             "cutoff_hz": f"{_GEN31}: typical latency of 200 µs; 1 / (2π · 200 µs)",
             "leak_hz": f"assumed: {_V2E} of 0.1 Hz, as its pixel is as large as a DAVIS's",
             "shot_hz": "assumed: a fifth of its smaller successor's, as nine times the area catches more light",
             "readout": f"{_GEN31}: 50 · 10⁶ events a second; assumed: by rows, as its successor; {_HELD}",
             "size": _GEN31},
            cutoff_hz=800.0,
            leak_hz=0.1,
            shot_hz=2.0,
            readout=Readout(50e6, order="row"),
            size=(640, 480),
        ),
        _like(
            _HD,
            "davis346-full",
            "iniVation DAVIS346 as its makers specify it, with every kind of noise and its bus",
            {"threshold_on": f"{_DAVIS}: half of the pixels answer to 14.3 %; ln 1.143",
             "threshold_off": f"{_DAVIS}: half of the pixels answer to 22.5 %; ln 1.225",
             "mismatch": f"{_V2E}: 0.03 of 0.2",
             "cutoff_hz": _V2E,
             "leak_hz": _V2E_LEAK,
             "shot_hz": "v2e's noisy set (Hu, Liu and Delbruck 2021)",
             "refractory_us": _V2E,
             "readout": f"{_DAVIS}: 12 · 10⁶ events a second; assumed: by rows; {_HELD}",
             "size": _DAVIS},
            threshold_on=0.134,
            threshold_off=0.203,
            mismatch=0.15,
            cutoff_hz=300.0,
            leak_hz=0.1,
            shot_hz=5.0,
            refractory_us=500,
            readout=Readout(12e6, order="row"),
            size=(346, 260),
        ),
        _like(
            _HD,
            "dvxplorer",
            "iniVation DVXplorer, 640×480 pixels",
            {"threshold_on": f"{_DVX}: half of the pixels answer to 13 %; ln 1.13",
             "threshold_off": "assumed: as ON, because the specification names no polarity",
             "mismatch": f"{_DVX}: 99.9 % of the pixels answer to 27.5 %; (ln 1.275 − ln 1.13) / 3.09 of ln 1.13",
             "cutoff_hz": f"assumed: {_DVX} has a resolution of 200 µs; 1 / (2π · 200 µs)",
             "leak_hz": "assumed: as of the IMX636",
             "shot_hz": "assumed: between those of the IMX636 and the Gen3.1",
             "hot_fraction": _HOT_SEEN,
             "hot_hz": _HOT_SEEN,
             "readout": f"{_DVX}: 165 · 10⁶ events a second; columns as its driver counts them; {_HELD}",
             "size": _DVX},
            threshold_on=0.122,
            threshold_off=0.122,
            mismatch=0.32,
            cutoff_hz=800.0,
            shot_hz=5.0,
            hot_fraction=1.2e-3,
            hot_hz=187.0,
            readout=Readout(165e6, order="column"),
            size=(640, 480),
        ),
        _like(
            _HD,
            "speck",
            "SynSense Speck, 128×128 pixels beside the neurons; no figures of its pixel were found",
            {"threshold_on": f"assumed: {_V2E} of 0.2",
             "threshold_off": "assumed: OFF 10 % less sensitive than ON",
             "mismatch": f"assumed: {_LICHTSTEINER}: 2.1 % contrast, of a threshold of 0.2",
             "cutoff_hz": f"assumed: a third of the 3 kHz at 1000 lux of {_LICHTSTEINER}, to save power",
             "leak_hz": f"assumed: {_V2E_LEAK}",
             "shot_hz": "assumed: as of the Gen3.1",
             "refractory_us": "assumed: at most 1000 events a second and pixel, to save power",
             "readout": f"assumed: the rate of a DAVIS346, one event after another (asynchronous bus); {_HELD}",
             "size": "SynSense's documentation of Speck 2e"},
            threshold_on=0.20,
            threshold_off=0.22,
            mismatch=0.105,
            cutoff_hz=1000.0,
            leak_hz=0.1,
            shot_hz=2.0,
            refractory_us=1000,
            readout=Readout(12e6, order="arrival"),
            size=(128, 128),
        ),
    )
}  # fmt: skip


def sensor(name: str) -> SensorPreset:
    """A preset by name; raises :class:`InputError` naming the known ones."""
    if name not in SENSORS:
        raise InputError(f"--sensor {name}", "is unknown", f"Use one of {', '.join(SENSORS)}")
    return SENSORS[name]

"""The presets as a page shows them: ``python -m snnface.converters.sensor_table``."""

from __future__ import annotations

from snnface.converters.sensors import SENSORS, SensorPreset

#: What a row of the table is called, with its unit, by the preset's field.
ROWS = {
    "size": "pixels",
    "threshold_on": "ON threshold, ln",
    "threshold_off": "OFF threshold, ln",
    "mismatch": "mismatch of thresholds",
    "cutoff_hz": "bandwidth at full light, Hz",
    "refractory_us": "refractory period, µs",
    "leak_hz": "leak, Hz a pixel",
    "leak_spread": "its spread, decades",
    "hot_fraction": "share of hot pixels",
    "hot_hz": "their rate, Hz",
    "shot_hz": "shot noise in the dark, Hz a pixel",
    "shot_half": "light at which it is half",
    "bright_shot": "its share in bright light",
    "readout": "bus, 10⁶ events/s",
}


def table() -> str:
    """Every preset's figures, an asterisk where one is assumed or fitted, and where each comes from: Markdown."""
    shown = [s for s in SENSORS.values() if s.sources]
    lines = ["| | " + " | ".join(f"`{s.name}`" for s in shown) + " |", "|---|" + "--:|" * len(shown)]
    lines += [f"| {words} | " + " | ".join(_cell(s, name) for s in shown) + " |" for name, words in ROWS.items()]
    for s in shown:
        lines += ["", f"**`{s.name}`**: {s.source}.", ""]
        lines += [f"- {words}: {s.sources[name]}" for name, words in ROWS.items() if name in s.sources]
    return "\n".join(lines)


def _cell(sensor: SensorPreset, name: str) -> str:
    value = getattr(sensor, name)
    if name not in sensor.sources:
        return "–"
    if name == "size":
        shown = "{}×{}".format(*value)
    elif name == "readout":
        shown = f"{value.events_per_s / 1e6:,.0f}, {value.order}"
    else:
        shown = f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    return shown + ("*" if any(word in sensor.sources[name] for word in ("assumed", "fitted")) else "")


if __name__ == "__main__":
    print(table())

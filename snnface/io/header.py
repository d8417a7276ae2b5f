"""The text header of Prophesee files (RAW and DAT): lines that begin with a percent sign.

Format: https://docs.prophesee.ai, "Data formats".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from snnface.io.damage import Damage

#: Real headers have a few hundred bytes.
LONGEST_HEADER = 65_536
_LINE = re.compile(rb"%[\x20-\x7e\t]*\r?\n")
#: Sensor size by the name of the camera plug-in or the generation of the sensor, for headers without a geometry.
_SENSORS = (
    (re.compile(r"genx320"), (320, 320)),
    (re.compile(r"gen4|imx636|^4\.\d"), (1280, 720)),
    (re.compile(r"gen3|^3\.\d"), (640, 480)),
)


@dataclass(frozen=True)
class Header:
    """Fields by lower-case key (all values of a key in order) and the length in bytes."""

    fields: dict[str, list[str]]
    length: int

    def sizes(self) -> set[tuple[int, int]]:
        """Every sensor size (width, height) that the header states; one at most in a healthy header."""
        found = {
            tuple(map(int, m.groups()))
            for v in self.fields.get("geometry", [])
            if (m := re.match(r"(\d+)x(\d+)$", v))
        }
        for value in self.fields.get("format", []):
            parts = dict(part.partition("=")[::2] for part in value.lower().split(";")[1:])
            if parts.get("width", "").isdigit() and parts.get("height", "").isdigit():
                found.add((int(parts["width"]), int(parts["height"])))
        width, height = self.fields.get("width"), self.fields.get("height")
        if width and height and width[0].isdigit() and height[0].isdigit():
            found.add((int(width[0]), int(height[0])))
        return found  # type: ignore[return-value]

    def sensor(self) -> tuple[int, int] | None:
        """The size of the sensor that the header names without stating its size."""
        for key in ("plugin_name", "sensor_name", "sensor_generation", "generation"):
            for value in self.fields.get(key, []):
                for pattern, size in _SENSORS:
                    if pattern.search(value.lower()):
                        return size
        return None


def read_header(path: Path, damage: Damage) -> tuple[bytes, Header]:
    """A file's first bytes, more than any header has, and the header in them; raises where it is longer."""
    with path.open("rb") as f:
        data = f.read(2 * LONGEST_HEADER)
    return data, _parse(data, damage)


def _parse(data: bytes, damage: Damage) -> Header:
    fields: dict[str, list[str]] = {}
    position = 0
    while match := _LINE.match(data, position):
        position = match.end()
        if position > LONGEST_HEADER:
            raise damage.lost(f"its header is longer than {LONGEST_HEADER:,} bytes")
        key, _, value = match.group()[1:].decode("ascii").strip().partition(" ")
        fields.setdefault(key.lower(), []).append(value.strip())
        if key.lower() == "end":
            break
    return Header(fields, position)


def sensor_size(header: Header, declared: tuple[int, int] | None, largest: int, damage: Damage) -> tuple[int, int]:
    """The sensor's (width, height): what the header states or names, else what the user declared."""
    stated = header.sizes()
    if len(stated) > 1:
        raise damage.lost(f"its header states several sensor sizes, {sorted(stated)}", "Repair its header")
    size = stated.pop() if stated else None
    if size and declared and size != declared:
        raise damage.lost(
            f"its header states {size[0]}x{size[1]}, not {declared[0]}x{declared[1]}", "Leave out --size"
        )
    size = size or declared or header.sensor()
    if size is None:
        raise damage.lost("its header does not state the sensor's size", "Give it with --size WIDTHxHEIGHT")
    if not all(1 <= n <= largest for n in size):
        raise damage.lost(
            f"sensor size {size[0]}x{size[1]} is impossible in this format", f"Use 1 to {largest} pixels a side"
        )
    return size

"""Event Stream files (.es), version 2: each event is five bytes, preceded by overflow bytes.

Format: https://github.com/neuromorphicsystems/event_stream. Rows count from the bottom; ours from the top.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import faery
import numpy as np

from snnface.io.damage import Damage
from snnface.io.decoding import Columns, contained, joined, scratch

SUFFIXES = (".es",)
LARGEST_SENSOR = 65_535
#: Every 127 µs cost a byte, so recordings that begin later than this are written from time 0.
LATEST_START_US = 60_000_000
_MAGIC = b"Event Stream"
_HEADER = struct.Struct("<12s3BBHH")
#: Impossible pixels at most this many events apart belong to one stretch of lost framing.
_NEAR = 64
_TYPES = {0: "generic", 1: "dvs", 2: "atis", 4: "color"}
_EVENT = re.compile(rb"[\xfe\xff]*+([^\xfe\xff].{4})", re.DOTALL)
_EVENTS = re.compile(rb"(?:[\xfe\xff]*+[^\xfe\xff].{4})*+", re.DOTALL)
_PAUSE = re.compile(rb"[\xfe\xff]*+")


def read(path: Path, size: tuple[int, int] | None, damage: Damage) -> tuple[Columns, tuple[int, int], str]:
    """Columns, sensor size and "es" of an Event Stream file (DVS, or the change events of ATIS)."""
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        raise damage.lost(f"is not an Event Stream file (it begins with {data[:12]!r})", "Give the right suffix")
    if len(data) < _HEADER.size:
        raise damage.lost("its header is cut off")
    _, major, minor, patch, kind, width, height = _HEADER.unpack_from(data)
    if major != 2:
        raise damage.lost(f"has version {major}.{minor}.{patch}", "Convert it to Event Stream 2")
    if kind not in (1, 2):
        raise damage.lost(f"holds {_TYPES.get(kind, f'unknown ({kind})')} events", "Give a DVS or ATIS stream")
    if size and size != (width, height):
        raise damage.lost(f"its header states {width}x{height}, not {size[0]}x{size[1]}", "Leave out --size")
    if not width or not height:
        raise damage.lost(f"its header states a sensor of {width}x{height}")
    cleaned, outside = _clean(data, (width, height), damage)
    if cleaned is data:
        return _decode(path, damage, kind, height, outside), (width, height), "es"
    with scratch(".es", cleaned) as clean:
        return _decode(clean, damage, kind, height, outside), (width, height), "es"


def _clean(data: bytes, size: tuple[int, int], damage: Damage) -> tuple[bytes, np.ndarray]:
    """The file with whole events only and with impossible pixels moved to (0, 0), and which events those are.

    Where such pixels come close together, the framing of the events was lost: those between them go too.
    """
    end = _span(_EVENTS, data, _HEADER.size)
    rest = len(data) - _span(_PAUSE, data, end)
    damage.found("truncated_bytes", rest, "ends in the middle of an event, {} bytes after the last whole one")
    raw = b"".join(_EVENT.findall(data, _HEADER.size, end))
    events = np.frombuffer(raw, [("head", "u1"), ("x", "<u2"), ("y", "<u2")])
    impossible = np.flatnonzero((events["x"] >= size[0]) | (events["y"] >= size[1]))
    outside = np.zeros(len(events), bool)
    outside[impossible] = True
    near = np.flatnonzero(np.diff(impossible) <= _NEAR)
    for first, last in zip(impossible[near], impossible[near + 1], strict=True):
        outside[first:last] = True
    damage.found("outside_sensor", outside.sum(), f"{{}} events lie outside the {size[0]}x{size[1]} sensor")
    if not outside.any():
        return (data[:end] if rest else data), outside
    patched = bytearray(data[:end])
    for bad, match in zip(outside, _EVENT.finditer(data, _HEADER.size, end), strict=True):
        if bad:
            patched[match.end() - 4 : match.end()] = bytes(4)
    return bytes(patched), outside


def _span(pattern: re.Pattern[bytes], data: bytes, start: int) -> int:
    """Where the match of a pattern that can be empty ends."""
    match = pattern.match(data, start)
    return match.end() if match else start


def _decode(path: Path, damage: Damage, kind: int, height: int, outside: np.ndarray) -> Columns:
    """Columns of the events that are not ``outside`` (bool, one for each event of the file)."""
    with contained(damage), faery.es.Decoder(path, 0) as decoder:
        packets = [packet for packet in decoder if len(packet)]
        if not packets:
            return joined([])
        events = np.concatenate(packets)
        keep = ~outside if kind == 1 else ~outside & ~events["exposure"].astype(bool)
        t, x, y, p = joined([events[keep]], polarity="on" if kind == 1 else "polarity")
        return t, x, height - 1 - y, p


def write(path: Path, events: np.ndarray, size: tuple[int, int]) -> int:
    """Write DVS events; returns the µs taken off all times (0 unless the recording begins late)."""
    first = int(events["t"][0])
    shift = first if first > LATEST_START_US else 0
    flipped = events.copy()
    flipped["y"] = size[1] - 1 - events["y"]
    with faery.es.Encoder(path, "dvs", shift > 0, size) as encoder:
        encoder.write(flipped)
    return shift

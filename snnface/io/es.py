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
_TYPES = {0: "generic", 1: "dvs", 2: "atis", 4: "color"}
_EVENT = re.compile(rb"[\xfe\xff]*+([^\xfe\xff].{4})", re.DOTALL)
_WHOLE = re.compile(rb"(?:[\xfe\xff]*+[^\xfe\xff].{4})*+[\xfe\xff]*+", re.DOTALL)


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
    end = _good_end(data, (width, height), damage)
    if end == len(data):
        return _decode(path, path, kind, height), (width, height), "es"
    with scratch(".es", data[:end]) as clean:
        return _decode(clean, path, kind, height), (width, height), "es"


def _good_end(data: bytes, size: tuple[int, int], damage: Damage) -> int:
    """Where the good part ends: at the first impossible pixel (framing is lost there), or before a cut event."""
    whole = _WHOLE.match(data, _HEADER.size)
    end = whole.end() if whole else _HEADER.size
    damage.found("truncated_bytes", len(data) - end, "ends in the middle of an event")
    raw = b"".join(_EVENT.findall(data, _HEADER.size, end))
    events = np.frombuffer(raw, [("head", "u1"), ("x", "<u2"), ("y", "<u2")])
    outside = (events["x"] >= size[0]) | (events["y"] >= size[1])
    if not outside.any():
        return end
    first = int(outside.argmax())
    starts = (m.start() for m in _EVENT.finditer(data, _HEADER.size, end))
    cut = next(start for i, start in enumerate(starts) if i == first)
    damage.found(
        "garbled_bytes", end - cut, f"event {first} lies outside the {size[0]}x{size[1]} sensor; what follows is lost"
    )
    return cut


def _decode(path: Path, where: Path, kind: int, height: int) -> Columns:
    with contained(where), faery.es.Decoder(path, 0) as decoder:
        packets = list(decoder)
        if kind == 2:
            packets = [packet[~packet["exposure"].astype(bool)] for packet in packets]
        t, x, y, p = joined(packets, polarity="on" if kind == 1 else "polarity")
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

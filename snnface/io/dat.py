"""Prophesee DAT files, versions 1 and 2: a text header, two bytes of type and size, then 8 bytes an event."""

from __future__ import annotations

from pathlib import Path

import faery
import numpy as np

from snnface.io.damage import Damage
from snnface.io.decoding import Columns, contained, joined, scratch
from snnface.io.header import parse, sensor_size
from snnface.io.order import JITTER_US, in_order, unwrapped

SUFFIXES = (".dat",)
#: x and y have 14 bits in version 2.
LARGEST_SENSOR = 1 << 14
#: Times have 32 bits; a recording that begins later keeps the rest in the header.
LATEST_START_US = 1 << 32
#: Bits of (x, y) by version.
_BITS = {"1": (9, 8), "2": (14, 14)}
_EVENT_TYPES = (0x00, 0x0C)


def read(path: Path, size: tuple[int, int] | None, damage: Damage) -> tuple[Columns, tuple[int, int], str]:
    """Columns, sensor size and version ("dat1", "dat2") of a DAT file.

    Decoders hold the time where it runs backwards; here that is found first.
    """
    data = path.read_bytes()
    header = parse(data, damage)
    version = (header.fields.get("version") or [""])[0]
    if version not in _BITS:
        raise damage.lost(
            f"has no DAT header (it begins with {data[:16]!r})", "Give a Prophesee DAT file, or the right suffix"
        )
    size = sensor_size(header, size, LARGEST_SENSOR, damage)
    body = header.length + 2
    if len(data) < body:
        raise damage.lost("ends before the first event")
    if data[header.length] not in _EVENT_TYPES or data[header.length + 1] != 8:
        kind = f"type {data[header.length]:#04x}, {data[header.length + 1]} bytes each"
        raise damage.lost(f"holds records of {kind}, not pixel events", "Give a DAT file of CD events")
    rest = (len(data) - body) % 8
    damage.found("truncated_bytes", rest, "ends in the middle of an event, {} bytes after the last whole one")
    records = np.frombuffer(data, "<u8", offset=body, count=(len(data) - body) // 8)
    if not records.size:
        raise damage.lost("holds a header but no events")
    cleaned = _clean(records, _BITS[version], size, damage)
    if cleaned is records and not rest:
        return _decode(path, damage, size, f"dat{version}"), size, f"dat{version}"
    with scratch(".dat", data[:body], cleaned.tobytes()) as clean:
        return _decode(clean, damage, size, f"dat{version}"), size, f"dat{version}"


def _clean(records: np.ndarray, bits: tuple[int, int], size: tuple[int, int], damage: Damage) -> np.ndarray:
    x = records >> np.uint64(32) & np.uint64((1 << bits[0]) - 1)
    y = records >> np.uint64(32 + bits[0]) & np.uint64((1 << bits[1]) - 1)
    inside = (x < size[0]) & (y < size[1])
    damage.found("outside_sensor", (~inside).sum(), f"{{}} events lie outside the {size[0]}x{size[1]} sensor")
    if not inside.all():
        records = records[inside]
    ordered = in_order(unwrapped(records & np.uint64(0xFFFFFFFF), 32, fall=0.5), JITTER_US)
    damage.found("backwards", (~ordered).sum(), "time runs backwards at {} events")
    return records if ordered.all() else records[ordered]


def _decode(path: Path, damage: Damage, size: tuple[int, int], version: str) -> Columns:
    with contained(damage), faery.dat.Decoder(path, size, version) as decoder:
        if decoder.version != version or tuple(decoder.dimensions) != size:
            raise ValueError(f"the decoder reads the header as {decoder.version}, {decoder.dimensions}")
        t, x, y, payload = joined(list(decoder), polarity="payload")
        return t, x, y, payload > 0


def write(path: Path, events: np.ndarray, size: tuple[int, int]) -> int:
    """Write DAT version 2; returns 0: no time is lost."""
    records = events.astype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("payload", "u1")])
    with faery.dat.Encoder(path, "dat2", "cd", bool(events["t"][0] >= LATEST_START_US), size) as encoder:
        encoder.write(records)
    return 0

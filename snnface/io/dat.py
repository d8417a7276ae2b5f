"""Prophesee DAT files, versions 1 and 2: a text header, two bytes of type and size, then 8 bytes an event."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import faery
import numpy as np

from snnface.io.damage import Damage
from snnface.io.decoding import Block, Columns, Decoded, contained, for_encoder, joined, scratch, with_next
from snnface.io.header import read_header, sensor_size
from snnface.io.order import JITTER_US, Order, unwrapped

SUFFIXES = (".dat",)
ENCODINGS = ("dat2",)
#: x and y have 14 bits in version 2.
LARGEST_SENSOR = 1 << 14
#: Times have 32 bits; a recording that begins later keeps the rest in the header.
LATEST_START_US = 1 << 32
#: Half of what the counter reaches: a longer pause looks like a step back.
LONGEST_PAUSE_US = (1 << 31) - 1
#: Events that are checked and decoded together.
BLOCK = 1 << 19
#: Bits of (x, y) by version.
_BITS = {"1": (9, 8), "2": (14, 14)}
_EVENT_TYPES = (0x00, 0x0C)


def read(path: Path, size: tuple[int, int] | None, damage: Damage) -> Decoded:
    """Events of a DAT file, "dat1" or "dat2".

    Decoders hold the time where it runs backwards; here that is found first.
    """
    data, header = read_header(path, damage)
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
    length = path.stat().st_size - body
    damage.found("truncated_bytes", length % 8, "ends in the middle of an event, {} bytes after the last whole one")
    if length < 8:
        raise damage.lost("holds a header but no events")
    return Decoded(size, f"dat{version}", _blocks(path, data[:body], size, version, damage))


def _blocks(path: Path, head: bytes, size: tuple[int, int], version: str, damage: Damage) -> Iterator[Block]:
    order, total, taken = Order(JITTER_US), path.stat().st_size, len(head)
    first, latest = None, np.iinfo(np.int64).min
    for (records, t), following in with_next(_timed(_records(path, len(head)), _BITS[version], size, damage)):
        ordered = order.keep(t, None if following is None else following[1])
        damage.found("backwards", (~ordered).sum(), "time runs backwards at {} events")
        records, t = records[ordered], t[ordered]
        taken += records.nbytes
        if not len(t):
            continue
        first = int(t[0]) >> 32 if first is None else first
        with scratch(".dat", head, records.data) as stream:
            found, x, y, p = _decode(stream, damage, size, f"dat{version}")
        # Each block is decoded as a file of its own: its times begin within the first 32 bits.
        found = np.maximum(found + ((int(t[0]) >> 32) - first << 32), latest)
        latest = found[-1]
        yield Block(found, x, y, p, taken / total)


def _records(path: Path, start: int) -> Iterator[np.ndarray]:
    with path.open("rb") as f:
        f.seek(start)
        while len(records := np.fromfile(f, "<u8", BLOCK)):
            yield records


def _timed(
    blocks: Iterator[np.ndarray], bits: tuple[int, int], size: tuple[int, int], damage: Damage
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Records that lie on the sensor, and their times in µs."""
    last = None
    for records in blocks:
        x = records >> np.uint64(32) & np.uint64((1 << bits[0]) - 1)
        y = records >> np.uint64(32 + bits[0]) & np.uint64((1 << bits[1]) - 1)
        inside = (x < size[0]) & (y < size[1])
        damage.found("outside_sensor", (~inside).sum(), f"{{}} events lie outside the {size[0]}x{size[1]} sensor")
        records = records[inside]
        counter = (records & np.uint64(0xFFFFFFFF)).astype(np.int64)
        if last is None:
            t = unwrapped(counter, 32, fall=0.5)
        else:
            t = unwrapped(np.append(last & 0xFFFFFFFF, counter), 32, fall=0.5)[1:] + (last >> 32 << 32)
        last = int(t[-1]) if len(t) else last
        yield records, t


def _decode(path: Path, damage: Damage, size: tuple[int, int], version: str) -> Columns:
    with contained(damage), faery.dat.Decoder(path, size, version) as decoder:
        if decoder.version != version or tuple(decoder.dimensions) != size:
            raise ValueError(f"the decoder reads the header as {decoder.version}, {decoder.dimensions}")
        t, x, y, payload = joined(list(decoder), polarity="payload")
        return t, x, y, payload > 0


def write(path: Path, parts: Iterator[np.ndarray], size: tuple[int, int], encoding: str) -> int:
    """Write DAT version 2; returns 0: no time is lost."""
    record = [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("payload", "u1")]
    first = next(parts)
    with faery.dat.Encoder(path, encoding, "cd", bool(first["t"][0] >= LATEST_START_US), size) as encoder:
        for part in itertools.chain([first], parts):
            encoder.write(for_encoder(part).astype(record))
    return 0

"""Event Stream files (.es), version 2: each event is five bytes, preceded by overflow bytes.

Format: https://github.com/neuromorphicsystems/event_stream. Rows count from the bottom; ours from the top.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import faery
import numpy as np

from snnface.io.columns import LONGEST_PAUSE_US
from snnface.io.damage import Damage
from snnface.io.decoding import Block, Decoded, contained, for_encoder, joined, scratch

SUFFIXES = (".es",)
ENCODINGS = ("es",)
LARGEST_SENSOR = 65_535
#: Every 127 µs cost a byte, so recordings that begin later than this are written from time 0.
LATEST_START_US = 60_000_000
#: Each 127 µs of a pause take a byte.
_LONGEST_PAUSE = LONGEST_PAUSE_US // 127
#: Bytes that are checked and decoded together.
BLOCK = 1 << 22
_MAGIC = b"Event Stream"
_HEADER = struct.Struct("<12s3BBHH")
#: Impossible pixels at most this many events apart belong to one stretch of lost framing.
_NEAR = 64
_TYPES = {0: "generic", 1: "dvs", 2: "atis", 4: "color"}
_EVENT = re.compile(rb"[\xfe\xff]*+([^\xfe\xff].{4})", re.DOTALL)
_EVENTS = re.compile(rb"(?:[\xfe\xff]*+[^\xfe\xff].{4})*+", re.DOTALL)
_PAUSE = re.compile(rb"[\xfe\xff]*+")


def read(path: Path, size: tuple[int, int] | None, damage: Damage) -> Decoded:
    """Events of an Event Stream file (DVS, or the change events of ATIS)."""
    with path.open("rb") as f:
        data = f.read(_HEADER.size)
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
    return Decoded((width, height), "es", _blocks(path, data, (width, height), kind, damage))


def _blocks(path: Path, head: bytes, size: tuple[int, int], kind: int, damage: Damage) -> Iterator[Block]:
    total, taken, t = path.stat().st_size, len(head), 0
    buffer = b""
    with path.open("rb") as f:
        f.seek(len(head))
        while data := f.read(BLOCK):
            taken += len(data)
            buffer += data
            if taken == total:
                rest = len(buffer) - _span(_PAUSE, buffer, _span(_EVENTS, buffer, 0))
                what = "ends in the middle of an event, {} bytes after the last whole one"
                damage.found("truncated_bytes", rest, what)
            events, outside, buffer = _clean(buffer, size, taken == total)
            damage.found("outside_sensor", outside.sum(), f"{{}} events lie outside the {size[0]}x{size[1]} sensor")
            if len(buffer) > _LONGEST_PAUSE:
                raise damage.lost("pauses for more than an hour")
            if not len(outside):
                continue
            with scratch(".es", head, events) as stream:
                decoded = _decode(stream, t, damage)
            t = int(decoded["t"][-1])
            keep = ~outside if kind == 1 else ~outside & ~decoded["exposure"].astype(bool)
            found, x, y, p = joined([decoded[keep]], polarity="on" if kind == 1 else "polarity")
            yield Block(found, x, size[1] - 1 - y, p, taken / total)


def _clean(data: bytes, size: tuple[int, int], last: bool) -> tuple[bytes, np.ndarray, bytes]:
    """Whole events with impossible pixels moved to (0, 0), which events those are, and what waits for more data.

    Where such pixels come close together, the framing of the events was lost: those between them go too. Unless it
    is the ``last`` block, events after such a pixel near its end wait.
    """
    end = _span(_EVENTS, data, 0)
    events = np.frombuffer(b"".join(_EVENT.findall(data, 0, end)), [("head", "u1"), ("x", "<u2"), ("y", "<u2")])
    impossible = np.flatnonzero((events["x"] >= size[0]) | (events["y"] >= size[1]))
    if not impossible.size:
        return data[:end], np.zeros(len(events), bool), data[end:]
    outside = np.zeros(len(events), bool)
    outside[impossible] = True
    near = np.flatnonzero(np.diff(impossible) <= _NEAR)
    for first, after in zip(impossible[near], impossible[near + 1], strict=True):
        outside[first:after] = True
    waits = not last and len(events) - impossible[-1] <= _NEAR
    stop = int(impossible[-1]) if waits else len(events)
    matches = list(_EVENT.finditer(data, 0, end))
    end = matches[stop].start() if waits else end
    patched = bytearray(data[:end])
    for i in np.flatnonzero(outside[:stop]):
        patched[matches[i].end() - 4 : matches[i].end()] = bytes(4)
    return bytes(patched), outside[:stop], data[end:]


def _span(pattern: re.Pattern[bytes], data: bytes, start: int) -> int:
    """Where the match of a pattern that can be empty ends."""
    match = pattern.match(data, start)
    return match.end() if match else start


def _decode(path: Path, t0: int, damage: Damage) -> np.ndarray:
    """All events of a file that begins at ``t0`` µs, of which there is at least one."""
    with contained(damage), faery.es.Decoder(path, t0) as decoder:
        return np.concatenate([packet for packet in decoder if len(packet)])


def write(path: Path, parts: Iterator[np.ndarray], size: tuple[int, int], encoding: str) -> int:
    """Write DVS events; returns the µs taken off all times (0 unless the recording begins late)."""
    first = next(parts)
    start = int(first["t"][0])
    shift = start if start > LATEST_START_US else 0
    with faery.es.Encoder(path, "dvs", shift > 0, size) as encoder:
        for part in itertools.chain([first], parts):
            flipped = for_encoder(part).copy()
            flipped["y"] = size[1] - 1 - flipped["y"]
            encoder.write(flipped)
    return shift

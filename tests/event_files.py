"""Recordings to write, and plain readers and writers of event formats, word by word as their documents say."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from snnface.events import Recording, pack

WIDTH, HEIGHT = 64, 48
START_US = 5_000_000


def recording(events: int = 600, seed: int = 0, start: int = START_US) -> Recording:
    """Random events of a 64×48 sensor, 0-99 µs apart."""
    rng = np.random.default_rng(seed)
    t = start + np.cumsum(rng.integers(0, 100, events))
    x, y, p = (rng.integers(0, n, events) for n in (WIDTH, HEIGHT, 2))
    return Recording(pack(t, x, y, p), WIDTH, HEIGHT)


def prophesee_header(version: str, size: tuple[int, int] | None = (WIDTH, HEIGHT)) -> bytes:
    geometry = f"% geometry {size[0]}x{size[1]}\n" if size else ""
    return f"% evt {version}\n{geometry}% end\n".encode()


def evt2_bytes(rec: Recording) -> bytes:
    words: list[int] = []
    high = -1
    for t, x, y, p in zip(*(rec.events[n].tolist() for n in "txyp"), strict=True):
        if t >> 6 != high:
            high = t >> 6
            words.append(0x8 << 28 | high & 0xFFFFFFF)
        words.append(int(p) << 28 | (t & 63) << 22 | x << 11 | y)
    return prophesee_header("2.0") + np.array(words, "<u4").tobytes()


def evt3_words(rec: Recording) -> list[int]:
    """One single-pixel word an event, every TIME_HIGH in between, as a sensor sends them."""
    words: list[int] = []
    high = low = row = -1
    for t, x, y, p in zip(*(rec.events[n].tolist() for n in "txyp"), strict=True):
        while high < t >> 12:
            high = t >> 12 if high < 0 else high + 1
            low = -1
            words.append(0x8000 | high & 0xFFF)
        if t & 0xFFF != low:
            low = t & 0xFFF
            words.append(0x6000 | low)
        if y != row:
            row = y
            words.append(row)
        words.append(0x2000 | int(p) << 11 | x)
    return words


def evt3_bytes(words: Iterable[int]) -> bytes:
    return prophesee_header("3.0") + np.array(list(words), "<u2").tobytes()


def dat_bytes(rec: Recording, version: int = 2) -> bytes:
    header = f"% Version {version}\n% Width {rec.width}\n% Height {rec.height}\n% end\n".encode() + b"\x0c\x08"
    xbits, ybits = (9, 8) if version == 1 else (14, 14)
    words = (
        t & 0xFFFFFFFF | x << 32 | y << 32 + xbits | int(p) << 32 + xbits + ybits
        for t, x, y, p in zip(*(rec.events[n].tolist() for n in "txyp"), strict=True)
    )
    return header + b"".join(struct.pack("<Q", w) for w in words)


def es_bytes(rec: Recording) -> bytes:
    """Event Stream 2.0.0, DVS: rows from the bottom, time as differences of at most 126 µs after 127 µs bytes."""
    out = bytearray(b"Event Stream" + bytes([2, 0, 0, 1]) + struct.pack("<HH", rec.width, rec.height))
    now = 0
    for t, x, y, p in zip(*(rec.events[n].tolist() for n in "txyp"), strict=True):
        overflows, rest = divmod(t - now, 127)
        out += b"\xff" * overflows + struct.pack("<BHH", rest << 1 | int(p), x, rec.height - 1 - y)
        now = t
    return bytes(out)


def decode_evt2(words: Iterable[int]) -> list[tuple[int, int, int, int]]:
    """Events (t, x, y, p) of an EVT2 stream; where the clock steps back, time is held."""
    events = []
    high: int | None = None
    last: int | None = None
    wraps = now = 0
    for w in words:
        kind = w >> 28
        if kind == 8:
            value = w & 0xFFFFFFF
            if last is not None:
                wraps += (value <= last - 0.75 * 2**28) - (value >= last + 0.75 * 2**28)
            last = value
            high = max((wraps << 28 | value) << 6, high or 0)
        elif kind <= 1 and high is not None:
            now = max(now, high + (w >> 22 & 63))
            events.append((now, w >> 11 & 0x7FF, w & 0x7FF, kind))
    return events


def decode_evt3(words: Iterable[int]) -> list[tuple[int, int, int, int]]:
    """Events (t, x, y, p) of an EVT3 stream; where the clock steps back, time is held."""
    events = []
    high: int | None = None
    row: int | None = None
    base: int | None = None
    wraps = low = now = base_p = 0
    for w in words:
        kind, value = w >> 12, w & 0xFFF
        if kind == 8:
            if high is not None:
                wraps += (value <= high - 3072) - (value >= high + 3072)
            low = low if value == high else 0
            high = value
        elif kind == 6:
            low = value
        elif kind == 0:
            row = value & 0x7FF
        elif kind == 3:
            base, base_p = value & 0x7FF, value >> 11
        if high is not None and kind in (6, 8):
            now = max(now, (wraps << 12 | high) << 12 | low)
        length = {4: 12, 5: 8}.get(kind, 0)
        if high is not None and row is not None:
            if kind == 2:
                events.append((now, value & 0x7FF, row, value >> 11))
            elif base is not None:
                events += [(now, base + i, row, base_p) for i in range(length) if value >> i & 1]
        if base is not None:
            base += length
    return events

"""Prophesee RAW files: EVT2 and EVT3."""

from __future__ import annotations

import re
from pathlib import Path

import faery
import numpy as np

from snnface.io.damage import Damage
from snnface.io.decoding import Columns, contained, joined, scratch
from snnface.io.evt_words import clean2, clean3
from snnface.io.header import Header, parse, sensor_size

SUFFIXES = (".raw",)
#: x and y have 11 bits.
LARGEST_SENSOR = 2048
#: A recording whose times begin later than the counter reaches (24 bits) keeps the rest in the header.
LATEST_START_US = 1 << 24
_WORD: dict[str, np.dtype] = {"evt2": np.dtype("<u4"), "evt3": np.dtype("<u2")}
_NAMES = {"2": "evt2", "2.0": "evt2", "2.1": "evt2.1", "3": "evt3", "3.0": "evt3"}


def read(path: Path, size: tuple[int, int] | None, damage: Damage) -> tuple[Columns, tuple[int, int], str]:
    """Columns, sensor size and version ("evt2", "evt3") of a RAW file.

    Each time word is checked first (see :mod:`snnface.io.evt_words`); faery decodes. Where the sensor's clock
    steps back by a few µs, time is held, so that it never runs backwards.
    """
    data = path.read_bytes()
    header = parse(data, damage)
    version = _version(header, data, damage)
    size = sensor_size(header, size, LARGEST_SENSOR, damage)
    word = _WORD[version]
    payload = memoryview(data)[header.length :]
    rest = len(payload) % word.itemsize
    damage.found("truncated_bytes", rest, "ends in the middle of a word, {} bytes after the last whole one")
    words = np.frombuffer(payload[: len(payload) - rest], word)
    if not words.size:
        raise damage.lost("holds a header but no events")
    cleaned = (clean2 if version == "evt2" else clean3)(words, size, damage)
    if np.array_equal(cleaned, words) and not rest and payload[:1] != b"%":
        return _decode(path, damage, size, version), size, version
    # The filler word ends the header for the decoder, whatever the first byte of the events is.
    filler = np.array([0xE << (word.itemsize * 8 - 4)], word)
    with scratch(".raw", data[: header.length], filler.tobytes(), cleaned.tobytes()) as clean:
        return _decode(clean, damage, size, version), size, version


def _version(header: Header, data: bytes, damage: Damage) -> str:
    stated = {v.split(";")[0].lower() for v in header.fields.get("format", [])}
    stated |= {_NAMES.get(v, f"evt{v}") for v in header.fields.get("evt", [])}
    stated = {_NAMES.get(re.sub(r"^evt", "", v), v) for v in stated}
    if not stated:
        start = bytes(data[:16])
        raise damage.lost(
            f"has no EVT header (it begins with {start!r})", "Give a Prophesee RAW file, or the right suffix"
        )
    if len(stated) > 1 or not stated <= _WORD.keys():
        raise damage.lost(f"its format is {' and '.join(sorted(stated))}", "Convert it to EVT2 or EVT3")
    return stated.pop()


def _decode(path: Path, damage: Damage, size: tuple[int, int], version: str) -> Columns:
    with contained(damage), faery.evt.Decoder(path, size, version) as decoder:
        if decoder.version != version or tuple(decoder.dimensions) != size:
            raise ValueError(f"the decoder reads the header as {decoder.version}, {decoder.dimensions}")
        return joined([packet["events"] for packet in decoder if "events" in packet])


def write(path: Path, events: np.ndarray, size: tuple[int, int]) -> int:
    """Write EVT3; returns 0: no time is lost."""
    with faery.evt.Encoder(path, "evt3", bool(events["t"][0] >= LATEST_START_US), size, True) as encoder:
        encoder.write({"events": events})
    return 0

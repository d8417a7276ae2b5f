"""Prophesee RAW files: EVT2 and EVT3."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import faery
import numpy as np

from snnface.io.damage import Damage
from snnface.io.decoding import Block, Columns, Decoded, contained, for_encoder, joined, scratch
from snnface.io.header import Header, read_header, sensor_size

SUFFIXES = (".raw",)
ENCODINGS = ("evt3", "evt2")
#: x and y have 11 bits.
LARGEST_SENSOR = 2048
#: A recording whose times begin later than the counter reaches (24 bits) keeps the rest in the header.
LATEST_START_US = 1 << 24
#: Words that are checked and decoded together.
BLOCK = 1 << 20
_WORD: dict[str, np.dtype] = {"evt2": np.dtype("<u4"), "evt3": np.dtype("<u2")}
_NAMES = {"2": "evt2", "2.0": "evt2", "2.1": "evt2.1", "3": "evt3", "3.0": "evt3"}


def read(path: Path, size: tuple[int, int] | None, damage: Damage) -> Decoded:
    """Events of a RAW file, "evt2" or "evt3".

    Each time word is checked first (see :mod:`snnface.io.evt_words`); faery decodes. Where the sensor's clock
    steps back by a few µs, time is held, so that it never runs backwards.
    """
    data, header = read_header(path, damage)
    version = _version(header, data, damage)
    size = sensor_size(header, size, LARGEST_SENSOR, damage)
    length, word = path.stat().st_size - header.length, _WORD[version].itemsize
    damage.found("truncated_bytes", length % word, "ends in the middle of a word, {} bytes after the last whole one")
    if length < word:
        raise damage.lost("holds a header but no events")
    return Decoded(size, version, _blocks(path, data[: header.length], size, version, damage))


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


def _blocks(path: Path, header: bytes, size: tuple[int, int], version: str, damage: Damage) -> Iterator[Block]:
    from snnface.io.evt_words import cleaned  # brings the compiler; other formats need none of it

    word, total = _WORD[version], path.stat().st_size
    taken = len(header)

    def words() -> Iterator[np.ndarray]:
        nonlocal taken
        with path.open("rb") as f:
            f.seek(len(header))
            while len(block := np.fromfile(f, word, BLOCK)):
                taken += block.nbytes
                yield block

    # The filler word ends the header for the decoder, whatever the first byte of the events is.
    head = header + np.array([0xE << (word.itemsize * 8 - 4)], word).tobytes()
    latest = np.iinfo(np.int64).min
    for block, offset in cleaned(version, words(), size, damage):
        with scratch(".raw", head, block.data) as stream:
            t, x, y, p = _decode(stream, damage, size, version)
        if len(t):
            t += offset
            latest = np.maximum(t, latest, out=t)[-1]
            yield Block(t, x, y, p, taken / total)


def _decode(path: Path, damage: Damage, size: tuple[int, int], version: str) -> Columns:
    with contained(damage), faery.evt.Decoder(path, size, version) as decoder:
        if decoder.version != version or tuple(decoder.dimensions) != size:
            raise ValueError(f"the decoder reads the header as {decoder.version}, {decoder.dimensions}")
        return joined([packet["events"] for packet in decoder if "events" in packet])


def write(path: Path, parts: Iterator[np.ndarray], size: tuple[int, int], encoding: str) -> int:
    """Write EVT3 or EVT2; returns 0: no time is lost."""
    first = next(parts)
    with faery.evt.Encoder(path, encoding, bool(first["t"][0] >= LATEST_START_US), size, True) as encoder:
        for part in itertools.chain([first], parts):
            encoder.write({"events": for_encoder(part)})
    return 0

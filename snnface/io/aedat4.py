"""iniVation AEDAT 4 files: a FlatBuffers header with an XML description, then compressed packets.

Format: https://docs.inivation.com, "AEDAT 4.0". The container is checked here before the native decoder sees
it, because that one trusts the header and allocates whatever a packet claims as its size.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import faery
import numpy as np

from snnface.io.damage import Damage
from snnface.io.decoding import Block, Decoded, contained, for_encoder, joined

SUFFIXES = (".aedat4",)
ENCODINGS = ("aedat4",)
#: Coordinates are signed 16-bit numbers.
LARGEST_SENSOR = 32_767
#: Events that are checked together; packets are small.
BLOCK = 1 << 17
_MAGIC = b"#!AER-DAT4.0\r\n"
_LONGEST_HEADER = 1 << 24
#: A packet begins with its size, an offset and an identifier.
_SMALLEST_PACKET = 12
_DESCRIPTION = (
    ("compression", "string", "LZ4"),
    ("originalOutputName", "string", "events"),
    ("typeIdentifier", "string", "EVTS"),
)


def read(path: Path, size: tuple[int, int] | None, damage: Damage) -> Decoded:
    """Events of the first event track of an AEDAT 4 file, packet by packet."""
    packets, table_at = _check_container(path, damage)
    with contextlib.ExitStack() as stack:
        _, track = _open(path, table_at, damage, stack)
    stated = tuple(track.dimensions)
    if size and size != stated:
        raise damage.lost(f"its header states {stated[0]}x{stated[1]}, not {size[0]}x{size[1]}", "Leave out --size")
    return Decoded(stated, "aedat4", _blocks(path, packets, table_at, damage))


def _open(
    path: Path, table_at: int, damage: Damage, stack: contextlib.ExitStack
) -> tuple[faery.aedat.Decoder, faery.aedat.Track]:
    """The decoder, which ``stack`` closes, and the first event track."""
    with contained(damage):
        if damage.repair and table_at:  # the table at the end is not needed, and may be what is broken
            path = _without_table(path, table_at, stack)
        decoder = stack.enter_context(faery.aedat.Decoder(path))
        tracks = [t for t in decoder.tracks() if t.data_type == "events"]
        if not tracks:
            raise damage.lost("holds no event track", "Give a recording with events")
        return decoder, tracks[0]
    raise AssertionError("not reached")


def _without_table(path: Path, table_at: int, stack: contextlib.ExitStack) -> Path:
    """A copy that says that it has no table at its end; ``table_at``: where it says where the table is."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="snnface-"))
    copy = Path(shutil.copyfile(path, Path(folder) / "copy.aedat4"))
    with copy.open("r+b") as f:
        f.seek(table_at)
        f.write(struct.pack("<q", -1))
    return copy


def _blocks(path: Path, count: int, table_at: int, damage: Damage) -> Iterator[Block]:
    """The event packets of one track; a packet that does not decode is passed over under repair."""
    with contextlib.ExitStack() as stack, contained(damage):
        decoder, track = _open(path, table_at, damage, stack)
        packets, waiting = list[np.ndarray](), 0
        for i in range(count):
            try:
                found, packet = next(decoder)
            except StopIteration:
                break
            except (MemoryError, KeyboardInterrupt):
                raise
            except BaseException as e:  # a Rust panic arrives as a BaseException
                damage.found("garbled_packets", 1, f"packet {i} of {count} cannot be decoded ({e})")
                continue
            if found.id == track.id and len(packet):
                packets.append(packet)
                waiting += len(packet)
            if waiting >= BLOCK:
                yield Block(*joined(packets), (i + 1) / count)
                packets, waiting = [], 0
        if packets:
            yield Block(*joined(packets), 1.0)


def _check_container(path: Path, damage: Damage) -> tuple[int, int]:
    """Number of whole packets, and where the file says where its table is (0: nowhere); raises on a bad header."""
    file_size = path.stat().st_size
    with path.open("rb") as f:
        magic = f.read(len(_MAGIC))
        if magic != _MAGIC:
            raise damage.lost(f"is not an AEDAT 4 file (it begins with {magic!r})", "Give the right suffix")
        length = int.from_bytes(f.read(4), "little")
        start = len(_MAGIC) + 4 + length
        if length > _LONGEST_HEADER or start > file_size:
            raise damage.lost("its header is cut off or garbled")
        table, table_at = _table_position(f.read(length), damage)
        if table != -1 and not start <= table <= file_size:
            damage.found("truncated_bytes", 1, "is cut off: the table at its end is missing")
        end = table if start <= table <= file_size else file_size
        position, packets = start, 0
        while position < end:
            f.seek(position)
            head = f.read(8)
            body = int.from_bytes(head[4:], "little")
            if len(head) < 8 or body < _SMALLEST_PACKET or position + 8 + body > end:
                damage.found("truncated_bytes", end - position, f"packet {packets} is cut off or garbled")
                break
            position += 8 + body
            packets += 1
    return packets, table_at + len(_MAGIC) + 4 if table_at else 0


def _table_position(header: bytes, damage: Damage) -> tuple[int, int]:
    """Position of the table at the file's end (−1: none), and where in the header that stands (0: nowhere).

    Verifies the FlatBuffers offsets, which the native decoder trusts.
    """
    try:
        (root,) = struct.unpack_from("<I", header)
        (back,) = struct.unpack_from("<i", header, root)
        vtable = root - back
        if vtable < 0 or header[4:8] != b"IOHE":
            raise ValueError("identifier")
        entries, _ = struct.unpack_from("<HH", header, vtable)
        offsets = [
            struct.unpack_from("<H", header, vtable + 4 + 2 * i)[0] if 4 + 2 * i < entries else 0 for i in range(3)
        ]
        compression = struct.unpack_from("<i", header, root + offsets[0])[0] if offsets[0] else 0
        table = struct.unpack_from("<q", header, root + offsets[1])[0] if offsets[1] else -1
        text_at = root + offsets[2] + struct.unpack_from("<I", header, root + offsets[2])[0]
        (text_length,) = struct.unpack_from("<I", header, text_at)
        text = header[text_at + 4 : text_at + 4 + text_length]
        if not offsets[2] or len(text) != text_length or not 0 <= compression <= 4 or table < -1:
            raise ValueError("fields")
        if not re.match(r"\s*<dv\b", text.decode("utf-8")):
            raise ValueError("description")
    except (struct.error, ValueError) as e:
        raise damage.lost("its header is garbled") from e
    return table, root + offsets[1] if offsets[1] else 0


def write(path: Path, parts: Iterator[np.ndarray], size: tuple[int, int], encoding: str) -> int:
    """Write one event track, LZ4-compressed; returns 0: no time is lost."""
    attribute, node = faery.aedat.DescriptionAttribute, faery.aedat.DescriptionNode
    root = "/mainloop/Recorder/outInfo/"
    info = {
        "sizeX": attribute("int", size[0]),
        "sizeY": attribute("int", size[1]),
        "source": attribute("string", "snnface"),
    }
    track = {key: attribute(kind, value) for key, kind, value in _DESCRIPTION}
    tree = [node("outInfo", root, {}, [node("0", f"{root}0/", track, [node("info", f"{root}0/info/", info, [])])])]
    with faery.aedat.Encoder(path, tree, faery.aedat.LZ4_DEFAULT) as encoder:
        for part in parts:
            encoder.write(0, for_encoder(part))
    return 0

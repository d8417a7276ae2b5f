"""The boundary to the decoders: blocks of columns, their errors and panics as ours."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import faery
import numpy as np

from snnface.errors import InputError
from snnface.events import EVENT_DTYPE, pack
from snnface.io.damage import Damage

T = TypeVar("T")
Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Block(NamedTuple):
    """Decoded events t, x, y, p ``[E]`` (µs, pixels, polarity), and how much of the file was read for them, 0-1."""

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray
    done: float


class Decoded(NamedTuple):
    """An open recording: sensor (width, height), the format's name, its events block by block in constant memory."""

    size: tuple[int, int]
    name: str
    blocks: Iterator[Block]


@contextlib.contextmanager
def contained(damage: Damage) -> Iterator[None]:
    """Turn whatever the native decoder or encoder raises, panics included, into an :class:`InputError`."""
    try:
        yield
    except (InputError, OSError, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as e:  # a Rust panic arrives as a BaseException
        fix = "Record or copy the file again" if damage.repair else "Try --repair, or copy the file again"
        raise damage.lost(f"the codec fails ({e})", fix) from e


@contextlib.contextmanager
def scratch(suffix: str, *parts: bytes | memoryview) -> Iterator[Path]:
    """A temporary file with the given bytes: native decoders read paths only."""
    with tempfile.TemporaryDirectory(prefix="snnface-") as folder:
        path = Path(folder) / f"clean{suffix}"
        with path.open("wb") as f:
            f.writelines(parts)
        yield path


def joined(packets: list[np.ndarray], polarity: str = "on") -> Columns:
    """Decoded packets as the columns t, x, y, p ``[E]``."""
    if not packets:
        return np.zeros(0, np.int64), np.zeros(0, np.uint16), np.zeros(0, np.uint16), np.zeros(0, bool)
    t = np.concatenate([packet["t"] for packet in packets], dtype=np.int64, casting="unsafe")
    x, y, p = (np.concatenate([packet[name] for packet in packets]) for name in ("x", "y", polarity))
    return t, x, y, p


def for_encoder(events: np.ndarray) -> np.ndarray:
    """Structured events ``[E]`` as faery's encoders take them; a view where they are of our own layout."""
    if events.dtype != EVENT_DTYPE:
        events = pack(*(events[name] for name in "txyp"))
    return np.ascontiguousarray(events).view(faery.EVENTS_DTYPE)


def with_next(items: Iterable[T]) -> Iterator[tuple[T, T | None]]:
    """Each item and the one after it; None after the last."""
    iterator = iter(items)
    try:
        item = next(iterator)
    except StopIteration:
        return
    for following in iterator:
        yield item, following
        item = following
    yield item, None

"""The boundary to faery: its packets as columns, its errors and panics as ours."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from snnface.errors import InputError
from snnface.io.damage import Damage

Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


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
    events = packets[0] if len(packets) == 1 else np.concatenate(packets)
    return events["t"].astype(np.int64), events["x"], events["y"], events[polarity]

"""The boundary to faery: its packets as columns, its errors and panics as ours."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from snnface.errors import InputError

Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@contextlib.contextmanager
def contained(where: Path) -> Iterator[None]:
    """Turn whatever the native decoder raises, panics included, into an :class:`InputError`."""
    try:
        yield
    except (InputError, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as e:  # a Rust panic arrives as a BaseException
        raise InputError(where, f"cannot be decoded ({e})", "Record or copy the file again") from e


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

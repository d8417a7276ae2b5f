"""Files that are either whole or absent, and hashes of their content."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snnface.errors import InputError

#: What the system says where the disk, or the user's share of it, is full.
FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; move it into place at the end, remove it on any error.

    The temporary name keeps the suffix, because writers choose their format by it. An interrupted or failed
    write therefore never leaves half a file under the final name.
    """
    final = Path(path)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise InputError(final, f"cannot create its folder: {e.strerror}", "Choose a writable folder") from e
    temporary = final.with_name(f".{final.stem}.{uuid.uuid4().hex[:8]}{final.suffix}")
    try:
        yield temporary
        os.replace(temporary, final)
    except OSError as e:
        if e.errno in FULL:
            raise InputError(final, "the disk is full", "Free some space and run the command again") from e
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write text (UTF-8) atomically."""
    with atomic_path(path) as p:
        p.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON atomically, indented, NaN refused."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON; raises :class:`InputError` where the file is absent or is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as e:
        raise InputError(path, f"cannot be read: {e.strerror}", "Check the path") from e
    except ValueError as e:
        raise InputError(path, f"is not valid JSON ({e})", "Write it again with the command that made it") from e


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()

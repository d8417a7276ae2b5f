"""The bundle's own files: are they those that were exported?"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

#: One line a file, ``SHA-256  NAME``, as ``sha256sum --check`` reads it.
SUMS = "SHA256SUMS"


class Problem(Exception):
    """Bad use or bad input: where it is, what is wrong, what to do. Printed as ``error: WHERE: WHAT. FIX.``"""

    def __init__(self, where: object, what: str, fix: str) -> None:
        super().__init__(f"{where}: {what}. {fix}.")


def verify(folder: Path) -> int:
    """Compare every file of the bundle with its checksum; returns their number.

    Raises :class:`Problem` at the first that is missing, cut off or changed.
    """
    fix = "Copy the bundle again"
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as e:
        raise Problem(SUMS, "is missing or unreadable: this is not a whole bundle", fix) from e
    if not lines:
        raise Problem(SUMS, "is empty", fix)
    for line in lines:
        expected, _, name = line.partition("  ")
        if not name:
            raise Problem(SUMS, f"has a line that is no checksum: '{line[:40]}'", fix)
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as e:
            raise Problem(name, "is missing or cannot be read", fix) from e
        if found != expected:
            raise Problem(name, "is not the file that was exported (its SHA-256 differs): cut off or changed", fix)
    return len(lines)


def read_json(path: Path) -> Any:
    """Content of a JSON file; raises :class:`Problem` where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise Problem(path.name, f"cannot be read ({e})", "Copy the bundle again") from e

"""CSV files with the header line ``t,x,y,p``: µs, pixels, polarity 0 or 1 (−1 is read as 0), one event a line."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from snnface.io.damage import Damage
from snnface.io.decoding import Columns

SUFFIXES = (".csv",)
LARGEST_SENSOR = 65_535
_LONGEST_HEADER = 4_096


def read(path: Path, size: tuple[int, int] | None, damage: Damage) -> tuple[Columns, tuple[int, int], str]:
    """Columns, sensor size and "csv". The header names the columns, in any order; others are passed over."""
    with path.open("rb") as f:
        names = [n.strip().lower() for n in f.readline(_LONGEST_HEADER).decode("utf-8-sig", "replace").split(",")]
    missing = [n for n in "txyp" if n not in names]
    if missing:
        raise damage.lost(f"its first line does not name the column {missing[0]}", "Begin it with the line t,x,y,p")
    if size is None:
        raise damage.lost("a CSV file does not state the sensor's size", "Give it with --size WIDTHxHEIGHT")
    use = [names.index(n) for n in "txyp"]
    try:
        table = _table(path, use, skip=1)
    except (ValueError, OverflowError) as e:
        rows, first = _unreadable(path, use)
        damage.found("unreadable_rows", max(len(rows), 1), f"{first or e}; times, pixels and polarities are integers")
        with path.open("rb") as f:
            table = _table([line for i, line in enumerate(f) if i > 0 and i not in rows], use)
    if not len(table):
        raise damage.lost("holds a header but no events")
    t, x, y, p = table.T
    return (t, x, y, np.where(p == -1, 0, p)), size, "csv"


def _table(lines: Path | list[bytes], use: list[int], skip: int = 0) -> np.ndarray:
    """The columns ``use`` as int64 ``[E, 4]``; raises ValueError where a line does not hold them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there is no line is told in our own words
        return np.loadtxt(
            lines, np.int64, delimiter=",", skiprows=skip, usecols=use, ndmin=2, comments=None, encoding="utf-8"
        )


def _unreadable(path: Path, use: list[int]) -> tuple[set[int], str]:
    """Line numbers (from 0) that do not hold integers in the wanted columns, and what is wrong with the first."""
    rows: set[int] = set()
    first = ""
    with path.open("rb") as f:
        for i, line in enumerate(f):
            if i == 0 or not line.strip():
                continue
            cells = line.split(b",")
            try:
                if not all(-(2**63) <= int(cells[c].decode("ascii")) < 2**63 for c in use):
                    raise ValueError
            except (ValueError, IndexError):
                rows.add(i)
                first = first or f"line {i + 1} cannot be read ({line[:40].decode('utf-8', 'replace').strip()!r})"
    return rows, first


def write(path: Path, events: np.ndarray, size: tuple[int, int]) -> int:
    """Write all events; the sensor's size is not kept. Returns 0: no time is lost."""
    with path.open("w", encoding="ascii", newline="\n") as f:
        f.write("t,x,y,p\n")
        np.savetxt(f, np.stack([events[n].astype(np.int64) for n in ("t", "x", "y", "on")], 1), "%d", ",")
    return 0

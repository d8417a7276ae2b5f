"""CSV files with the header line ``t,x,y,p``: µs, pixels, polarity 0 or 1 (−1 is read as 0), one event a line."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from snnface.io.damage import Damage
from snnface.io.decoding import Block, Decoded

SUFFIXES = (".csv",)
ENCODINGS = ("csv",)
LARGEST_SENSOR = 65_535
#: Lines that are read together.
BLOCK = 1 << 16
_LONGEST_HEADER = 4_096


def read(path: Path, size: tuple[int, int] | None, damage: Damage) -> Decoded:
    """Events of a CSV file. The header names the columns, in any order; others are passed over."""
    with path.open("rb") as f:
        names = [n.strip().lower() for n in f.readline(_LONGEST_HEADER).decode("utf-8-sig", "replace").split(",")]
    missing = [n for n in "txyp" if n not in names]
    if missing:
        raise damage.lost(f"its first line does not name the column {missing[0]}", "Begin it with the line t,x,y,p")
    if size is None:
        raise damage.lost("a CSV file does not state the sensor's size", "Give it with --size WIDTHxHEIGHT")
    return Decoded(size, "csv", _blocks(path, [names.index(n) for n in "txyp"], damage))


def _blocks(path: Path, use: list[int], damage: Damage) -> Iterator[Block]:
    total, first = path.stat().st_size, 2
    with path.open("rb") as f:
        f.readline()
        while lines := list(itertools.islice(f, BLOCK)):
            try:
                table = _table(lines, use)
            except (ValueError, OverflowError) as e:
                good, what = _readable(lines, use, first)
                bad = max(len(lines) - len(good), 1)
                damage.found("unreadable_rows", bad, f"{what or e}; times, pixels and polarities are integers")
                table = _table(good, use)
            first += len(lines)
            t, x, y, p = table.T
            yield Block(t, x, y, np.where(p == -1, 0, p), f.tell() / total)
    if first == 2:
        raise damage.lost("holds a header but no events")


def _table(lines: list[bytes], use: list[int]) -> np.ndarray:
    """The columns ``use`` as int64 ``[E, 4]``; raises ValueError where a line does not hold them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there is no line is told in our own words
        table = np.loadtxt(lines, np.int64, delimiter=",", usecols=use, ndmin=2, comments=None, encoding="utf-8")
    return table.reshape(-1, len(use))


def _readable(lines: list[bytes], use: list[int], first: int) -> tuple[list[bytes], str]:
    """The lines with integers in the wanted columns, and what is wrong with the first other one.

    ``first``: the number of the first line in the file, from 1.
    """
    good = []
    what = ""
    for i, line in enumerate(lines):
        if not line.strip():
            good.append(line)
            continue
        cells = line.split(b",")
        try:
            if not all(-(2**63) <= int(cells[c].decode("ascii")) < 2**63 for c in use):
                raise ValueError
            good.append(line)
        except (ValueError, IndexError):
            text = line[:40].decode("utf-8", "replace").strip()
            what = what or f"line {first + i} cannot be read ({text!r})"
    return good, what


def write(path: Path, parts: Iterator[np.ndarray], size: tuple[int, int], encoding: str) -> int:
    """Write all events; the sensor's size is not kept. Returns 0: no time is lost."""
    with path.open("w", encoding="ascii", newline="\n") as f:
        f.write("t,x,y,p\n")
        for part in parts:
            np.savetxt(f, np.stack([part[name].astype(np.int64) for name in "txyp"], 1), "%d", ",")
    return 0

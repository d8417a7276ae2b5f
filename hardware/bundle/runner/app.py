"""The command line of a bundle."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from . import check, files, play, score

_DESCRIPTION = """The network of this bundle, in the integers of the chip.

  python run.py check                    is the bundle whole, does it compute here what it computed at the export?
  python run.py run FACE.h5 --out A.jsonl    answers of every step on a recording
  python run.py score DATA.h5            accuracy on a labelled data set

Exit code 0: done; 1: checked and found wanting; 2: bad use or bad input."""


def main(folder: Path, arguments: list[str]) -> int:
    """Run one command of the bundle in ``folder``; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        answer = options.command(folder, options)
    except files.Problem as e:
        print(f"error: {e}", file=sys.stderr)
        return 1 if options.command is check.check else 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    try:
        print(json.dumps(answer, indent=1))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0 if answer.get("passed", True) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "run.py", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="check | run | score")
    one = commands.add_parser("check", help="compare with what was computed at the export")
    one.set_defaults(command=check.check)
    _where(one)
    one = commands.add_parser("run", help="answers of every step on a recording")
    one.set_defaults(command=play.run)
    one.add_argument("recording", type=Path, help="HDF5 as snnface writes it: one recording, or a data set (--clip)")
    one.add_argument("--clip", type=int, default=0, help="number of the clip where it is a data set")
    one.add_argument("--steps", type=int, help="stop after this many steps")
    one.add_argument("--input", choices=("graded", "unary"), help="payloads or plain spikes; default: the network's")
    one.add_argument("--out", type=Path, help="write one JSON line a step here")
    _where(one)
    one = commands.add_parser("score", help="accuracy on a labelled data set")
    one.set_defaults(command=score.score)
    one.add_argument("data", type=Path, help="data set (HDF5)")
    one.add_argument("--split", choices=score.SPLITS, default="test")
    one.add_argument("--clips", type=int, help="only the first of them")
    one.add_argument("--input", choices=("graded", "unary"))
    return parser


def _where(parser: argparse.ArgumentParser) -> Any:
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--lava", action="store_true", help="also in Lava's fixed-point simulation; spikes are compared"
    )
    where.add_argument("--loihi2", action="store_true", help="also on a Loihi 2 chip, with Intel's extension of Lava")
    parser.add_argument("--time-limit", type=float, default=1800, help="seconds that Lava may take")

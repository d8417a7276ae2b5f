"""Runs this bundle's network on a recording: python run.py --help

SPDX-License-Identifier: Apache-2.0
"""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.dont_write_bytecode = True
    # products of a step are small: handing them to threads takes longer than they do
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from runner.app import main

    sys.exit(main(Path(__file__).resolve().parent, sys.argv[1:]))

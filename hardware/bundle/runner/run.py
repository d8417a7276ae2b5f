"""Runs this bundle's network on a recording: python run.py --help

SPDX-License-Identifier: Apache-2.0
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.dont_write_bytecode = True
    from runner.app import main

    sys.exit(main(Path(__file__).resolve().parent, sys.argv[1:]))

"""``python -m snnface``."""

from snnface.cli import main

main()

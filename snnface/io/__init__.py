"""Event files: read and write recordings of event cameras."""

from snnface.io.recording import (
    SUFFIXES,
    Parts,
    Report,
    check_file,
    check_target,
    parse_size,
    read,
    write,
    write_parts,
)
from snnface.io.window import Windows, window

__all__ = [
    "SUFFIXES",
    "Parts",
    "Report",
    "Windows",
    "check_file",
    "check_target",
    "parse_size",
    "read",
    "window",
    "write",
    "write_parts",
]

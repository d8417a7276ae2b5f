"""Event files: read and write recordings of event cameras."""

from snnface.io.recording import SUFFIXES, Report, check_file, parse_size, read, write

__all__ = ["SUFFIXES", "Report", "check_file", "parse_size", "read", "write"]

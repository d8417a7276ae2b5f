"""Chips as described in the TOML files of ``hardware/chips``, and networks laid on their cores."""

"""What is wrong with a file: an error at once, or, where repair is wanted, a count of what was dropped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from snnface.errors import InputError

#: Reasons whose counts are events; the others count bytes, words, rows or packets.
EVENT_REASONS = frozenset(
    {"outside_sensor", "backwards", "time_jump", "negative_time", "bad_polarity", "undated", "garbled_rows"}
)


@dataclass
class Damage:
    """Collects damage of one file while it is read."""

    where: Path
    repair: bool
    dropped: dict[str, int] = field(default_factory=dict)

    def found(self, reason: str, count: int | np.integer, what: str) -> None:
        """Record ``count`` dropped things.

        Unless repair is wanted, raises :class:`InputError` that says ``what``, with the count in place of ``{}``.
        """
        if not count:
            return
        if not self.repair:
            raise InputError(self.where, what.replace("{}", f"{count:,}"), "Use --repair to keep the good part")
        self.drop(reason, count)

    def drop(self, reason: str, count: int | np.integer) -> None:
        """Record what is left out of healthy files too, such as events before the first time word."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + int(count)

    def lost(self, what: str, fix: str = "Record or copy the file again") -> InputError:
        """The error for damage that leaves nothing to keep."""
        return InputError(self.where, what, fix)

    @property
    def events(self) -> int:
        """Number of events dropped, as far as they could be counted."""
        return sum(n for reason, n in self.dropped.items() if reason in EVENT_REASONS)

"""The one error that users see."""

from __future__ import annotations


class InputError(ValueError):
    """Bad use or bad input: where it is, what is wrong, and what to do about it.

    The command line prints it as ``error: WHERE: WHAT. FIX`` and ends with exit code 2.
    """

    def __init__(self, where: object, what: str, fix: str) -> None:
        self.where, self.what, self.fix = str(where), what.rstrip("."), fix.rstrip(".")
        super().__init__(f"{self.where}: {self.what}. {self.fix}.")

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str]]:
        """Rebuild from the three parts: errors travel back from worker processes."""
        return InputError, (self.where, self.what, self.fix)

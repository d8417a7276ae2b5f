"""Progress on standard error; standard output stays free for answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")
console = Console(stderr=True)


@contextlib.contextmanager
def bar() -> Iterator[Progress]:
    """A progress display with the time spent and the time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as display:
        yield display


def silence() -> None:
    """Say nothing from now on: for workers, whose parent says what there is to say."""
    console.quiet = True


def track(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Iterate with a progress bar on standard error; ``total`` where ``items`` has no length."""
    with bar() as display:
        yield from display.track(items, description=label, total=total)


def say(text: str) -> None:
    """One line for the person at the terminal, on standard error."""
    console.print(text, highlight=False)

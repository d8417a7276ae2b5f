"""Independent pieces of work in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from snnface.errors import InputError


def as_done(
    work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], workers: int, every: float | None = None
) -> Generator[tuple[int, Any] | None]:
    """``work(*arguments[i])`` of each i in up to ``workers`` processes, begun in order: (i, result) as they come.

    ``every``: yields None too, after so many seconds in which nothing came. The processes end with this one, however
    it ends; closing the generator waits for what has begun. ``work`` must be importable. Raises what it raises, and
    :class:`InputError` where a process dies.
    """
    context = multiprocessing.get_context("spawn")
    lifeline, end_of_parent = context.Pipe(duplex=False)
    with ProcessPoolExecutor(min(workers, len(arguments) or 1), context, _prepare, (lifeline,)) as pool:
        with _interrupt_later():
            jobs = {pool.submit(work, *each): i for i, each in enumerate(arguments)}
        try:
            waiting = set(jobs)
            while waiting:
                done, waiting = wait(waiting, every, FIRST_COMPLETED)
                for job in done:
                    yield jobs[job], job.result()
                if not done:
                    yield None
        except BrokenProcessPool as e:
            what = "died: too little memory, or a script without `if __name__ == '__main__':`"
            raise InputError(
                "a worker process", what, "What is finished is kept: go on with --resume, and fewer workers"
            ) from e
        except BaseException:
            end_of_parent.close()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@contextmanager
def _interrupt_later() -> Iterator[None]:
    """Hold Ctrl-C back. Processes started meanwhile never see it: it is their parent's to answer."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(lifeline: Connection) -> None:
    """Where Ctrl-C cannot be held back it is ignored; a worker ends when the other end of its lifeline closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    with suppress(EOFError, OSError):
        lifeline.recv()
    os._exit(1)

"""Independent pieces of work on other machines: what :mod:`snnface.workers` does, by a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from snnface.errors import InputError

#: Seconds after which a scheduler that does not answer is given up.
_PATIENCE = 20


def as_done_on(
    address: str, work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]
) -> Generator[tuple[int, Any]]:
    """``work(*arguments[i])`` of each i on the workers of a Dask scheduler at ``address``: (i, result) as they come.

    What a worker had begun when it was lost is begun again elsewhere. Closing the generator cancels what is not
    finished. ``work`` must be importable on the workers. Raises what it raises, and :class:`InputError` where there
    is no such scheduler, or a piece of work has taken worker after worker with it.
    """
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError as e:
        raise InputError("--cluster", "needs Dask", "pip install 'snnface[cluster]'") from e
    try:
        client = Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as e:
        raise InputError(f"--cluster {address}", f"does not answer ({e})", "Start one with: dask scheduler") from e
    with client:
        jobs = {
            client.submit(work, *each, key=f"{work.__name__}-{client.id}-{i}", pure=False): i
            for i, each in enumerate(arguments)
        }
        try:
            for job in as_completed(jobs, loop=client.loop):
                i, result = jobs.pop(job), job.result()
                job.release()  # or it would be done again when the worker that holds its result is lost
                yield i, result
        except KilledWorker as e:
            raise InputError(
                f"--cluster {address}",
                f"lost worker after worker ({e})",
                "See their logs; go on with --resume",
            ) from e
        finally:
            client.cancel(list(jobs))

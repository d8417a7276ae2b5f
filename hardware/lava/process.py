"""Real Lava in a process of its own, with a time limit, from which all of Lava's processes are ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from snnface.errors import InputError
from snnface.hardware.verifying.certificate import Recording
from snnface.progress import bar

_WHERE = "Lava"
#: A run without progress for this long is given up: where one of Lava's processes fails, the others wait for ever.
_STALL_S = 300
#: The same for each of many small networks.
_STALL_SMALL_S = 30


@dataclass(frozen=True)
class Run:
    """A netx file on integer input ``[T, *input_shape]``; ``state_steps``: the steps (from 0) whose currents and
    voltages are kept; ``graded``: whether inputs are payloads; the rest are netx's options."""

    net: str | Path
    x: np.ndarray
    state_steps: list[int]
    graded: bool
    reset_interval: int | None = None
    reset_offset: int = 1


def installed() -> dict[str, str | None]:
    """Versions of lava-nc and lava-dl, None where absent."""
    found: dict[str, str | None] = {}
    for name in ("lava-nc", "lava-dl"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


@contextlib.contextmanager
def run(
    net: str | Path,
    x: np.ndarray,
    state_steps: list[int],
    graded: bool,
    reset_interval: int | None = None,
    reset_offset: int = 1,
    time_limit_s: float = 1800,
) -> Iterator[tuple[Recording, dict[str, Any]]]:
    """Run a netx file in real Lava on integer input ``[T, *input_shape]``.

    Yields the recording, whose arrays are files that live as long as the context, and Lava's answer (versions,
    patches, seconds). Raises :class:`InputError` where Lava is absent, fails, or exceeds ``time_limit_s``.
    """
    _require_lava()
    with tempfile.TemporaryDirectory(prefix="snnface-lava-") as name:
        one, folder = Run(net, x, state_steps, graded, reset_interval, reset_offset), Path(name, "0")
        _prepare(one, folder)
        if stood_still := _execute([folder], len(x), time_limit_s):
            raise InputError(_WHERE, stood_still, "Run it again")
        answer = _answer(folder)
        if "error" in answer:
            raise InputError(_WHERE, answer["error"], "Check the installation with snnface lava status")
        yield _recording(one, folder, answer), answer


def run_many(runs: Sequence[Run], time_limit_s: float = 1800) -> Iterator[tuple[Recording | None, dict[str, Any]]]:
    """Run one netx file after the other in as few processes as possible: Lava is imported once for all.

    Yields for each run what :func:`run` does; None with an answer that holds ``error`` where Lava fails. Raises
    :class:`InputError` where Lava is absent or one process exceeds ``time_limit_s``.
    """
    _require_lava()
    with tempfile.TemporaryDirectory(prefix="snnface-lava-") as name:
        folders = [Path(name, str(i)) for i in range(len(runs))]
        for one, folder in zip(runs, folders, strict=True):
            _prepare(one, folder)
        # A failed run ends its process, and what is left goes to another one. What stood still has a second chance:
        # the machine may have been at fault.
        stalled: set[Path] = set()
        while left := [folder for folder in folders if not (folder / "answer.json").is_file()]:
            steps = sum(len(one.x) for one, folder in zip(runs, folders, strict=True) if folder in left)
            stood_still = _execute(left, steps, time_limit_s, _STALL_SMALL_S)
            after = [folder for folder in left if not (folder / "answer.json").is_file()]
            if stood_still and after and after[0] not in stalled:
                stalled.add(after[0])
            elif after and (stood_still or after == left):
                answer = {"error": stood_still} if stood_still else _answer(after[0])
                (after[0] / "answer.json").write_text(json.dumps(answer))
        for one, folder in zip(runs, folders, strict=True):
            answer = _answer(folder)
            yield (None if "error" in answer else _recording(one, folder, answer)), answer


def _require_lava() -> None:
    if None in installed().values():
        raise InputError(_WHERE, "is not installed", "Run snnface lava install")


def _prepare(one: Run, folder: Path) -> None:
    """Writes the folder of a run: its input and what the other process has to know."""
    folder.mkdir()
    np.save(folder / "input.npy", one.x.astype(np.int32))
    job = {
        "net": str(Path(one.net).resolve()),
        "state_steps": one.state_steps,
        "reset_interval": one.reset_interval,
        "reset_offset": one.reset_offset,
        "input_message_bits": 8 if one.graded else 0,
    }
    (folder / "job.json").write_text(json.dumps(job))


def _recording(one: Run, folder: Path, answer: dict[str, Any]) -> Recording:
    arrays = {
        kind: [_torch_order(np.load(folder / f"{kind}{i}.npy", mmap_mode="r")) for i in range(answer["layers"])]
        for kind in "suv"
    }
    return Recording(arrays["s"], arrays["u"], arrays["v"], np.asarray(one.state_steps, np.int64))


def _execute(folders: list[Path], steps: int, time_limit_s: float, stall_s: float = _STALL_S) -> str | None:
    """Runs the jobs of these folders in a new process until it ends; what it says goes to the first folder.

    Answers what to say where it stood still for ``stall_s`` and was given up.
    """
    command = [sys.executable, "-m", "snnface.hardware.lava.runner", *map(str, folders)]
    # one thread each: Lava runs a process for every layer
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    begin = moved = time.monotonic()
    done = 0
    with open(folders[0] / "log.txt", "wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        with bar() as display:
            task = display.add_task("Lava", total=steps)
            while child.poll() is None:
                now = time.monotonic()
                if now - begin > time_limit_s:
                    what = f"did not finish within {time_limit_s:.0f} s"
                    raise InputError(_WHERE, what, "Use fewer clips or a longer --time-limit")
                if now - moved > stall_s:
                    return f"stood still at step {done} of {steps}"
                time.sleep(0.1)
                if (count := sum(map(_steps_done, folders))) != done:
                    done, moved = count, now
                    display.update(task, completed=done)
            display.update(task, completed=sum(map(_steps_done, folders)))
            return None
    finally:
        # the whole process group: Lava's own children outlive a failed parent
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _steps_done(folder: Path) -> int:
    """Steps that every layer has finished."""
    done = [int(np.load(f)[0]) for f in folder.glob("done*.npy") if f.stat().st_size > 128]
    return min(done, default=0)


def _answer(folder: Path) -> dict[str, Any]:
    """What the run answered; ``error`` with its last line where it ended without."""
    try:
        answer: dict[str, Any] = json.loads((folder / "answer.json").read_text())
        return answer
    except (OSError, ValueError):
        log = folder / "log.txt"
        tail = log.read_text(errors="replace").strip().splitlines()[-1:] if log.is_file() else []
        return {"error": " ".join(["ended without an answer:", *tail])}


def _torch_order(rows: np.ndarray) -> np.ndarray:
    """``[T, W, H, C]`` → ``[T, C, H, W]`` (a view)."""
    return rows.transpose(0, *range(rows.ndim - 1, 0, -1))

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
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from snnface.errors import InputError
from snnface.hardware.certificate import Recording
from snnface.progress import bar

_WHERE = "Lava"
#: A run without progress for this long is given up: where one of Lava's processes fails, the others wait for ever.
_STALL_S = 300


@dataclass(frozen=True)
class Job:
    """One run: ``net`` file, netx's options, and the steps (from 0) whose currents and voltages are kept."""

    net: str
    folder: str
    state_steps: list[int]
    reset_interval: int | None
    reset_offset: int
    input_message_bits: int


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
    if None in installed().values():
        raise InputError(_WHERE, "is not installed", "Run snnface lava install")
    with tempfile.TemporaryDirectory(prefix="snnface-lava-") as folder:
        job = Job(str(Path(net).resolve()), folder, state_steps, reset_interval, reset_offset, 8 if graded else 0)
        np.save(Path(folder, "input.npy"), x.astype(np.int32))
        Path(folder, "job.json").write_text(json.dumps(asdict(job)))
        _execute(Path(folder), len(x), time_limit_s)
        answer = _answer(Path(folder))
        arrays = {
            kind: [
                _torch_order(np.load(Path(folder, f"{kind}{i}.npy"), mmap_mode="r")) for i in range(answer["layers"])
            ]
            for kind in "suv"
        }
        yield Recording(arrays["s"], arrays["u"], arrays["v"], np.asarray(state_steps, np.int64)), answer


def _execute(folder: Path, steps: int, time_limit_s: float) -> None:
    command = [sys.executable, "-m", "snnface.hardware.lava.runner", str(folder / "job.json")]
    # one thread each: Lava runs a process for every layer
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    begin = moved = time.monotonic()
    done = 0
    with open(folder / "log.txt", "wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        with bar() as display:
            task = display.add_task("Lava", total=steps)
            while child.poll() is None:
                now = time.monotonic()
                if now - begin > time_limit_s:
                    what = f"did not finish within {time_limit_s:.0f} s"
                    raise InputError(_WHERE, what, "Use fewer clips or a longer --time-limit")
                if now - moved > _STALL_S:
                    raise InputError(_WHERE, f"stood still at step {done} of {steps}", "Run it again")
                time.sleep(0.1)
                if (count := _steps_done(folder)) != done:
                    done, moved = count, now
                    display.update(task, completed=done)
            display.update(task, completed=_steps_done(folder))
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
    try:
        answer = json.loads((folder / "answer.json").read_text())
    except (OSError, ValueError):
        tail = (folder / "log.txt").read_text(errors="replace").strip().splitlines()[-1:]
        answer = {"error": " ".join(["ended without an answer:", *tail])}
    if "error" in answer:
        raise InputError(_WHERE, answer["error"], "Check the installation with snnface lava status")
    return answer


def _torch_order(rows: np.ndarray) -> np.ndarray:
    """``[T, W, H, C]`` → ``[T, C, H, W]`` (a view)."""
    return rows.transpose(0, *range(rows.ndim - 1, 0, -1))

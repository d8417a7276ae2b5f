"""Whether a synthetic set is the same however it is made: workers, a cluster that loses some, kill -9 on and on.

python tests/measure_synth.py --clips 96 --kills 10 --seed 0 --folder FOLDER

A line for every kill, then one for every way in which the set was made; ends with 1 where the content of one differs
from that of the undisturbed run. Needs Dask for the cluster.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from snnface.converters.plan import Plan
from snnface.converters.synth import _parts, _shards
from snnface.datasets.store import Store

PATIENCE_S = 1800


class Set:
    """One set in a folder of its own, made by ``snnface synth`` with some options."""

    def __init__(self, folder: Path, plan: Plan, *options: str, shard_clips: int = 0) -> None:
        folder.mkdir(parents=True)
        self.out = folder / "faces.h5"
        self.parts = self.out.with_name(self.out.name + (".shards" if shard_clips else ".parts"))
        self.total = len(_shards(plan, shard_clips) if shard_clips else _parts(plan))
        self.sharded = shard_clips > 0
        self.command = [
            sys.executable, "-m", "snnface", "synth", str(self.out), f"--clips={plan.clips}",
            f"--identities={plan.identities}", f"--seconds={plan.seconds}", f"--size={plan.width}x{plan.height}",
            f"--sensor={plan.sensor}", f"--seed={plan.seed}", f"--shard-clips={shard_clips}", *options, "--json",
        ]  # fmt: skip

    def made(self, *options: str) -> dict[str, Any]:
        """The answer of a run that nothing disturbs."""
        done = subprocess.run([*self.command, *options], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        return dict(json.loads(done.stdout)) | {"left_behind": self.left_behind()}

    def whole(self) -> dict[str, int]:
        """The finished parts, and when each was written."""
        found = {}
        for file in self.parts.glob("0*.h5"):
            with contextlib.suppress(FileNotFoundError):  # they go when the set is whole
                found[file.name] = file.stat().st_mtime_ns
        return found

    def half(self) -> list[Path]:
        """Files that are, or were, being written."""
        return [*self.parts.glob(".*"), *self.out.parent.glob(".*")]

    def joining(self) -> bool:
        """Whether the parts are being made into one."""
        return any(file.name.startswith((".whole", ".faces")) for file in self.half())

    def left_behind(self) -> int:
        """Number of files and folders beside those of a finished set."""
        wanted = {self.out, self.parts} if self.sharded else {self.out}
        return len({*self.out.parent.iterdir()} - wanted) + len(list(self.parts.glob(".*")))

    def killed(self, when: Callable[[], bool], delay_s: float) -> tuple[int, float]:
        """Run until ``when`` and a moment more, then kill all its processes: exit status, seconds."""
        begun = time.monotonic()
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen([*self.command, "--resume"], start_new_session=True, **silent) as run:
            wait(lambda: when() or run.poll() is not None)
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(delay_s)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
        wait(lambda: not alive(run.pid))
        return run.returncode, time.monotonic() - begun


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("waited in vain")
        time.sleep(0.001)


def alive(group: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False


def with_kills(made: Set, kills: int, seed: int, undisturbed_s: float) -> dict[str, Any]:
    """Make a set that is killed and resumed again and again; the last answer.

    The moments are drawn over the whole run: uniform in the number of finished parts, and then in the time of a part.
    The last kill meets the run while it joins the parts.
    """
    random = np.random.default_rng(seed)
    moments = np.sort(random.uniform(0, made.total, kills - 1)).astype(int).tolist()
    hit = rewritten = 0
    for number, moment in enumerate([*moments, None], start=1):
        before = made.whole()
        if moment is None:
            status, seconds = made.killed(made.joining, random.uniform(0, 0.1))
        else:
            delay = random.uniform(0, undisturbed_s / made.total)
            status, seconds = made.killed(lambda m=moment: len(made.whole()) >= m, delay)
        after = made.whole()
        hit += status == -signal.SIGKILL
        rewritten += sum(name in after and after[name] != at for name, at in before.items())
        state = "killed" if status == -signal.SIGKILL else f"had ended ({status})"
        print(
            f"  kill {number:2} of {kills}: {state} after {seconds:5.1f} s, {len(after):2} of {made.total} parts are"
            f" there ({len(after) - len(before):+}), {len(made.half())} half written"
            f"{', joining' if moment is None else ''}",
            flush=True,
        )
    return made.made("--resume") | {"kills": hit, "rewritten": rewritten}


def on_cluster(made: Callable[[str], Set], kills: int, seed: int) -> dict[str, Any]:
    """Make a set on two workers of a Dask cluster, of which one is killed now and then."""
    import dask
    from distributed import LocalCluster

    # A worker that is slow to come back, on a busy machine, is not given up.
    dask.config.set({"distributed.deploy.lost-worker-timeout": f"{PATIENCE_S}s"})
    random = np.random.default_rng(seed)
    local = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with LocalCluster(processes=True, protocol="tcp", silence_logs=50, **local) as cluster:
        making = made(cluster.scheduler_address)
        hit = []

        def kill() -> None:
            for moment in np.sort(random.integers(1, making.total, kills)).tolist():
                wait(lambda m=moment: len(making.whole()) >= m or making.out.exists())
                worker = cluster.workers[random.choice(list(cluster.workers))]
                if making.out.exists() or worker.pid is None:
                    continue
                os.kill(worker.pid, signal.SIGKILL)
                hit.append(worker.pid)
                there = f"{len(making.whole()):2} of {making.total} parts are there"
                print(f"  kill {len(hit):2} of {kills}: a worker, {there}", flush=True)

        killing = threading.Thread(target=kill)
        killing.start()
        answer = making.made()
        killing.join()
    return answer | {"kills": len(hit)}


def main() -> None:
    """Print a line for every way; exit with 1 where one gave other content."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--shard-clips", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True, help="An empty place, for some MB.")
    given = parser.parse_args()
    # Clips are short and small, so that many kills fit into a run.
    plan = Plan(given.clips, 8, 0.5, 32, 32, "davis346", ("au", "expression"), True, given.seed)
    shards, folder = given.shard_clips, given.folder
    wanted: str | None = None
    differing = 0

    def tell(name: str, answer: dict[str, Any]) -> None:
        nonlocal wanted, differing
        wanted = wanted or answer["sha256"]
        # Not only what the command says of it: what is read from the file.
        same = answer["sha256"] == Store(folder / name / "faces.h5").content_sha256() == wanted
        differing += not same or answer["left_behind"] > 0
        figures = {name: answer[name] for name in ("kills", "rewritten", "left_behind", "wall_s") if name in answer}
        print(f"{name:22} {answer['sha256'][:16]} {'same' if same else 'OTHER CONTENT'} {figures}", flush=True)

    one = Set(folder / "1 worker", plan, "--workers=1").made()
    tell("1 worker", one)
    for workers in (2, 4):
        tell(f"{workers} workers", Set(folder / f"{workers} workers", plan, f"--workers={workers}").made())
    tell("shards", Set(folder / "shards", plan, "--workers=2", shard_clips=shards).made())
    seconds = float(one["wall_s"])
    killed = Set(folder / "killed", plan, "--workers=2")
    tell("killed", with_kills(killed, given.kills, given.seed, seconds))
    killed = Set(folder / "shards, killed", plan, "--workers=2", shard_clips=shards)
    tell("shards, killed", with_kills(killed, given.kills, given.seed + 1, seconds))
    for name, clips in (("cluster", 0), ("cluster, shards", shards)):

        def on(address: str, name: str = name, clips: int = clips) -> Set:
            return Set(folder / name, plan, f"--cluster={address}", shard_clips=clips)

        tell(name, on_cluster(on, 2, given.seed))
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()

"""Synthetic data sets made by a Dask cluster: a scheduler, two worker processes, one of them killed in the middle."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from test_synth import plan

from snnface.converters import synth
from snnface.converters.plan import Plan
from snnface.converters.synth import synthesise
from snnface.errors import InputError

distributed = pytest.importorskip("distributed", reason="needs Dask: pip install 'snnface[cluster]'")


@pytest.fixture(scope="module")
def cluster() -> Iterator[distributed.LocalCluster]:
    local = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    # Dask leaves its workers' numbers of threads in our own environment, where later tests would find them.
    with patch.dict(os.environ), distributed.LocalCluster(processes=True, protocol="tcp", **local) as running:
        yield running


def test_a_cluster_that_loses_a_worker_makes_the_same_content(cluster, tmp_path: Path) -> None:
    out, shards = tmp_path / "faces.h5", tmp_path / "faces.h5.shards"
    finished: dict[Path, int] = {}

    def kill_one() -> None:
        end = time.monotonic() + 300
        while len(found := list(shards.glob("0*.h5"))) < 3:
            assert time.monotonic() < end
            time.sleep(0.01)
        finished.update({file: file.stat().st_mtime_ns for file in found})
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

    killing = threading.Thread(target=kill_one, daemon=True)
    killing.start()
    made = synthesise(out, plan(), shard_clips=1, cluster=cluster.scheduler_address)
    killing.join()
    assert made["sha256"] == synthesise(tmp_path / "one.h5", plan())["sha256"]
    assert len(list(shards.glob("0*.h5"))) == 8
    # What the lost worker had finished is not made a second time.
    assert {file: file.stat().st_mtime_ns for file in finished} == finished


def test_what_a_lost_worker_was_writing_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = synth._made

    def losing(plan: Plan, missing: dict[Path, range], *more: Any) -> Iterator[int]:
        next(iter(missing)).with_name(".0000000.0123abcd.h5").write_bytes(b"half")
        yield from made(plan, missing, *more)

    monkeypatch.setattr(synth, "_made", losing)
    synthesise(tmp_path / "faces.h5", plan(), shard_clips=4)
    assert list((tmp_path / "faces.h5.shards").glob(".*")) == []


def test_a_scheduler_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnface.cluster._PATIENCE", 0.2)
    with pytest.raises(InputError, match=r"--cluster tcp://127\.0\.0\.1:9: does not answer"):
        synthesise(tmp_path / "faces.h5", plan(), shard_clips=4, cluster="tcp://127.0.0.1:9")


def test_workers_of_another_version_are_refused(tmp_path: Path) -> None:
    generator = {"name": "procedural", "settings": plan().settings() | {"code": "another"}}
    with pytest.raises(InputError, match="another version"):
        synth._make(plan(), range(1), tmp_path / "part.h5", generator)
    assert list(tmp_path.iterdir()) == []


def test_dask_is_asked_for_by_name_where_it_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"--cluster: needs Dask"):
        synthesise(tmp_path / "faces.h5", plan(), cluster="tcp://127.0.0.1:9")

"""Synthetic data sets: the plan, clips, and the same content whatever the workers or interruptions."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from multiprocessing.context import SpawnProcess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from snnface import cli, converters
from snnface.converters.clip import FRAME_US, make_clip
from snnface.converters.plan import MAKERS, Plan
from snnface.converters.preset import drawn
from snnface.converters.sensors import sensor
from snnface.converters.synth import CLIPS_A_PART, _parts, synthesise
from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.facs import AUS

SETTINGS = {
    "clips": 8, "identities": 4, "seconds": 0.5, "width": 20, "height": 16, "sensor": "davis346",
    "tasks": ("au", "expression"), "rgb": True, "seed": 3, "split": (0.5, 0.0, 0.5),
}  # fmt: skip
OPTIONS = [f"--{option}" for option in ("clips=8", "identities=4", "seconds=0.5", "size=20x16", "seed=3")]
OPTIONS.append("--split=0.5,0,0.5")


def plan(**changes) -> Plan:
    return Plan(**(SETTINGS | changes))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    path = tmp_path_factory.mktemp("synth") / "faces.h5"
    return path, synthesise(path, plan())


@given(clips=st.integers(1, 400), identities=st.integers(1, 40), first=st.integers(0, 1000))
def test_labels_and_people_take_turns_evenly(clips: int, identities: int, first: int) -> None:
    labels = [plan(clips=clips, identities=identities, first_identity=first).labels(n) for n in range(clips)]
    au = [(person, number) for person, number, expression in labels if expression == -1]
    expression = [(person, number) for person, au_number, number in labels if au_number == -1]
    assert len(au) + len(expression) == clips
    assert len(au) == pytest.approx(clips * 24**0.5 / (24**0.5 + 7**0.5), abs=0.5)
    for pairs, kinds in ((au, AUS), (expression, range(7))):
        for values, wanted in zip(zip(*pairs, strict=True), (range(first, first + identities), kinds), strict=False):
            counts = Counter(values)
            assert set(counts) <= set(wanted)
            assert max(counts[v] for v in wanted) - min(counts[v] for v in wanted) <= 1
        assert max(Counter(pairs).values(), default=0) <= -(-len(pairs) // (identities * len(kinds)))


@given(
    identities=st.integers(1, 60),
    weights=st.tuples(*[st.integers(0, 10)] * 3).filter(any),
    seed=st.integers(0, 100),
)
def test_people_are_split_by_the_fractions_and_each_split_has_one(identities, weights, seed) -> None:
    fractions = tuple(w / sum(weights) for w in weights)
    people = plan(identities=identities, split=fractions, seed=seed, first_identity=7)
    counts = np.bincount([people.split_of(p) for p in range(7, 7 + identities)], minlength=3)
    assert counts.sum() == identities
    assert counts == pytest.approx(np.array(fractions) * identities, abs=2.001)
    used = [s for s in (0, 1, 2) if fractions[s] > 0]
    assert all(counts[s] == 0 for s in (0, 1, 2) if s not in used)
    assert (counts[used] > 0).sum() == min(len(used), identities)
    assert counts[int(np.argmax(fractions))] > 0


def test_answer_and_content_agree(made: tuple[Path, dict]) -> None:
    path, answer = made
    store = Store(path)
    assert (answer["clips"], answer["identities"]) == (8, 4)
    assert answer["events"] == sum(len(store.events(i)) for i in range(8)) > 50
    assert answer["seconds_of_recording"] == pytest.approx(store.duration_us.sum() / 1e6)
    assert answer["sha256"] == store.content_sha256()
    assert (store.width, store.height, store.attrs["seed"]) == (20, 16, 3)
    assert store.generator["settings"]["sensor"] == "davis346"
    assert [(int(p), int(a), int(e)) for p, a, e in zip(store.identity, store.au, store.expression, strict=True)] == [
        plan().labels(n) for n in range(8)
    ]
    assert not set(store.identity[store.split == 0]) & set(store.identity[store.split == 2])
    assert not path.with_name("faces.h5.parts").exists()
    assert store.duration_us.min() >= 400_000
    assert store.duration_us.max() <= 600_000
    assert len(set(store.duration_us)) == 8


def test_every_module_that_makes_a_clip_is_known_by_its_content() -> None:
    room, seen, waiting = Path(str(converters.__file__)).parent, set(), {"plan", "clip"}
    while waiting:
        name = waiting.pop()
        seen.add(name)
        imported = re.findall(r"^from snnface\.converters\.(\w+) import", (room / f"{name}.py").read_text(), re.M)
        waiting |= set(imported) - seen
    assert seen == set(MAKERS)


def test_a_clip_stands_for_itself(made: tuple[Path, dict]) -> None:
    stored, clip = Store(made[0]).clip(2), make_clip(plan(), 2)
    assert np.array_equal(stored.events, clip.events)
    assert np.array_equal(stored.landmarks, clip.landmarks)
    assert np.array_equal(stored.frame_t_us, np.arange(0, clip.duration_us, FRAME_US))
    assert stored.rgb == clip.rgb
    assert clip.rgb is not None
    picture = Image.open(io.BytesIO(clip.rgb[0]))
    assert (picture.format, picture.size) == ("JPEG", (20, 16))
    assert not np.array_equal(clip.events, make_clip(plan(seed=4), 2).events)
    blind = make_clip(plan(rgb=False), 2)
    assert blind.rgb is None
    assert np.array_equal(blind.events, clip.events)


@given(clips=st.integers(1, 120), identities=st.integers(1, 9))
def test_parts_hold_every_clip_once_and_one_person_each(clips: int, identities: int) -> None:
    whole = plan(clips=clips, identities=identities)
    parts = _parts(whole)
    assert [n for part in parts for n in part] == list(range(clips))
    assert all(len({whole.labels(n)[0] for n in part}) == 1 for part in parts)
    assert all(0 < len(part) <= CLIPS_A_PART for part in parts)


def test_workers_change_nothing_and_the_seed_everything(made: tuple[Path, dict], tmp_path: Path) -> None:
    assert synthesise(tmp_path / "two.h5", plan(), workers=2)["sha256"] == made[1]["sha256"]
    assert synthesise(tmp_path / "other.h5", plan(seed=4))["sha256"] != made[1]["sha256"]


def test_a_varied_scene_is_the_same_for_any_workers_and_is_not_the_plain_one(made, tmp_path: Path) -> None:
    varied = plan(scene="varied", vary=(("flicker", 1.0), ("occluders", 1.0)), clips=4)
    one = synthesise(tmp_path / "one.h5", varied)
    assert synthesise(tmp_path / "two.h5", varied, workers=2, shard_clips=3)["sha256"] == one["sha256"]
    store = Store(tmp_path / "two.h5")
    assert store.extra == ("landmarks98", "visible98")
    assert store.generator["settings"]["scene"] == "varied"
    assert store.generator["settings"]["vary"] == {"flicker": 1.0, "occluders": 1.0}
    # The mains light every pixel up and down.
    assert one["events"] > 3 * sum(len(Store(made[0]).events(i)) for i in range(4))
    assert Store(made[0]).generator["settings"]["scene"] == "plain"


def test_sensors_are_drawn_around_their_preset_clip_by_clip(made, tmp_path: Path) -> None:
    drawing = plan(sensor_spread=3.0)
    one = synthesise(tmp_path / "one.h5", drawing)
    assert synthesise(tmp_path / "two.h5", drawing, workers=2)["sha256"] == one["sha256"]
    events, preset = (np.array([len(Store(p).events(i)) for i in range(8)]) for p in (tmp_path / "one.h5", made[0]))
    # The faces are the same, what the sensor makes of them is not: some see more, some less.
    assert np.array_equal(Store(tmp_path / "one.h5").clip(1).landmarks, Store(made[0]).clip(1).landmarks)
    assert (events > 1.1 * preset).any()
    assert (events < preset / 1.1).any()


def test_a_drawn_sensor_stays_within_the_spread_and_fills_it() -> None:
    preset, random = sensor("davis346-full"), np.random.default_rng(0)
    sensors = [drawn(preset, 2.5, random) for _ in range(400)]
    for name, most in (("cutoff_hz", 2.5), ("leak_hz", 2.5), ("shot_hz", 6.25), ("refractory_us", 2.5)):
        times = np.array([getattr(s, name) / getattr(preset, name) for s in sensors])
        assert 1 / most - 0.01 <= times.min() < 1.1 / most, name
        assert most / 1.1 < times.max() <= most + 0.01, name
        assert np.median(np.log(times)) == pytest.approx(0, abs=0.2), name
    on, off = (
        np.log([getattr(s, f"threshold_{p}") / getattr(preset, f"threshold_{p}") for s in sensors])
        for p in ("on", "off")
    )
    assert np.abs(on).max() <= np.log(2.5 * 1.2)
    assert np.corrcoef(on, off)[0, 1] > 0.9
    assert 0.1 < np.abs(on - off).max() <= 2 * np.log(1.2)


def test_shards_hold_the_same_content(made: tuple[Path, dict], tmp_path: Path) -> None:
    out = tmp_path / "faces.h5"
    assert synthesise(out, plan(), workers=2, shard_clips=3)["sha256"] == made[1]["sha256"]
    shards = sorted((tmp_path / "faces.h5.shards").glob("0*.h5"))
    assert [len(Store(shard)) for shard in shards] == [3, 3, 2]
    assert Store(shards[1]).generator["clips"] == [3, 6]
    shards[1].unlink()
    out.unlink()
    # What a killed run was writing goes; what is not ours stays.
    ours = [shards[0].with_name(".0000003.0123abcd.h5"), tmp_path / ".faces.89abcdef.h5"]
    other = tmp_path / ".faces.notes.h5"
    for file in (*ours, other):
        file.write_bytes(b"half")
    kept = shards[0].stat().st_mtime_ns
    with pytest.raises(InputError, match="other settings"):
        synthesise(out, plan(), resume=True, shard_clips=4)
    with pytest.raises(InputError, match="--resume"):
        synthesise(out, plan(), shard_clips=3)
    assert synthesise(out, plan(), resume=True, shard_clips=3)["sha256"] == made[1]["sha256"]
    assert shards[0].stat().st_mtime_ns == kept
    assert [file.exists() for file in (*ours, other)] == [False, False, True]
    with pytest.raises(InputError, match="--shard-clips"):
        synthesise(out, plan(), shard_clips=-1)


def test_a_killed_run_goes_on_to_the_same_content(made: tuple[Path, dict], tmp_path: Path, capsys) -> None:
    out, parts = tmp_path / "faces.h5", tmp_path / "faces.h5.parts"
    command = [sys.executable, "-m", "snnface", "synth", str(out), *OPTIONS]
    with subprocess.Popen([*command, "--workers", "2"], stderr=subprocess.DEVNULL, start_new_session=True) as run:
        group = os.getpgid(run.pid)
        wait(lambda: any(parts.glob("0*.h5")) or run.poll() is not None)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert not out.exists()
    wait(lambda: not alive(group))
    kept = {file: file.stat().st_mtime_ns for file in parts.glob("0*.h5")}
    assert 0 < len(kept) < 4

    with pytest.raises(InputError, match="--resume"):
        synthesise(out, plan())
    with pytest.raises(InputError, match="other settings"):
        synthesise(out, plan(seconds=0.6), resume=True)
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    with pytest.raises(SystemExit) as end:
        cli.main(["synth", str(out), *OPTIONS, "--workers", "1", "--resume", "--json"])
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out)["sha256"] == made[1]["sha256"]
    assert not parts.exists()


def when_one_is_finished(parts: Path, act) -> threading.Thread:
    """Start to wait for the first finished clip; then ``act``."""

    def run() -> None:
        wait(lambda: any(parts.glob("0*.h5")))
        act()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def kill_a_worker() -> None:
    worker = next(p for p in multiprocessing.active_children() if isinstance(p, SpawnProcess))
    os.kill(worker.pid, signal.SIGKILL)


@pytest.mark.parametrize(("act", "error"), [(interrupt, KeyboardInterrupt), (kill_a_worker, InputError)])
def test_what_is_finished_outlives_interrupts_and_dead_workers(act, error, made, tmp_path: Path) -> None:
    out, parts = tmp_path / "faces.h5", tmp_path / "faces.h5.parts"
    acting = when_one_is_finished(parts, act)
    with pytest.raises(error):
        synthesise(out, plan(), workers=2)
    acting.join()
    assert not multiprocessing.active_children()
    assert list(tmp_path.iterdir()) == [parts]
    kept = len(list(parts.glob("0*.h5")))
    assert 0 < kept < 4
    assert synthesise(out, plan(), resume=True)["sha256"] == made[1]["sha256"]
    assert list(tmp_path.iterdir()) == [out]


def test_an_output_that_is_a_folder_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        synthesise(tmp_path, plan())


def test_length_light_and_face_do_not_depend_on_the_label() -> None:
    """The same clip number with another label: everything but the action is as before."""
    plans = (plan(clips=5, identities=1, tasks=(task,), rgb=False) for task in ("au", "expression"))
    one, other = (make_clip(p, 1) for p in plans)
    assert (one.au, one.expression, other.au, other.expression) == (2, -1, -1, 1)
    assert one.duration_us == other.duration_us
    assert np.array_equal(one.landmarks[0], other.landmarks[0])
    assert np.array_equal(one.pose[0], other.pose[0])


def wait(condition, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def alive(group: int) -> bool:
    """Whether a process of the group is running: workers end themselves when their parent is gone."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_resuming_a_whole_set_makes_nothing(made: tuple[Path, dict]) -> None:
    before = made[0].stat().st_mtime_ns
    assert synthesise(made[0], plan(), resume=True)["sha256"] == made[1]["sha256"]
    assert made[0].stat().st_mtime_ns == before


def test_a_run_that_is_killed_when_its_set_is_whole_leaves_nothing_when_it_is_resumed(tmp_path, monkeypatch) -> None:
    out, few = tmp_path / "faces.h5", plan(clips=2, rgb=False)

    def die(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            synthesise(out, few)
    assert (tmp_path / "faces.h5.parts" / "plan.json").is_file()
    before = out.stat().st_mtime_ns
    synthesise(out, few, resume=True)
    assert out.stat().st_mtime_ns == before
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ("--clips 0", "--clips"),
        ("--clips 3 --identities 0", "--identities"),
        ("--clips 3 --seconds 0.1", "--seconds"),
        ("--clips 3 --size 8x64", "--size"),
        ("--clips 3 --size big", "--size"),
        ("--clips 3 --sensor nikon", "--sensor nikon"),
        ("--clips 3 --tasks smile", "--tasks"),
        ("--clips 3 --split 0.5,0.5", "--split 0.5,0.5"),
        ("--clips 3 --split 0.5,0.5,0.5", "--split"),
        ("--clips 3 --split nan,0.5,0.5", "--split"),
        ("--clips 3 --seed -1", "--seed"),
        ("--clips 3 --face painted", "--face painted"),
        ("--clips 3 --scene nice", "--scene nice"),
        ("--clips 3 --sensor-spread 0.5", "--sensor-spread"),
        ("--clips 3 --vary flicker", "--vary flicker"),
        ("--clips 3 --vary smoke=0.5", "--vary smoke"),
        ("--clips 3 --vary flicker=2", "variation flicker"),
    ],
)
def test_bad_settings_are_named_in_one_line(options: str, where: str, tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["synth", str(tmp_path / "out.h5"), *options.split()])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert error.startswith(f"error: {where}: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []

"""The benchmark's harness on tiny workloads: rows, checks, peers that are absent or compute something else."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from snnface.errors import InputError
from snnface.events import pack
from snnface.files import write_json
from snnface.training.bench import cuda, floor, integer, reading, streaming, training
from snnface.training.bench.cells import there_and_back
from snnface.training.bench.commands import app
from snnface.training.bench.compare import Settings, chosen, compare
from snnface.training.bench.definition import fire, prepare
from snnface.training.bench.floor import Rates
from snnface.training.bench.page import BEGIN, END
from snnface.training.bench.problems import problem
from snnface.training.bench.rows import row
from snnface.training.bench.sweep import Point, collect, points
from snnface.training.bench.turns import Outcome, in_turn
from snnface.training.bench.workload import PADDING, STRIDE, Problem, Workload

TINY = Workload("noise", density=0.1, size=16, steps=6, batch=2)
FIELDS = {"name", "role", "case", "gradient", "median_ms", "p99_ms", "peak_mb", "rss_mb"}
SETTINGS = Settings(rounds=2, warmup=1)
CUDA = torch.cuda.is_available()
on_cuda = pytest.mark.skipif(not CUDA, reason="no CUDA device: nothing was measured on it")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Problem, Path]:
    return problem(TINY, tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> tuple[Problem, Path]:
    return problem(Workload("noise", 0.05, 16, 24, 1, rate=0.03), tmp_path_factory.mktemp("stream"))


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_a_problem_meets_what_it_is_asked_for(tiny: tuple[Problem, Path]) -> None:
    found, path = tiny
    assert found.facts["density"] == pytest.approx(0.1, rel=0.01)
    assert all(0.075 < rate < 0.085 for rate in found.facts["rates"])
    read = Problem.load(path)
    assert read.workload == TINY
    assert read.facts == found.facts
    assert np.array_equal(read.dense(), found.dense())
    assert int(read.dense().sum()) == len(read.index)


def test_events_and_dense_input_are_the_same(tiny: tuple[Problem, Path]) -> None:
    batch = tiny[0].events()
    dense = np.zeros(TINY.shape, np.float32)
    dense[batch.t // 1000 - 1, batch.sample, batch.p, batch.y, batch.x] = 1
    assert np.array_equal(dense, tiny[0].dense())
    assert (batch.offsets.diff() >= 0).all()


def layer_spikes(problem: Problem) -> list[torch.Tensor]:
    """Spikes ``[T, B, C, H, W]`` of every convolution, by the definition's neuron."""
    x, found = torch.from_numpy(problem.dense()).float(), []
    for weight in problem.weights[:-1]:
        v: torch.Tensor | float = 0.0
        steps = []
        for frame in x:
            current = torch.nn.functional.conv2d(frame, torch.from_numpy(weight), None, STRIDE, PADDING)
            _, spikes, v = fire(current, v, problem.workload.reset)
            steps.append(spikes)
        x = torch.stack(steps)
        found.append(x)
    return found


def test_faces_reach_the_density_and_a_larger_sensor_sees_the_same_events() -> None:
    work = Workload("faces", density=0.005, steps=4, batch=1, channels=(4, 4, 4))
    small = prepare(work)
    assert small.facts["density"] == pytest.approx(0.005, rel=0.02)
    assert small.facts["step_us"] > 100
    large = prepare(replace(work, size=256, density=0.005 / 4), weights_of=work)
    assert len(large.index) == len(small.index)
    assert np.array_equal(large.dense()[..., 64:192, 64:192], small.dense())
    # the same neurons spike at the same times, but for the first row and column, which see beyond the small sensor
    for ours, theirs, offset in zip(layer_spikes(small), layer_spikes(large), (32, 16, 8), strict=True):
        inside = slice(offset + 1, offset + ours.shape[-1])
        assert ours[..., 1:, 1:].sum() > 0
        assert torch.equal(theirs[..., inside, inside], ours[..., 1:, 1:])
    assert sum(large.facts["spikes"]) >= sum(small.facts["spikes"])
    assert all(np.array_equal(a, b) for a, b in zip(large.weights, small.weights, strict=True))


def test_a_recording_goes_there_and_back() -> None:
    events = pack(*np.array([[1, 4, 9], [0, 5, 7], [1, 1, 2], [1, 0, 1]]))
    twice = there_and_back(events, 10, 3)
    assert twice["t"].tolist() == [1, 4, 9, 12, 17, 20, 21, 24, 29]
    assert twice["x"].tolist() == [0, 5, 7, 7, 5, 0, 0, 5, 7]
    assert twice["p"].tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 1]


def test_people_follow_one_another_in_a_stream() -> None:
    work = Workload("faces", density=0.005, steps=6, batch=1, people=2, channels=(4, 4, 4))
    one_after_another = prepare(work).dense()
    side_by_side = prepare(replace(work, steps=3, batch=2, people=1)).dense()
    assert np.array_equal(one_after_another[:3, 0], side_by_side[:, 0])
    assert np.array_equal(one_after_another[3:, 0], side_by_side[:, 1])


@pytest.mark.parametrize(
    ("name", "device"),
    [
        pytest.param(i.name, device, marks=on_cuda if device == "cuda" else ())
        for i in training.IMPLEMENTATIONS.values()
        for device in i.devices
        if "compile" not in i.name and i.role != "floor"
    ],
)
def test_every_implementation_computes_the_same_training_steps(
    name: str, device: str, tiny: tuple[Problem, Path]
) -> None:
    """Three losses: the first shows the forward pass, the others what the gradients did."""
    implementation = training.IMPLEMENTATIONS[name].on(device)
    if not implementation.installed:
        pytest.skip(f"{name} is not here")
    if device == "cuda":
        cuda.full_precision()
    reference = training.IMPLEMENTATIONS["snnface torch"].prepare(tiny[1], {})()
    expected = [reference().value for _ in range(3)]
    assert expected[0] == pytest.approx(tiny[0].facts["loss"], rel=1e-5)
    for form in implementation.forms:
        step = implementation.prepare(tiny[1], form | {"device": device})()
        losses = [step().value for _ in range(3)]
        assert losses[0] == pytest.approx(expected[0], rel=1e-5)
        if implementation.gradient == "exact" and name != "norse":  # its surrogate is another one
            assert losses == pytest.approx(expected, rel=1e-4)
        assert losses[2] < losses[1] < losses[0]


@pytest.mark.parametrize("name", list(streaming.IMPLEMENTATIONS))
def test_every_stream_gives_the_same_spikes(name: str, stream: tuple[Problem, Path]) -> None:
    implementation = streaming.IMPLEMENTATIONS[name]
    if not implementation.installed:
        pytest.skip(f"{name} is not here")
    expected = stream[0].facts["spikes"]
    for form in implementation.forms:
        step = implementation.prepare(stream[1], form)()
        assert [step().value for _ in expected] == expected
        assert step().value >= 0  # the input starts again


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=on_cuda)])
def test_rows_have_the_fields_of_the_contract(device: str, tmp_path: Path) -> None:
    out = tmp_path / "answer.json"
    done = call(
        "train", "--case", "noise", "--size", "16", "--steps", "4", "--batch", "1", "--density", "0.1",
        "--rounds", "2", "--warmup", "1", "--threads", "1", "--no-compile", "--against", "snntorch",
        "--cache", str(tmp_path / "cache"), "--device", device,
        "--out", str(out), "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["workload"] == "train"
    assert {"processor", "cores", "threads"} <= answer["machine"].keys()
    rows = {r["name"]: r for r in answer["rows"]}
    assert all(r.keys() >= FIELDS for r in rows.values())
    floors = {"floor exact", "floor sparse"} if device == "cpu" else set()
    assert rows.keys() >= {"snnface torch", "snntorch"} | floors
    assert not [n for n in rows if "norse" in n or "compile" in n]
    for r in (r for r in rows.values() if r["status"] != "not_installed"):
        assert r["status"] == "ok", r
        assert 0 < r["median_ms"] <= r["p99_ms"]
        assert r["forward_ms"] > 0
        assert 0 < r["peak_mb"] < r["rss_mb"]
        assert r["case"] == "noise"
    compared = {x["other"] for x in answer["ratios"] if x["own"] == "snnface torch"}
    assert compared == {"snntorch"} | {f for f in floors if f == "floor exact"}
    assert answer == json.loads(out.read_text())


def test_one_that_computes_something_else_is_marked_and_no_peer(tiny: tuple[Problem, Path]) -> None:
    names = ("snnface torch", "snntorch")
    wrong = tiny[0].facts["loss"] * 1.001

    def compared(same_as: float) -> dict[str, dict[str, object]]:
        given = compare(
            "training", [training.IMPLEMENTATIONS[n] for n in names], tiny[1], "noise",
            lambda losses: math.isclose(losses[0], same_as, rel_tol=1e-4), SETTINGS,
            {"snntorch": training.IMPLEMENTATIONS["snntorch"].forms[0]},
        )  # fmt: skip
        return {r["name"]: r for r in given["rows"]} | {"ratios": given["ratios"]}

    right = compared(tiny[0].facts["loss"])
    assert {right[n]["status"] for n in names} == {"ok"}
    assert right["ratios"]
    marked = compared(wrong)
    assert {marked[n]["status"] for n in names} == {"differs"}
    assert marked["ratios"] == []


def test_a_peer_that_is_absent_is_listed(tiny: tuple[Problem, Path]) -> None:
    absent = replace(training.IMPLEMENTATIONS["snntorch"], name="nobody", requires="no_such_library")
    given = compare("training", [absent], tiny[1], "noise", lambda losses: True, SETTINGS)
    assert [(r["name"], r["status"], r["median_ms"]) for r in given["rows"]] == [("nobody", "not_installed", None)]
    assert given["rows"][0].keys() >= FIELDS


def test_a_peer_that_fails_is_a_row_with_its_words(tiny: tuple[Problem, Path]) -> None:
    snntorch = replace(training.IMPLEMENTATIONS["snntorch"], forms=({"order": "step", "layout": "sideways"},))
    given = compare(
        "training", [training.IMPLEMENTATIONS["snnface torch"], snntorch], tiny[1], "noise", lambda _: True, SETTINGS
    )
    own, peer = given["rows"]
    assert own["status"] == "ok"
    assert peer["status"] == "error"
    assert "sideways" in peer["error"]


def test_a_worker_that_needs_too_much_memory_fails_by_itself(tmp_path: Path) -> None:
    large = Workload("noise", 0.001, 64, 32, 4)
    path = problem(large, tmp_path)[1]
    given = compare(
        "training", [training.IMPLEMENTATIONS["snntorch"]], path, "noise", lambda _: True,
        replace(SETTINGS, memory_gb=0.25), {"snntorch": training.IMPLEMENTATIONS["snntorch"].forms[0]},
    )  # fmt: skip
    assert given["rows"][0]["status"] == "error"
    assert "memory" in given["rows"][0]["error"].lower()


def test_memory_grows_with_the_steps_that_are_kept(tmp_path: Path) -> None:
    """A peer keeps membranes and spikes of every step: four times the steps, some four times the memory."""

    def peak(steps: int) -> float:
        path = problem(Workload("noise", 0.02, 64, steps, 4), tmp_path)[1]
        form = training.IMPLEMENTATIONS["snntorch"].forms[0]
        given = compare(
            "training", [training.IMPLEMENTATIONS["snntorch"]], path, "noise", lambda _: True, SETTINGS,
            {"snntorch": form},
        )  # fmt: skip
        return given["rows"][0]["peak_mb"]

    short, long = peak(8), peak(32)
    neurons = 32 * 4 * (32 * 32 * 32 + 64 * 16 * 16 + 128 * 8 * 8)
    assert long > 2 * 4 * neurons / 2**20  # at least membranes and spikes, in single precision
    assert 2 < long / short < 6


def test_peers_are_chosen_by_library_or_by_name() -> None:
    names = [i.name for i in chosen(training.IMPLEMENTATIONS, ["spikingjelly"], compiled=False)]
    assert [n for n in names if "floor" not in n and "snnface" not in n] == ["spikingjelly", "spikingjelly_multi"]
    names = [i.name for i in chosen(training.IMPLEMENTATIONS, ["snntorch_compile"], compiled=False)]
    assert [n for n in names if "floor" not in n and "snnface" not in n] == ["snntorch_compile"]
    with pytest.raises(InputError, match="is unknown"):
        chosen(training.IMPLEMENTATIONS, ["brian"], compiled=False)


def test_on_a_device_the_rows_are_those_that_run_there() -> None:
    rows = {i.name: i for i in chosen(training.IMPLEMENTATIONS, None, None, "cuda")}
    assert [n for n, i in rows.items() if i.role == "own"] == ["snnface triton", "snnface torch"]
    assert {i.requires for i in rows.values() if i.role == "peer"} == {"snntorch", "norse", "spikingjelly", "sinabs"}
    assert not [n for n in rows if "floor" in n]
    assert "snnface triton" not in {i.name for i in chosen(training.IMPLEMENTATIONS, None, None)}


@pytest.mark.skipif(CUDA, reason="a CUDA device is here")
def test_a_missing_device_is_one_clear_error(tmp_path: Path) -> None:
    done = call("train", "--cache", str(tmp_path), "--device", "cuda")
    assert isinstance(done.exception, InputError)
    assert str(done.exception).startswith("--device cuda: torch finds no CUDA device. Use --device cpu")


def test_a_sweep_goes_on_where_it_stopped(tmp_path: Path) -> None:
    asked, out, measured = points(Point(Workload("noise"), threads=2), "batch"), tmp_path / "sweep.json", []

    def measure(point: Point) -> tuple[dict[str, Any], dict[str, Any]]:
        measured.append(point.workload.batch)
        if len(measured) == 3:
            raise KeyboardInterrupt
        name = training.IMPLEMENTATIONS["snnface torch"]
        return {"loss": 1.0}, {"rows": [row(name, "noise", None, lambda _: True)], "ratios": []}

    with pytest.raises(KeyboardInterrupt):
        collect({"sweep": "batch"}, asked, measure, out, resume=False)
    answer = collect({"sweep": "batch"}, asked, measure, out, resume=True)
    assert measured == [1, 2, 4, 4, 8, 16, 32]
    assert [r["batch"] for r in answer["rows"]] == [p["batch"] for p in answer["points"]] == [1, 2, 4, 8, 16, 32]
    assert [r["point"] for r in answer["rows"]] == list(range(6))
    assert answer == json.loads(out.read_text())
    with pytest.raises(InputError, match="--out"):
        collect({"sweep": "batch"}, asked, measure, None, resume=True)


def test_sweeps_keep_what_they_promise() -> None:
    base = Point(Workload("noise"), threads=2)
    events = [p.workload.density * math.prod(p.workload.shape) for p in points(base, "size")]
    assert events == pytest.approx([events[0]] * len(events))
    assert {p.weights_of for p in points(base, "steps")} == {base.workload}
    assert {p.weights_of for p in points(base, "density")} == {None}
    with pytest.raises(InputError, match="--sweep"):
        points(base, "colour")


def test_the_floor_is_the_work_at_the_rates(tiny: tuple[Problem, Path]) -> None:
    found = tiny[0]
    exact, sparse = floor.work(found, "exact"), floor.work(found, "sparse")
    # what the definition's fan-out counts, counted again synapse by synapse
    spikes = torch.from_numpy(found.dense()).flatten(0, 1)
    ones = torch.ones(32, 2, 3, 3)
    first = float(torch.nn.functional.conv2d(spikes, ones, None, 2, 1).sum())
    assert found.facts["adds"][0] == pytest.approx(first, rel=1e-6)
    assert exact.forward_adds == sum(found.facts["adds"])
    second, third = 2 * 9 * 32 * 64 * 4 * 4 * 12, 2 * 9 * 64 * 128 * 2 * 2 * 12
    assert exact.backward_products == second + third
    assert sparse.backward_adds < exact.backward_adds + exact.backward_products / 2
    rates = Rates(product=2.0, add=4.0, byte=8.0)
    forward, backward = exact.seconds(rates)
    assert forward == pytest.approx(exact.forward_adds / 4 + exact.forward_bytes / 8)
    assert backward == pytest.approx(exact.backward_adds / 4 + exact.backward_products / 2 + exact.backward_bytes / 8)


def test_turns_are_taken_one_after_another_and_failures_drop_out(tiny: tuple[Problem, Path]) -> None:
    job = {"group": "training", "problem": str(tiny[1]), "options": {}, "threads": 1, "device": "cpu", "memory_gb": 8}
    rounds = itertools.count()
    outcomes = in_turn(
        {"good": job | {"name": "snnface torch"}, "bad": job | {"name": "nothing of this name"}},
        rounds=3, warmup=1, after_round=lambda: next(rounds),
    )  # fmt: skip
    assert len(outcomes["good"].seconds) == 3
    assert len(outcomes["good"].values) == 4
    assert "nothing of this name" in (outcomes["bad"].error or "")
    assert next(rounds) == 4


def test_a_row_tells_the_parts_of_a_step() -> None:
    outcome = Outcome([[0.2], [0.4], [0.3]], [[0.1], [0.1], [0.1]], [1.0, 2.0, 3.0], 5.0, 10.0, 100.0)
    found = row(training.IMPLEMENTATIONS["snnface torch"], "noise", outcome, lambda values: values[0] == 1)
    assert found["status"] == "ok"
    assert found["median_ms"] == pytest.approx(300)
    assert found["forward_ms"] == pytest.approx(100)
    assert found["backward_ms"] == pytest.approx(200)
    assert found["p99_ms"] == pytest.approx(398)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--case", "cats"), ("--density", "0"), ("--size", "20"), ("--sweep", "colour"), ("--against", "brian"),
        ("--device", "tpu"),
    ],
)  # fmt: skip
def test_bad_use_is_refused(arguments: tuple[str, str], tmp_path: Path) -> None:
    done = call("train", "--cache", str(tmp_path), *arguments)
    assert isinstance(done.exception, InputError)
    assert arguments[0] in str(done.exception)


def test_written_recordings_are_read_alike_and_others_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SNNFACE_DATA", raising=False)  # real recordings would be read too
    out = tmp_path / "io.json"
    done = call("io", "--events", "3000", "--rounds", "1", "--cache", str(tmp_path / "cache"), "--out", str(out))
    assert done.exit_code == 0, done.output
    rows = json.loads(out.read_text())["rows"]
    assert {r["case"] for r in rows} == {"evt3", "dat2", "aedat4", "hdf5"}
    assert all(r.keys() >= FIELDS for r in rows)
    statuses = {(r["name"], r["case"]): r["status"] for r in rows}
    assert {statuses["snnface read", c] for c in ("evt3", "dat2", "aedat4", "hdf5")} == {"ok"}
    assert {statuses["numpy columns", c] for c in ("evt3", "dat2", "aedat4", "hdf5")} == {"ok"}
    assert statuses["faery", "evt3"] == "ok"
    assert ("faery", "hdf5") not in statuses


def test_a_checksum_notices_every_column() -> None:
    events = reading.recording(1000, seed=1).events
    right = reading.checksum(events)
    for name in "txyp":
        changed = events.copy()
        changed[name][7] = not changed[name][7] if name == "p" else changed[name][7] + 1
        assert reading.checksum(changed) != right


@pytest.mark.parametrize("name", [n for n in integer.IMPLEMENTATIONS if n != "lava"])
def test_integer_streams_give_the_simulators_spikes(name: str, tmp_path: Path) -> None:
    path = problem(Workload("noise", 0.05, 16, 16, 1, rate=0.05, reset="zero"), tmp_path)[1]
    integer.quantised(path)
    expected = integer.expected_spikes(path)
    assert len(expected) == 2
    assert sum(expected) > 0
    step = integer.IMPLEMENTATIONS[name].prepare(path, {})()
    assert [step().value for _ in expected] == expected


def answers(folder: Path) -> None:
    """Small answers as the commands write them."""
    where = {"processor": "P", "cores": 2, "threads": 2, "torch": "2"}

    def filled(name: str, case: str, ms: float, **more: Any) -> dict[str, Any]:
        implementation = training.IMPLEMENTATIONS[name]
        outcome = Outcome([[ms / 1e3]] * 3, [[ms / 3e3]] * 3, [1.0], 1.0, 5 * ms, 9 * ms)
        return row(implementation, case, outcome, lambda _: True) | more

    names = ("snnface native", "snnface native sparse", "snntorch", "sinabs", "floor exact", "floor sparse")
    absent = row(training.IMPLEMENTATIONS["norse"], "noise", None, lambda _: True)
    rows = [filled(n, c, 100.0 + 10 * i) for c in ("faces", "noise") for i, n in enumerate(names)] + [absent]
    ratio = {"own": "snnface native", "other": "snntorch", "case": "faces", "ratio": 7.25}
    facts = {"density": 0.02, "step_us": 5000, "rates": [0.08] * 3, "near": [0.1] * 3, "flow": [0.8] * 3}
    point = Point(Workload("faces"), 2).asked | {"facts": facts}
    train = {"machine": where, "sweep": None, "points": [point], "rows": rows, "ratios": [ratio]}
    write_json(folder / "train.json", train)
    swept = [filled(n, "noise", 10.0 * b, batch=b) for b in (1, 2, 4) for n in names[:4]]
    write_json(folder / "sweep-batch.json", train | {"sweep": "batch", "rows": swept})
    rates = [filled(n, str(e), e / 1e5, events_per_s=e) for e in (1000, 10_000) for n in names[:4]]
    write_json(folder / "sweep-events.json", train | {"sweep": "events", "rows": rates})


def test_figures_fill_the_page_between_its_marks(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    answers(tmp_path / "results")
    page = tmp_path / "bench.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    done = call("figures", "--results", str(tmp_path / "results"), "--out", str(tmp_path), "--json")
    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| snntorch | 120 |" in text
    assert "7.25" in text
    assert "| norse | not installed |" in text
    assert "2.00 % of the input cells active a step, step 5.0 ms" in text
    assert "| snntorch noise | 10 | 20 | 40 |" in text
    pictures = {p.name for p in tmp_path.glob("*.svg")}
    assert pictures == {"bench-train.svg", "bench-batch.svg", "bench-events.svg"}
    assert all(f"]({name})" in text for name in pictures)
    assert set(json.loads(done.stdout)["files"]) == {str(page), *(str(tmp_path / n) for n in pictures)}


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    answers(tmp_path / "results")
    (tmp_path / "bench.md").write_text("mine\n")
    done = call("figures", "--results", str(tmp_path / "results"), "--out", str(tmp_path))
    assert isinstance(done.exception, InputError)
    assert (tmp_path / "bench.md").read_text() == "mine\n"
    assert call("figures", "--results", str(tmp_path / "empty"), "--out", str(tmp_path)).exception is not None

"""A family of networks from recipe to picture: what is varied, what is trained, what is kept, and the front."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.hardware.placing.chip import load_chip
from snnface.training import experiment
from snnface.training import recipe as recipes
from snnface.training.explore import exploration as exploring
from snnface.training.explore.command import explore
from snnface.training.explore.data import shrink
from snnface.training.explore.family import default_axes, family, parse_axes, without_teacher
from snnface.training.explore.front import COSTS, front, parse_budget, within
from snnface.training.explore.page import explore_page

SMALL = (
    "training.epochs=1",
    "data.clips=6",
    "network.conv=[{channels=4,kernel=7,stride=4}]",
    "network.dense=[{features=6}]",
)


def _recipe(data: Path | str, *more: str):
    return recipes.load("student", [f"data.train={data}", *SMALL, *more])


def test_members_differ_from_the_recipe_by_one_axis_or_by_all():
    base = _recipe("x.h5")
    members = family(base, parse_axes(["width=0.5,2", "step=10000", "rate=0.01", "bits=4"]))
    assert [m.label for m in members] == [
        "the recipe", "width ×0.5", "width ×2", "step 10 ms", "rate 0.01", "4 bits",
    ]  # fmt: skip
    assert members[0].recipe == base
    assert members[1].recipe.network.conv[0].channels == 2
    assert members[2].recipe.network.dense[0].features == 12
    assert members[3].recipe.network.step_us == 10_000
    losses = members[4].recipe.losses
    assert (losses.rate, losses.rate_target) == (base.losses.rate, 0.01)
    (_, penalised) = family(_recipe("x.h5", "losses.rate=0.0"), {"rate": [0.01]})
    assert penalised.recipe.losses.rate == 10
    assert members[5].recipe.quantise.bits == 4
    assert [m.keeps_weights for m in members] == [True, False, False, True, True, True]
    grid = family(base, parse_axes(["width=0.5,2", "step=10000,40000"]), grid=True)
    assert len(grid) == 1 + 4
    assert grid[-1].changes == {"width": 2, "step": 40_000}


def test_defaults_fit_the_recipe(tmp_path):
    assert default_axes(_recipe("x.h5"), 128)["size"] == [64]
    assert "bits" not in default_axes(_recipe("x.h5", "network.input_mode=exact"), 128)
    guided = recipes.load("guided", ["data.train=x.h5", "teacher=t.safetensors"])
    assert "size" not in default_axes(guided, 128)
    cnn = without_teacher(guided)
    assert cnn.teacher is None
    assert cnn.network.kind == "matched_cnn"
    assert cnn.network.conv == guided.network.conv
    with pytest.raises(InputError, match="teacher's predictions"):
        family(guided, {"size": [64]})


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: parse_axes(["colour=3"]), "is not AXIS=VALUES"),
        (lambda: parse_axes(["width=a"]), "no number"),
        (lambda: family(_recipe("x.h5"), {"step": [-3]}), r"network\.step_us"),
        (lambda: parse_budget("cores=a"), "is not NAME=NUMBER"),
        (lambda: parse_budget("price=3"), "is no budget"),
        (lambda: parse_budget("cores=0"), "leaves nothing"),
        (lambda: explore("student", measure="luck"), "is unknown"),
        (lambda: explore("matched_cnn", set=["data.train=x.h5"]), "is a CNN's recipe"),
        (lambda: explore("student", set=["data.train=absent.h5"]), "no such file"),
    ],
)
def test_bad_use_is_one_sentence(call, says):
    with pytest.raises(InputError, match=says):
        call()


def test_budgets_are_bounds_and_what_is_not_published_keeps_none():
    budget = parse_budget("cores=120,energy_uj_per_s=50.5")
    assert budget == {"cores": 120, "energy_uj_per_s": 50.5}
    assert parse_budget(None) == {}
    point = {"trained": True, "cores": 120, "energy_uj_per_s": 50.5}
    assert within(point, budget)
    assert not within(point | {"cores": 121}, budget)
    assert not within(point | {"energy_uj_per_s": None}, budget)
    assert not within(point | {"trained": False}, budget)


_POINT = st.fixed_dictionaries(
    {"au_top1": st.integers(0, 5), **{cost: st.integers(1, 5) for cost in COSTS}, "trained": st.booleans()}
)


@given(points=st.lists(_POINT, min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_the_front_is_what_no_other_beats(points):
    found = front(points, "au_top1")
    trained = [i for i, p in enumerate(points) if p["trained"]]
    assert set(found) <= set(trained)

    def beats(a, b):
        at_least = a["au_top1"] >= b["au_top1"] and all(a[c] <= b[c] for c in COSTS)
        return at_least and (a["au_top1"] > b["au_top1"] or any(a[c] < b[c] for c in COSTS))

    for i in trained:
        assert (i in found) == (not any(beats(points[j], points[i]) for j in trained))
    assert bool(found) == bool(trained)


def test_a_cost_that_nobody_has_does_not_count_and_one_that_some_lack_does():
    a = {"trained": True, "au_top1": 0.5, "cores": 3, "energy_uj_per_s": None, "latency_us": None}
    b = a | {"cores": 4}
    assert front([a, b], "au_top1") == [0]
    assert front([a, b | {"energy_uj_per_s": 1.0}], "au_top1") == [1]


def test_a_smaller_sensor_sees_the_same_faces(tiny_path, tmp_path):
    answer = shrink(tiny_path, tmp_path / "small.h5", 16)
    assert (answer["width"], answer["height"]) == (16, 16)
    large, small = Store(tiny_path), Store(tmp_path / "small.h5")
    assert np.array_equal(small.au, large.au)
    assert np.array_equal(small.split, large.split)
    assert 0 < small.offsets[-1] < large.offsets[-1]
    points = [store.frames(2, ("landmarks",))["landmarks"] for store in (large, small)]
    assert points[1] == pytest.approx((points[0] + 0.5) / 2 - 0.5, abs=1e-4)
    with pytest.raises(InputError, match="fewer pixels"):
        shrink(tiny_path, tmp_path / "larger.h5", 64)


def test_from_recipe_to_picture_and_again_without_training(tiny_path, tmp_path, monkeypatch):
    call = {
        "budget": "cores=4,energy_uj_per_s=1000",
        "vary": ["width=20", "size=16", "bits=4"],
        "set": [f"data.train={tiny_path}", *SMALL],
        "measure": "expression_acc",
        "out": tmp_path / "out",
    }
    answer = explore("student", **call)
    points = {p["name"]: p for p in answer["points"]}
    names = ["the recipe", "width ×20", "16 pixels", "4 bits", "matched CNN + LSTM"]
    assert list(points) == names
    assert points["width ×20"]["trained"] is False
    assert points["width ×20"]["cores"] > 4
    for name in ("the recipe", "16 pixels", "4 bits"):
        point = points[name]
        assert point["energy_low_uj_per_s"] <= point["energy_uj_per_s"] <= point["energy_high_uj_per_s"]
        assert 0 <= point["expression_acc"] <= 1
        assert point["cores"] <= 4
        assert Path(point["checkpoint"]).is_file()
    assert points["16 pixels"]["parameters"] < points["the recipe"]["parameters"]
    assert points["matched CNN + LSTM"]["footing_uj_per_s"] == points["the recipe"]["baselines"]["matched"]
    assert set(answer["front"]) <= set(names) - {"width ×20", "matched CNN + LSTM"}
    assert answer["front"]
    assert json.loads((tmp_path / "out" / "explore.json").read_text()) == answer
    page = (tmp_path / "out" / "explore.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 4
    assert "not trained: " in page
    assert load_chip("loihi2").source in page

    def never(*args):
        raise AssertionError("everything was there already")

    monkeypatch.setattr(experiment, "train_side_by_side", never)
    monkeypatch.setattr(exploring, "profile", never)
    monkeypatch.setattr(exploring, "shrink", never)
    assert explore("student", **call) == answer


def test_an_interrupted_exploration_keeps_what_is_finished(tiny_path, tmp_path, monkeypatch):
    call = {"vary": ["rate=0.01"], "set": [f"data.train={tiny_path}", *SMALL], "cnn": False, "out": tmp_path}
    real = exploring.profile

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(exploring, "profile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        explore("student", **call)
    assert not (tmp_path / "explore.json").exists()
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("best.safetensors")}
    assert len(before) == 2
    monkeypatch.setattr(exploring, "profile", real)
    answer = explore("student", **call)
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("best.safetensors")}
    assert [p["fine_tuned"] for p in answer["points"]] == [None, None]


def test_fine_tuning_where_weights_keep_their_shapes(tiny_path, tmp_path, monkeypatch):
    begun = []

    def begin(trainings):
        begun.extend(trainings)
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "train_side_by_side", begin)
    with pytest.raises(KeyboardInterrupt):
        explore(
            "student", vary=["width=0.5", "rate=0.01"], set=[f"data.train={tiny_path}", *SMALL],
            init="m.safetensors", out=tmp_path,
        )  # fmt: skip
    assert {t.run.name: t.init for t in begun} == {
        "the recipe": "m.safetensors", "width ×0.5": None, "rate 0.01": "m.safetensors", "matched CNN + LSTM": None,
    }  # fmt: skip


def test_the_page_of_a_chip_that_publishes_nothing_draws_the_common_footing():
    point = {
        "name": "n", "kind": "spiking", "changes": {}, "trained": True, "au_top1": 0.5, "nme": 0.1,
        "footing_uj_per_s": 3.0, "energy_uj_per_s": None, "cores": None, "latency_us": None,
    }  # fmt: skip
    page = explore_page([point], load_chip("speck"), {"cores": 3}, "au_top1", "r")
    assert page.count("<svg") == 1
    assert "No network keeps the budget (cores ≤ 3)" in page

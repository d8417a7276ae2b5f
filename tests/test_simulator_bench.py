"""``snnface bench simulate``: the definition, our own row, and v2e where it is installed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from snnface.errors import InputError
from snnface.training.bench import simulating
from snnface.training.bench.commands import app
from snnface.training.bench.film import FIRST_ABOVE, THRESHOLD, Film, expected, log_of_grey, marks, prepared

FIELDS = {"name", "role", "case", "gradient", "median_ms", "p99_ms", "peak_mb", "rss_mb"}


def test_the_definition_counts_whole_thresholds_from_the_first_picture() -> None:
    pictures = np.array([[[100, 100]], [[100, 200]], [[40, 200]], [[40, 150]]], np.uint8)
    sums, counts = expected(pictures)
    mark = marks(2).reshape(2, 2)
    first = np.log(100 + FIRST_ABOVE)
    rises, falls = int((np.log(200) - first) / THRESHOLD), int((first - np.log(40)) / THRESHOLD)
    down = int((first + rises * THRESHOLD - np.log(150)) / THRESHOLD)
    assert (rises, falls, down) == (3, 4, 0)
    assert counts == [0, 3, 4, 0]
    assert sums == [0, 3 * mark[1, 1], 4 * mark[0, 0], 0]


def test_no_grey_value_is_so_close_to_a_threshold_that_rounding_decides() -> None:
    apart = np.abs(log_of_grey()[:, None] - log_of_grey(FIRST_ABOVE)) / THRESHOLD
    off = np.abs(apart - np.rint(apart))[apart > 0.5] * THRESHOLD
    assert off.min() > 5e-6


@pytest.mark.parametrize("scene", ["face", "grating"])
def test_our_simulator_gives_every_pixel_the_events_of_the_definition(scene: str, tmp_path: Path) -> None:
    path = prepared(Film(scene, 96, 64, 12, 2000), tmp_path)
    assert prepared(Film(scene, 96, 64, 12, 2000), tmp_path) == path
    sums, counts = expected(np.load(path))
    assert sum(counts) > 100
    step = simulating.IMPLEMENTATIONS["snnface simulator"].prepare(path, {"noise": False})()
    assert [step().value for _ in sums] == sums


def test_the_answer_has_a_row_for_each_and_absent_peers_are_listed(tmp_path: Path) -> None:
    out = tmp_path / "simulate.json"
    arguments = ["simulate", "--size", "80x64", "--scene", "grating", "--frames", "12", "--laps", "1", "--clean"]
    done = CliRunner().invoke(app, [*arguments, "--cache", str(tmp_path / "cache"), "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer == json.loads(out.read_text())
    rows = {r["name"]: r for r in answer["rows"]}
    assert set(rows) == {"snnface simulator", "v2e"}
    assert all(r.keys() >= FIELDS | {"events", "pixels_per_s"} for r in rows.values())
    assert rows["snnface simulator"]["status"] == "ok"
    assert rows["snnface simulator"]["case"] == "grating 80x64 clean"
    if importlib.util.find_spec("v2ecore") is None:
        assert rows["v2e"]["status"] == "not_installed"
        assert answer["ratios"] == []
    else:
        assert rows["v2e"]["status"] == "ok", rows["v2e"]


@pytest.mark.parametrize("wrong", [("--scene", "cats"), ("--frames", "2"), ("--against", "esim"), ("--size", "big")])
def test_bad_use_is_refused(wrong: tuple[str, str], tmp_path: Path) -> None:
    small = ["simulate", "--size", "48x32", "--scene", "grating", "--frames", "6"]
    done = CliRunner().invoke(app, [*small, "--cache", str(tmp_path), *wrong])
    assert isinstance(done.exception, InputError) or done.exit_code == 2

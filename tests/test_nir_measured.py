"""A network written as NIR is counted and measured as the checkpoint it came from; what a file lacks is named."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
import torch
from small_training import settings
from test_export import command

import snnface
from snnface import checkpoint, cli
from snnface.hardware import nir_files
from snnface.network import Head
from snnface.training.clips import Clips
from snnface.training.models import build

COUNTS = ("synops", "spikes", "updates", "neurons", "parameters", "steps", "clips", "input_events", "input_spikes")


@pytest.fixture(scope="module")
def pair(tiny_path: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A checkpoint that spikes and has all heads, and what ``export --to nir`` makes of it."""
    path = tmp_path_factory.mktemp("pair")
    clips = Clips(tiny_path, "train")
    encoder = build(settings(tiny_path), clips, None)
    mean_shape = torch.cat(clips.landmarks).mean(0)
    checkpoint.save(path / "model", encoder, {"mean_shape": mean_shape.tolist()})
    snnface.export(path / "model.safetensors", path / "model.nir", to="nir")
    return [path / "model.safetensors", path / "model.nir"]


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network on 32×32 pixels as snnTorch writes it, without metadata: 4 channels that spike, 167 that read out."""
    rng, shapes = np.random.default_rng(3), ((4, 16, 16), (167,))
    neurons = [nir.LIF(*(np.full(s, x) for x in (5e-4, 5.0, 0.0, 1.0, 0.0))) for s in shapes]
    nodes = {
        "input": nir.Input(np.array([2, 32, 32])),
        "c": nir.Conv2d((32, 32), rng.normal(0.05, 0.4, (4, 2, 3, 3)), 2, 1, 1, 1, np.zeros(4)), "cn": neurons[0],
        "f": nir.Flatten(np.array(shapes[0]), 0, -1),
        "r": nir.Linear(rng.normal(0.0, 0.1, (167, 1024))), "rn": neurons[1], "output": nir.Output(np.array([167])),
    }  # fmt: skip
    path = tmp_path_factory.mktemp("foreign") / "theirs.nir"
    nir.write(path, nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False))
    return path


def error(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line of a command that ends with exit code 2."""
    with pytest.raises(SystemExit) as end:
        cli.main([str(a) for a in arguments])
    assert end.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_profile_counts_the_same(pair: list[Path], tiny_path: Path) -> None:
    ours, theirs = (snnface.profile(path, data=tiny_path, split="test", chip=["loihi2"]) for path in pair)
    assert {name: ours[name] for name in COUNTS} == {name: theirs[name] for name in COUNTS}
    assert ours["layers"] == theirs["layers"]
    assert ours["chips"] == theirs["chips"]
    assert ours["spikes"] > 100


def test_eval_measures_the_same(pair: list[Path], tiny_path: Path) -> None:
    ours, theirs = (snnface.eval(path, tiny_path, mean_shape=tiny_path, backend="torch") for path in pair)
    assert ours.keys() == theirs.keys()
    assert ours["spikes_per_clip"] == theirs["spikes_per_clip"] > 10
    assert ours["synops_per_s"] == theirs["synops_per_s"]
    for name in ("au_top1", "au_top3", "au_top5", "expression_acc", "per_au"):
        assert ours[name] == theirs[name]
    for name in ("nme", "nme_mean_shape", "auc10"):
        assert theirs[name] == pytest.approx(ours[name], rel=1e-5)


def test_places_and_streams_as_the_checkpoint(pair: list[Path], tiny_path: Path, capsys) -> None:
    placed = [command(capsys, "chips", "place", path) for path in pair]
    assert placed[0] == placed[1]
    streams = [snnface.run(path, str(tiny_path)) for path in pair]
    assert streams[0]["ticks"] == streams[1]["ticks"] > 10


def test_a_checkpoint_s_mean_shape_is_asked_for_where_a_file_holds_none(pair: list[Path], tiny_path: Path, capsys):
    assert "--mean-shape TRAIN.h5" in error(capsys, "eval", pair[1], tiny_path)
    assert "--backend fixed" in error(capsys, "eval", pair[1], tiny_path, "--backend", "fixed")


@pytest.mark.parametrize("name", ["profile", "eval", "run", "chips"])
def test_a_file_that_says_nothing_of_events_is_told_how_to_say_it(name, foreign: Path, tiny_path: Path, capsys):
    arguments = {
        "profile": ["profile", foreign, "--data", tiny_path], "eval": ["eval", foreign, tiny_path],
        "run": ["run", foreign, tiny_path], "chips": ["chips", "place", foreign],
    }  # fmt: skip
    line = error(capsys, *arguments[name])
    for field in ("step_us", "input_mode", "heads"):
        assert field in line
    assert "export" in line
    assert "--to nir --semantics WRITER,step_us=" in line


def test_what_the_error_says_works(foreign: Path, tiny_path: Path, tmp_path: Path, capsys) -> None:
    """Written again with what was missing it is counted; with the rows of its heads it is measured."""
    stated = tmp_path / "new.nir"
    snnface.export(foreign, stated, to="nir", semantics="snntorch,step_us=10000")
    counts = snnface.profile(stated, data=tiny_path, split="test", chip=["loihi2"])
    assert counts["spikes"] > 100
    again = snnface.profile(
        foreign, data=tiny_path, split="test", chip=["loihi2"], semantics="snntorch,step_us=10000"
    )
    assert again["layers"] == counts["layers"]
    line = error(capsys, "eval", stated, tiny_path)
    assert "'au' of 24 rows, 'expression' of 7 rows, 'landmarks' of 136 rows" in line
    assert "docs/nir.md" in line

    network, heads, start = nir_files.read(stated), {}, 0
    for name, size in {"au": 24, "expression": 7, "landmarks": 136}.items():
        heads[name] = Head(start, start + size, np.ones(size), np.zeros(size))
        start += size
    nir_files.write(stated, replace(network, heads=heads))
    assert snnface.eval(stated, tiny_path, mean_shape=tiny_path)["clips"] == 6


@pytest.mark.parametrize("field", ["step_us", "tau_syn_us", "input_mode", "payload_one", "heads"])
def test_one_missing_field_is_named(pair: list[Path], tiny_path: Path, tmp_path: Path, field: str, capsys) -> None:
    broken = tmp_path / "b.nir"
    broken.write_bytes(pair[1].read_bytes())
    with h5py.File(broken, "r+") as f:
        del f[f"node/metadata/{field}"]
    assert f"metadata lack {field}." in error(capsys, "profile", broken, "--data", tiny_path)


def test_input_of_another_kind_than_a_camera_s_is_refused(tmp_path: Path, tiny_path: Path, capsys) -> None:
    one = np.ones(9)
    nodes = {
        "input": nir.Input(np.array([9])), "w": nir.Linear(np.eye(9)),
        "n": nir.LIF(5e-4 * one, 5 * one, 0 * one, one, 0 * one), "output": nir.Output(np.array([9])),
    }  # fmt: skip
    nir.write(tmp_path / "flat.nir", nir.NIRGraph(nodes, list(itertools.pairwise(nodes))))
    said = ["--semantics", "snntorch,step_us=1000"]
    line = error(capsys, "profile", tmp_path / "flat.nir", "--data", tiny_path, *said)
    assert "(9,)" in line
    assert "(2, height, width)" in line


def test_semantics_are_for_nir_files(pair: list[Path], tiny_path: Path, capsys) -> None:
    assert "--semantics out" in error(capsys, "profile", pair[0], "--data", tiny_path, "--semantics", "norse")


def test_neurobench_takes_a_nir_file(pair: list[Path], tiny_path: Path) -> None:
    pytest.importorskip("neurobench")
    ours, theirs = (snnface.neurobench(path, data=tiny_path, clips=1)["ours"] for path in pair)
    assert ours == theirs

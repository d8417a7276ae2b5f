"""Bundles: what they hold, and that their program computes what the package computes."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from snnface import checkpoint, cli
from snnface.datasets.store import Store
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig, HeadConfig, class_heads
from snnface.errors import InputError
from snnface.events import pack
from snnface.hardware.bundle import make
from snnface.hardware.bundle.reference import choose
from snnface.hardware.inputs import read_clips
from snnface.hardware.lava import process
from snnface.io.hdf5_file import write

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def model(tiny_path, tmp_path_factory) -> Path:
    """A checkpoint for 32x32 pixels whose layers spike, with class heads and landmarks that settle."""
    torch.manual_seed(0)
    landmarks = HeadConfig(size=136, scale=[3.0] * 136, offset=np.linspace(0, 32, 136).tolist(), prior=0.1)
    config = EncoderConfig(
        width=32,
        height=32,
        step_us=10_000,
        conv=[ConvConfig(channels=6, kernel=5), ConvConfig(channels=8)],
        dense=[DenseConfig(features=24, tau_mem_us=20_000)],
        heads=class_heads() | {"landmarks": landmarks},
    )
    encoder = Encoder(config)
    with torch.no_grad():
        encoder.calibrate(read_clips(tiny_path, 6, split=0), rate=0.08)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    metrics = {"au_top1": 0.25, "clips": 6, "identities": 1}
    checkpoint.save(path, encoder, {"metrics": metrics, "mean_shape": np.zeros((68, 2)).tolist()})
    return path


def export(model: Path, *arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(["export", str(model), *(str(a) for a in arguments), "--json"])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def bundle(model, tiny_path, tmp_path_factory) -> Path:
    """Its bundle, made where Lava is absent, which takes seconds to start."""
    folder = tmp_path_factory.mktemp("bundles") / "faces"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "installed", lambda: {"lava-nc": None, "lava-dl": None})
        assert export(model, "--bundle", folder, "--calibration", tiny_path) == 0
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> dict[str, str]:
    """An environment in which Python finds numpy and h5py, and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    for name in ("numpy", "h5py"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        site = Path(spec.origin).parents[1]
        for found in (site / name, site / f"{name}.libs"):
            if found.is_dir():
                (folder / found.name).symlink_to(found)
    return {"PYTHONPATH": str(folder)}


def program(bundle: Path, environment: dict[str, str], *arguments: object) -> tuple[int, dict, str]:
    """Run the bundle's program without any site-packages: exit code, answer, standard error."""
    command = [sys.executable, "-S", str(bundle / "run.py"), *(str(a) for a in arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def test_a_bundle_is_whole_and_says_what_it_is(bundle, tiny_path):
    names = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    assert {"network.net", "network.net.json", "network.unary.net", "heads.json", "reference.h5", "LICENSE"} <= names
    listed = {line.split("  ")[1] for line in (bundle / "SHA256SUMS").read_text().splitlines()}
    assert listed == names - {"SHA256SUMS"}
    known = json.loads((bundle / "bundle.json").read_text())
    assert known["certificate"] == {"file": None, "why": "Lava was not installed where this bundle was made"}
    assert "test split" in known["reference"]
    assert known["calibration"]["people"] == {"train": 2, "validation": 1, "test": 1}
    assert (known["nir"]["file"] is not None) == ("network.nir" in names)
    card = (bundle / "README.md").read_text()
    for part in ("Data and people", "| action unit, top-1 | 0.250 |", "must not be used", "Horowitz", "Apache-2.0"):
        assert part in card
    assert "$" not in card
    assert str(tiny_path.parent) not in "".join(p.read_text() for p in bundle.glob("*.json"))


def test_its_programs_import_numpy_and_h5py_alone(bundle):
    allowed = {*sys.stdlib_module_names, "numpy", "h5py", "runner"}
    lava_only = {"in_lava.py", "shims.py", "recorder.py"}
    for file in bundle.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            found = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                found = [node.module or ""]
            roots = {name.split(".")[0] for name in found}
            assert roots <= allowed | ({"lava"} if file.name in lava_only else set()), file.name


def test_check_with_numpy_and_h5py_alone(bundle, bare):
    code, answer, error = program(bundle, bare, "check")
    assert code == 0, error
    assert answer["passed"]
    assert answer["answers"] == {"lines": answer["input"]["graded"]["steps"], "differing": 0}
    for mode in ("graded", "unary"):
        found = answer["input"][mode]
        assert (found["differing_spikes"], found["differing_membranes"]) == (0, 0)
        assert min(n for name, n in found["spikes"].items() if name != "readout") > 0


def test_check_in_a_fresh_environment(bundle, tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=120)
    python = next(p for p in (venv / "bin/python", venv / "Scripts/python.exe") if p.exists())
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "0"]
    if subprocess.run([*pip, "--timeout", "10", "numpy", "h5py"], capture_output=True, timeout=300).returncode:
        pytest.skip("numpy and h5py cannot be fetched here")
    done = subprocess.run([str(python), str(bundle / "run.py"), "check"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def answers_of_snnface(net: Path, recording: Path, out: Path, *more: object) -> list[str]:
    with pytest.raises(SystemExit):
        cli.main(["run", str(net), str(recording), "--out", str(out), *(str(m) for m in more)])
    return out.read_text().splitlines()


def test_answers_are_those_of_snnface_run(bundle, bare, tiny_path, tmp_path):
    code, answer, _ = program(bundle, bare, "run", tiny_path, "--clip", 5, "--out", tmp_path / "a.jsonl")
    assert code == 0
    ours = answers_of_snnface(bundle / "network.net", tiny_path, tmp_path / "b.jsonl", "--clip", 5)
    assert (tmp_path / "a.jsonl").read_text().splitlines() == ours
    assert answer["ticks"] == len(ours) > 30
    program(bundle, bare, "run", tiny_path, "--clip", 5, "--input", "unary", "--out", tmp_path / "a.jsonl")
    ours = answers_of_snnface(bundle / "network.unary.net", tiny_path, tmp_path / "b.jsonl", "--clip", 5)
    assert (tmp_path / "a.jsonl").read_text().splitlines() == ours


def test_a_larger_sensor_is_scaled_down_as_snnface_does(bundle, bare, tmp_path):
    rng = np.random.default_rng(3)
    t = np.sort(rng.integers(500_000, 800_000, 60_000))
    x = (48 + 20 * np.sin(t / 40_000) + rng.normal(0, 6, len(t))).astype(int).clip(0, 96)
    p = rng.random(len(t)) < 0.5 + 0.4 * np.sin(t / 30_000)
    write(tmp_path / "large.h5", iter([pack(t, x, rng.integers(0, 71, len(t)), p)]), (97, 71), "hdf5")
    code, answer, error = program(bundle, bare, "run", tmp_path / "large.h5", "--out", tmp_path / "a.jsonl")
    assert code == 0, error
    assert 0 < answer["events_in"] < answer["events"] == len(t)
    ours = answers_of_snnface(bundle / "network.net", tmp_path / "large.h5", tmp_path / "b.jsonl")
    assert (tmp_path / "a.jsonl").read_text().splitlines() == ours


def test_scores_are_those_of_snnface_eval(bundle, bare, tiny_path, capsys):
    code, answer, _ = program(bundle, bare, "score", tiny_path, "--split", "train")
    assert code == 0
    with pytest.raises(SystemExit):
        cli.main(
            ["eval", str(bundle / "network.net"), str(tiny_path), "--split", "train",
             "--mean-shape", str(tiny_path), "--json"]
        )  # fmt: skip
    ours = json.loads(capsys.readouterr().out)
    for name in ("au_top1", "au_top3", "au_top5", "expression_acc", "clips"):
        assert answer[name] == pytest.approx(ours[name])
    assert answer["nme"] == pytest.approx(ours["nme"], rel=1e-5)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("network.net", lambda content: content[:-7]),
        ("heads.json", lambda content: content.replace(b"scale", b"Scale")),
        ("reference.h5", lambda content: content[:100] + b"x" + content[101:]),
        ("runner/network.py", lambda content: content + b"\n"),
        ("expected.h5", None),
        ("SHA256SUMS", lambda content: b""),
        ("SHA256SUMS", None),
    ],
)
def test_a_damaged_bundle_gets_one_clear_error(bundle, bare, name, change):
    content = (bundle / name).read_bytes()
    try:
        (bundle / name).unlink() if change is None else (bundle / name).write_bytes(change(content))
        code, answer, error = program(bundle, bare, "check")
        assert (code, answer) == (1, {})
        assert error.startswith(f"error: {name}: ")
        assert error.count("\n") == 1
        assert program(bundle, bare, "run", bundle / "reference.h5")[0] == 2
    finally:
        (bundle / name).write_bytes(content)


def test_another_result_is_found_wanting(bundle, bare, tmp_path):
    """Where checksums agree but the arithmetic does not: exit code 1, and the differences are counted."""
    copy = shutil.copytree(bundle, tmp_path / "copy")
    source = (copy / "runner/network.py").read_text()
    (copy / "runner/network.py").write_text(source.replace("v > self.threshold)", "v > 0.7 * self.threshold)"))
    make.write_sums(copy)
    code, answer, _ = program(copy, bare, "check")
    assert code == 1
    assert not answer["passed"]
    assert answer["input"]["graded"]["differing_spikes"] > 0


def test_bad_use_of_the_program(bundle, bare, tiny_path, tmp_path):
    (tmp_path / "text.h5").write_text("no events")
    backwards = pack(np.array([5, 3]), np.zeros(2), np.zeros(2), np.zeros(2))
    write(tmp_path / "sorted.h5", iter([np.sort(backwards, order="t")]), (32, 32), "hdf5")
    with h5py.File(tmp_path / "sorted.h5", "r+") as file:
        file["events/t"][...] = [5, 3]
    cases = [
        (("run", tmp_path / "absent.h5"), "does not exist"),
        (("run", tmp_path / "text.h5"), "is not a readable recording"),
        (("run", tiny_path, "--clip", 24), "beyond the last clip"),
        (("run", tmp_path / "sorted.h5"), "time runs backwards"),
        (("run", bundle / "reference.h5", "--lava"), "Lava is not installed"),
        (("run", bundle / "reference.h5", "--loihi2"), "Lava is not installed"),
        (("run", bundle / "reference.h5", "--out", tmp_path / "no/such/a.jsonl"), "cannot be written"),
        (("score", bundle / "reference.h5"), "is not a readable data set"),
    ]
    for arguments, words in cases:
        code, answer, error = program(bundle, bare, *arguments)
        assert (code, answer) == (2, {}), arguments
        assert words in error
        assert error.count("\n") == 1, error
    assert not list(bundle.rglob("*.pyc"))


def test_spikes_agree_with_lava(bundle):
    if None in process.installed().values():
        pytest.skip("Lava is not installed")
    command = [sys.executable, str(bundle / "run.py"), "run", str(bundle / "reference.h5"), "--steps", "25", "--lava"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["lava"]
    assert set(found["differing_spikes"].values()) == {0}
    assert found["differing_membranes"] == 0
    assert all(n > 0 for name, n in found["spikes"].items() if name != "readout")
    if find_spec("lava.proc").submodule_search_locations and not find_spec("lava.proc.embedded_io"):
        command[-1] = "--loihi2"
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 2
        assert "Intel's extension" in done.stderr


def test_a_bundle_replaces_a_bundle_and_nothing_else(model, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "installed", lambda: {"lava-nc": None, "lava-dl": None})
    monkeypatch.setattr(make, "_nir", lambda *_: {"file": None, "why": "not asked for"})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    assert export(model, "--bundle", tmp_path / "mine") == 2
    assert (tmp_path / "mine/letter.txt").read_text() == "dear"

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(make.card, "text", interrupted)
        assert export(model, "--bundle", tmp_path / "new") == 130
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    for _ in range(2):
        assert export(model, "--bundle", tmp_path / "new") == 0
    assert "no face" in json.loads((tmp_path / "new/bundle.json").read_text())["reference"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "new"]


def test_nothing_to_write_and_refusals(model, capsys):
    assert export(model) == 2
    assert "--out NAME.net or --bundle FOLDER" in capsys.readouterr().err


def test_recordings_of_people_are_never_packed(tiny_path, tmp_path):
    """Only what snnface synth made is a reference; of another set a bar stands in."""
    from snnface.datasets.store import write_store

    assert "clip" in choose(tiny_path, (2, 32, 32)).about
    store = Store(tiny_path)
    for generator in ({"name": "FACEMORPHIC", "settings": {"layout": "FACEMORPHIC"}}, {"name": "ours"}):
        write_store(tmp_path / "people.h5", [store.clip(0)], 32, 32, generator)
        assert "no face" in choose(tmp_path / "people.h5", (2, 32, 32)).about
    assert "no face" in choose(tiny_path, (2, 64, 64)).about
    with pytest.raises(InputError):
        choose(tmp_path / "absent.h5", (2, 32, 32))

"""The native engine is built where it can be, chosen by the processor, and shares torch's threads."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import engine_setup
import pytest

from snnface.engine import library
from snnface.errors import InputError

ROOT = engine_setup.ROOT
PARTS = ("snnface", "converters", "training", "hardware")
FILES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
built = pytest.mark.skipif(not library.available(), reason="the engine is not built here: no C++17 compiler")

# A compiler that makes empty files, notes each call, and refuses what is in REFUSE.
COMPILER = """#!/bin/sh
echo "$@" >> calls
case "$*" in *"$REFUSE"*) exit 1;; esac
while [ $# -gt 1 ]; do [ "$1" = -o ] && : > "$2"; shift; done
"""


@pytest.fixture
def nothing_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package as it is after an install without a compiler."""
    monkeypatch.setattr(library, "_path", lambda name: tmp_path / f"_engine_{name}.so")
    for name in ("load", "_failure", "tell_once"):  # what they remember stays theirs
        monkeypatch.setattr(library, name, functools.cache(getattr(library, name).__wrapped__))


@built
@pytest.mark.parametrize("name", library.available())
def test_a_level_is_compiled_for_what_it_says(name: str) -> None:
    assert library.LEVELS[library.load(name).snn_level()] == name


@built
def test_the_variable_chooses_a_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SNNFACE_ENGINE", raising=False)
    assert library.level() == library.available()[-1]
    for name in library.available():
        monkeypatch.setenv("SNNFACE_ENGINE", name)
        assert library.level() == name
        assert library.library() is library.load(name)
        assert library.reason() == ""
    monkeypatch.setenv("SNNFACE_ENGINE", "none")
    assert library.library() is None
    assert "SNNFACE_ENGINE" in library.reason()


@built
def test_the_variable_asks_for_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNFACE_ENGINE", "sse9")
    with pytest.raises(InputError, match="sse9 is no level"):
        library.level()
    highest = library.available()[-1]
    monkeypatch.setenv("SNNFACE_ENGINE", highest)
    monkeypatch.setattr(library, "available", lambda: ())
    with pytest.raises(InputError, match=f"{highest} does not run on this machine"):
        library.level()


def test_without_a_library_one_line_says_so_once(nothing_built, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.delenv("SNNFACE_ENGINE", raising=False)
    assert library.level() == "none"
    assert library.library() is None
    library.tell_once()
    library.tell_once()
    assert " ".join(capsys.readouterr().err.split()) == library.reason()
    assert "Install a C++17 compiler" in library.reason()
    monkeypatch.setenv("SNNFACE_ENGINE", "portable")
    with pytest.raises(InputError, match="portable is not built"):
        library.level()


def test_who_switched_it_off_is_not_told(nothing_built, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("SNNFACE_ENGINE", "none")
    library.tell_once()
    assert capsys.readouterr().err == ""


def test_a_library_that_does_not_load_says_why(nothing_built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SNNFACE_ENGINE", raising=False)
    library._path("portable").write_bytes(b"no library")
    assert library.level() == "none"
    assert "does not load" in library.reason()


THREADS = """
import ctypes, json, os, torch
from snnface.engine import library

def tasks():
    return len(os.listdir("/proc/self/task"))

def seen(engine):
    who = (ctypes.c_int64 * library.threads())()
    engine.snn_threads_check(library.threads(), who)
    return list(who)

answer = []
for threads in (1, 2, 3):
    torch.set_num_threads(threads)
    torch.rand(1 << 20).exp()
    before = tasks()
    for name in library.available():
        who = seen(library.load(name)) + seen(library.load(name))
        answer.append({"asked": threads, "used": len({*who}), "parts": len(who) // 2, "new": tasks() - before})
library.load("portable").snn_set_pool(None, None)
print(json.dumps({"shared": answer, "own": seen(library.load("portable"))}))
"""


@built
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted through Linux's /proc")
def test_the_engine_works_on_torchs_threads() -> None:
    """No thread comes to those that torch has, the same ones work each time, and as many as torch was told to use.

    Without that pool threads of its own do every part.
    """
    if not library._torch_pool()[0]:
        pytest.skip("this torch has no OpenMP to share")
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert len(answer["shared"]) == 3 * len(library.available())
    for a in answer["shared"]:
        assert a["used"] == a["parts"] == a["asked"]
        assert a["new"] == 0
    assert len(answer["own"]) == 3
    assert 0 not in answer["own"]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the package is made from, without anything built; the current folder."""
    folder = tmp_path / "tree"
    for name in PARTS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("_engine_*", "__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def compiler(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The noting compiler in the tree; what it was called with is in the file it returns."""
    script = tree / "compiler"
    script.write_text(COMPILER)
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    monkeypatch.setenv("REFUSE", "nothing of this")
    return tree / "calls"


def run_setup(*arguments: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("setuptools", "77")
    return subprocess.run(
        [sys.executable, "setup.py", "--quiet", *arguments], capture_output=True, text=True, check=True
    )


def test_only_what_is_older_than_its_sources_is_built(tree: Path, compiler: Path) -> None:
    levels = 1 + len(engine_setup.load().LEVELS)
    run_setup("build_ext", "--inplace")
    assert len(list(tree.glob("snnface/engine/_engine_*"))) == levels
    run_setup("build_ext", "--inplace")
    assert len(compiler.read_text().splitlines()) == levels
    later = compiler.stat().st_mtime + 10
    os.utime(tree / "snnface/engine/src/pool.h", (later, later))
    run_setup("build_ext", "--inplace")
    assert len(compiler.read_text().splitlines()) == 2 * levels


def test_a_level_that_the_compiler_refuses_is_left_out(
    tree: Path, compiler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not engine_setup.load().LEVELS:
        pytest.skip("this processor has one level")
    monkeypatch.setenv("REFUSE", "-mavx512f")
    done = run_setup("build_ext", "--inplace")
    assert sorted(p.stem for p in tree.glob("snnface/engine/_engine_*")) == ["_engine_avx2", "_engine_portable"]
    assert [line for line in done.stderr.splitlines() if line.startswith("snnface: no avx512 engine")]


def test_user_flags_reach_the_compiler(compiler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFLAGS", "-O1 -DUSERS")
    run_setup("build_ext", "--inplace")
    calls = compiler.read_text().splitlines()
    assert all("-O1 -DUSERS" in call and "-march=native" not in call and "-ffast-math" not in call for call in calls)


def test_the_source_distribution_has_the_sources_and_nothing_built(tree: Path, compiler: Path) -> None:
    run_setup("build_ext", "--inplace")
    run_setup("sdist", "--formats=zip", "--dist-dir=out")
    (archive,) = tree.glob("out/*.zip")
    names = {name.partition("/")[2] for name in zipfile.ZipFile(archive).namelist()}
    assert {f"snnface/engine/src/{p.name}" for p in (ROOT / "snnface/engine/src").iterdir()} <= names
    assert "setup.py" in names
    assert not [name for name in names if "_engine_" in name]


USE = """
import json, pathlib, snnface
from snnface.backends import get
from snnface.engine import library
import small_networks
trace = get("torch")(small_networks.network(), small_networks.batch(40_000))
library.tell_once()
print(json.dumps({"level": library.level(), "home": str(pathlib.Path(snnface.__file__).parent.parent),
                  "spikes": float(trace.spikes[0].sum())}))
"""


def installed(tree: Path, **environment: str) -> tuple[Path, set[str]]:
    """Build a wheel as pip does and unpack it; its folder and the names of its files."""
    pytest.importorskip("setuptools", "77")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "out", "."]
    done = subprocess.run(pip, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tree.glob("out/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tree / "site")
        return tree / "site", set(archive.namelist())


def test_a_wheel_holds_every_level(tree: Path, compiler: Path) -> None:
    _, names = installed(tree)
    suffix = library.SUFFIX
    for name in ("portable", *engine_setup.load().LEVELS):
        assert f"snnface/engine/_engine_{name}{suffix}" in names
    assert "snnface/engine/src/pool.h" in names


def test_without_a_compiler_the_package_installs_and_works(tree: Path) -> None:
    site, names = installed(tree, CC="/bin/false", CXX="/bin/false")
    assert not [name for name in names if "_engine_" in name]
    environment = {k: v for k, v in os.environ.items() if k != "SNNFACE_ENGINE"}
    environment["PYTHONPATH"] = os.pathsep.join((str(site), str(ROOT / "tests")))
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd="/", env=environment, capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    assert answer["home"] == str(site)
    assert answer["level"] == "none"
    assert answer["spikes"] > 0
    assert "The native engine is not built" in " ".join(done.stderr.split())

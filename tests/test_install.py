"""What is installed: the torch that came first, and four rooms under one name from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distributions, requires, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {
    "snnface": "snnface",
    "snnface.converters": "converters",
    "snnface.training": "training",
    "snnface.hardware": "hardware",
}
IMPORT = (
    "import importlib, pathlib\n"
    f"for name in {list(ROOMS)!r}:\n"
    "    print(pathlib.Path(importlib.import_module(name).__file__).parent)\n"
)


@pytest.mark.parametrize("folder", [ROOT, ROOT / "tests", Path("/")], ids=["the root", "a room beside", "elsewhere"])
def test_all_four_rooms_import_from(folder: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(ROOT / folder_name) for folder_name in ROOMS.values()]


def test_only_one_name_reaches_the_environment() -> None:
    """Folders with general names stay out of the import path."""
    done = subprocess.run(
        [sys.executable, "-c", "import training"], cwd="/", capture_output=True, text=True, check=False
    )
    assert "ModuleNotFoundError" in done.stderr


def test_torch_is_the_build_that_was_installed_first() -> None:
    recorded = Path(sys.prefix) / ".torch"
    if not recorded.is_file():
        pytest.skip("this environment was not made by make venv")
    first = recorded.read_text().strip()
    assert version("torch") == first
    import torch

    assert torch.__version__.partition("+")[2] == first.partition("+")[2]


def test_nothing_pulled_in_a_cuda_build() -> None:
    import torch

    if torch.version.cuda is not None:
        pytest.skip("torch itself is a CUDA build")
    names = {(d.name or "").lower() for d in distributions()}
    assert not [n for n in names if n.startswith(("nvidia-", "triton"))]
    assert not names & {"torchvision", "torchaudio"}


def test_no_dependency_of_ours_asks_for_another_torch() -> None:
    """norse asks for torchvision, which asks for one torch: it must stay out of the package's dependencies."""
    ours = {line.split(";")[0].split(">")[0].split("=")[0].strip() for line in requires("snnface") or ()}
    assert "torch" in ours
    assert not ours & {"norse", "torchvision", "torchaudio", "nirtorch", "spikingjelly"}

"""What several test files share: one tiny data set of synthetic faces, made once a session, and one thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from snnface.converters.plan import Plan
from snnface.converters.synth import synthesise
from snnface.datasets.store import Store


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 24 clips of half a second, 32×32 pixels, RGB: 2 people to train, 1 to validate, 1 to test."""
    path = tmp_path_factory.mktemp("tiny") / "faces.h5"
    synthesise(
        path,
        Plan(
            clips=24, identities=4, seconds=0.5, width=32, height=32, sensor="davis346", tasks=("au", "expression"),
            rgb=True, seed=7, split=(0.5, 0.25, 0.25),
        ),
    )  # fmt: skip
    return path


@pytest.fixture(scope="session")
def tiny_faces(tiny_path: Path) -> Store:
    """The same, opened."""
    return Store(tiny_path)


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    """For networks too small for several. Those of the engine are chosen where they matter."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

"""Stages of a long job: kept where nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snnface.training.demo import CHIP
from snnface.training.experiment import FACES, LEARNING, TEACHING
from snnface.training.stages import Stages


def counted(work: list[str], name: str) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        work.append(name)
        return {"runs": len(work)}

    return run


def test_stages_run_again_only_where_something_changed(tmp_path: Path) -> None:
    source, output, folder = tmp_path / "in", tmp_path / "out", tmp_path / "partial"
    source.write_text("1")
    work: list[str] = []

    def run(settings: int, fails: bool = False) -> dict[str, Any]:
        def job() -> dict[str, Any]:
            folder.mkdir(exist_ok=True)
            if fails:
                raise KeyboardInterrupt
            output.write_text("made")
            return counted(work, "a")()

        return Stages(tmp_path, ["a"]).run(
            "a", job, settings=settings, inputs=[source], outputs=[output], partial=[folder], code=("heads.py",)
        )

    assert run(1) == run(1) == {"runs": 1}
    assert run(2) == {"runs": 2}
    source.write_text("2")
    assert run(2) == {"runs": 3}
    output.unlink()
    assert run(2) == {"runs": 4}
    (folder / "state").write_text("half")
    output.unlink()
    with pytest.raises(KeyboardInterrupt):
        run(2, fails=True)
    assert (folder / "state").exists()  # the same work goes on
    with pytest.raises(KeyboardInterrupt):
        run(3, fails=True)
    assert not (folder / "state").exists()  # other work starts anew


@pytest.mark.parametrize("name", sorted({*FACES, *TEACHING, *LEARNING, *CHIP}))
def test_the_code_that_stages_name_exists(name: str, tmp_path: Path) -> None:
    Stages(tmp_path, ["a"]).run("a", lambda: {}, settings=None, code=(name,))

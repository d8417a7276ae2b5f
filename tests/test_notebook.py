"""The notebook is run as a reader runs it."""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
import nbclient
import pytest

SOURCES = sorted((Path(__file__).parent.parent / "notebooks").glob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_runs_from_its_text(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = jupytext.read(source)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    printed = "".join(o.get("text", "") for cell in code for o in cell.outputs)
    assert re.search(r"'au': \(\d+, 3, 24\)", printed)
    assert "the same spikes in float and in 8 bits:" in printed
    assert sum("image/png" in o.get("data", {}) for cell in code for o in cell.outputs) == 2
    assert list(tmp_path.iterdir()) == []


def test_there_is_one() -> None:
    assert [path.stem for path in SOURCES] == ["first_steps"]

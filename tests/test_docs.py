"""What the pages say is there."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_the_readme_names_every_command_and_keeps_its_results_block() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = "".join(line for line in text.splitlines() if line.startswith("| `"))
    assert {e.name for e in entry_points(group="snnface.commands")} <= set(re.findall(r"`(\w+)`", table))
    assert re.search(r"<!-- results:begin -->.*<!-- results:end -->", text, re.DOTALL)


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "docs/neuron.md"])
def test_files_that_the_pages_name_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:[\w.]+/)*\w+\.py)`", text)
    assert named
    present = {str(path.relative_to(ROOT)) for path in ROOT.glob("*/**/*.py") if ".venv" not in path.parts}
    assert [name for name in named if not any(path == name or path.endswith("/" + name) for path in present)] == []


def test_tonic_is_imported_in_the_data_set_room_only() -> None:
    """As NOTICE says."""
    found = {
        str(path.parent.relative_to(ROOT))
        for room in ("snnface", "converters", "training", "hardware")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"^\s*(import|from) tonic", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found == {"snnface/datasets"}

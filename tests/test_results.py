"""The long evaluation, at a size that takes seconds: what it writes, and that a second run reuses it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import snnface
from snnface.training import results
from snnface.training.experiment import CLIPS_A_TEST_PERSON, Size


def test_the_evaluation_fills_the_tables_of_the_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = Size(2, 1, 2, epochs=1, teacher_epochs=1, seeds=(1, 2), clips_a_learner=8, seconds=0.5, pixels=32)
    monkeypatch.setitem(results.SIZES, "small", tiny)
    (tmp_path / "docs").mkdir()
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results:begin -->\nold\n<!-- results:end -->\nafter\n")
    answer = snnface.results(out=tmp_path / "out", size="small", docs=tmp_path)
    found = json.loads(Path(answer["results"]).read_text())
    assert set(found["tested"]) == set(results.NAMES)
    for tested in found["tested"].values():
        one, other = tested["seeds"]["1"], tested["seeds"]["2"]
        for answer_of_seed in (one, other):
            assert answer_of_seed["clips"] == 2 * CLIPS_A_TEST_PERSON
            assert answer_of_seed["identities"] == 2
        for key in results.MEASURES:
            assert tested["mean"][key] == pytest.approx((one[key] + other[key]) / 2)
            assert tested["spread"][key] == pytest.approx(abs(one[key] - other[key]) / 2**0.5)
            low, high = tested["intervals"][key]
            assert low == pytest.approx((one["intervals"][key][0] + other["intervals"][key][0]) / 2)
            assert low <= tested["mean"][key] <= high
        assert one["nme"] != other["nme"]  # trained with another seed, not the same network twice
    assert set(found["matched_cnn_learning_rates"]) == set(results.CNN_RATES)
    tables = (tmp_path / "docs" / "results.md").read_text()
    guided = found["tested"]["guided"]
    assert f"| {guided['mean']['nme']:.3f} ± {guided['spread']['nme']:.3f} (" in tables
    assert "seeds 1 and 2" in tables
    text = readme.read_text()
    made = "Made by `make results SIZE=small` ([how](docs/results.md))."
    assert text.startswith(f"before\n<!-- results:begin -->\n{made}\n\n96 clips of 2 people")
    assert text.endswith("<!-- results:end -->\nafter\n")
    assert "old" not in text
    for name in ("matched CNN", "ResNet18"):
        assert re.search(rf"\| {name} \+ LSTM \| [\d,]+ \| [\d,]+ \|", text)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.safetensors")}
    assert snnface.results(out=tmp_path / "out", size="small")["guided"] == answer["guided"]
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.safetensors")}

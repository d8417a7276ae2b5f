"""The command line: one JSON object, exit codes, one-line errors, help without loading the rooms."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

import snnface
from snnface import __version__, cli
from snnface.errors import InputError

COMMANDS = (
    *("info", "synth", "convert", "teach", "train", "eval", "run", "export", "simulate", "verify", "profile"),
    *("lava", "demo", "results"),
)


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    return int(ended.value.code or 0)


def fake_info(monkeypatch: pytest.MonkeyPatch, raises: BaseException | None = None, answer: Any = None) -> None:
    """Put a command in the place of ``info``."""

    def info(file: Path) -> dict[str, Any]:
        """Answer."""
        if raises is not None:
            raise raises
        return answer

    monkeypatch.setattr("snnface.io.commands.info", info)


def test_every_command_is_registered_described_and_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(COMMANDS) <= {e.name for e in entry_points(group="snnface.commands")}
    assert call("--help") == 0
    listed = capsys.readouterr().out
    for name in COMMANDS:
        assert name in listed
        assert name in cli.SUMMARIES
        assert call(name, "--help") == 0
        shown = capsys.readouterr().out
        if name != "lava":
            assert "--json" in shown
            assert f"snnface {name}" in " ".join(shown.split("Usage")[1].split()[3:])


@pytest.mark.parametrize("name", ["install", "status"])
def test_commands_of_a_group_have_examples_too(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("lava", name, "--help") == 0
    assert f"Example: snnface lava {name}" in capsys.readouterr().out


def test_every_command_is_a_function_of_the_package() -> None:
    for name in COMMANDS:
        assert callable(getattr(snnface, name))
    with pytest.raises(AttributeError, match="no attribute 'dance'"):
        _ = snnface.dance


def test_json_is_exactly_one_object(tiny_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("info", str(tiny_path), "--json") == 0
    out = capsys.readouterr().out
    answer = json.loads(out)
    assert out.count("\n") == 1
    assert (answer["clips"], answer["identities"]) == (24, 4)
    assert answer == snnface.info(tiny_path) == snnface.info(file=str(tiny_path))


def test_without_json_the_answer_is_readable(tiny_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("info", str(tiny_path)) == 0
    out = capsys.readouterr().out
    assert "clips" in out
    assert "{" not in out


def test_nested_answers_are_readable() -> None:
    text = cli.readable(
        {"a": 1234567, "b": {"c": True, "d": None}, "rows": [{"x": 0.123456}, {"x": 2}], "e": [1, 2], "c": [[1], [2]]}
    )
    assert text.splitlines() == [
        "a     1,234,567",
        "b",
        "  c  yes",
        "  d  -",
        "rows",
        "  - x 0.1235",
        "  - x 2",
        "e     1 2",
        "c     2 rows of 1, shown by --json",
    ]


def test_found_wanting_is_1_and_still_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_info(monkeypatch, cli.Found({"differing": 3}))
    assert call("info", "a.raw", "--json") == 1
    assert json.loads(capsys.readouterr().out) == {"differing": 3}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("a.raw", "is\nempty.", "Record again."), "error: a.raw: is empty. Record again."),
        (
            MemoryError(),
            "error: snnface info: this machine has too little memory. Use shorter clips or smaller batches.",
        ),
    ],
)
def test_bad_input_is_2_and_one_line(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_info(monkeypatch, error)
    assert call("info", "a.raw", "--json") == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", line + "\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["dance"], "dance"),
        (["info"], "'file'"),
        (["info", "--colour", "red", "x"], "--colour"),
        (["synth", "x.h5", "--clips", "many"], "--clips"),
        (["synth", "x.h5", "--clips", "3", "--seed", "-1"], "--seed"),
        (["train", "student", "--seed", "-1"], "--seed"),
        (["train", "student", "--set", "training.epochs=0"], "training.epochs"),
        (["eval", "x.safetensors", "x.h5", "--split", "people"], "--split people"),
        (["eval", "x.safetensors", "x.h5"], "x.safetensors"),
        (["results", "--size", "huge"], "--size huge"),
        (["verify", "x.net", "--against", "truth"], "--against"),
        (["export", "x.safetensors", "--out", "x.net", "--to", "coal"], "--to"),
    ],
)
def test_bad_use_is_2_and_one_line_that_names_it(
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert says in err
    assert list(tmp_path.iterdir()) == []


def test_interrupting_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fake_info(monkeypatch, KeyboardInterrupt())
    assert call("info", "a.raw") == 130
    assert capsys.readouterr().err.startswith("interrupted")


def test_version_and_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"snnface {__version__}\n"
    assert call() == 2
    assert "Usage" in "".join(capsys.readouterr())


def test_help_loads_no_room() -> None:
    code = (
        "import sys\nfrom snnface import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit as e:\n    assert not e.code\n"
        "loaded = [m for m in sys.modules if m == 'torch' or m.startswith('snnface.')]\n"
        "print(loaded, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "['snnface.errors', 'snnface.cli']"

"""A run folder: what was run, with what, and how far it came. Every file is whole or absent."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from snnface import __version__
from snnface.errors import InputError
from snnface.files import atomic_path, file_sha256, read_json, write_json, write_text
from snnface.training.recipe import Recipe


def describe(recipe: Recipe, data_sha256: str, init: str | None = None) -> dict[str, Any]:
    """Everything needed to run it again: recipe, hashes of data, teacher and first weights, versions, git, threads.

    ``init``: ``CHECKPOINT`` or ``CHECKPOINT:encoder``. Raises :class:`InputError` where the teacher or it is missing.
    """
    versions = {"python": platform.python_version(), "snnface": __version__}
    for package in ("torch", "numpy", "h5py", "tonic", "snntorch", "norse"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "recipe": recipe.model_dump(mode="json"),
        "data_sha256": data_sha256,
        "teacher_sha256": None if recipe.teacher is None else _sha256(recipe.teacher),
        "init": None
        if init is None
        else {"from": init, "sha256": _sha256(Path(init.partition(":")[0]).with_suffix(".safetensors"))},
        "versions": versions,
        "git": _git(),
        "threads": torch.get_num_threads(),
    }


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as e:
        raise InputError(path, f"cannot be read: {e.strerror}", "Check the path") from e


def _git() -> dict[str, Any] | None:
    """Commit and whether the tree had changes; None outside a checkout."""
    here = Path(__file__).resolve().parent
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True, timeout=10
        )
        status = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.stdout.strip(), "changed": bool(status.stdout.strip())}


def read_log(run: Path) -> list[dict[str, Any]]:
    """The metrics of every finished epoch of a run; none where there is no run yet."""
    file = run / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


class RunFolder:
    """``run.json`` (what), ``metrics.jsonl`` (a line an epoch), ``resume.safetensors`` (where it stands)."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def open(self, description: dict[str, Any], resume: bool) -> None:
        """Start or go on; raises :class:`InputError` where another run lives here."""
        file = self.path / "run.json"
        if not file.is_file():
            write_json(file, description)
            return
        before = read_json(file)
        if not isinstance(before, dict):
            raise InputError(file, "does not describe a run", "Remove the run folder and start again")
        for key, what in (
            ("recipe", "recipe"),
            ("data_sha256", "data set"),
            ("teacher_sha256", "teacher"),
            ("init", "start (--init)"),
        ):
            if before.get(key) != description[key]:
                raise InputError(self.path, f"holds a run of another {what}", "Choose another --out folder")
        if not resume:
            raise InputError(self.path, "holds this run already", "Add --resume to go on, or choose another --out")

    def save_progress(self, model: nn.Module, optimizer: torch.optim.Optimizer, log: list[dict[str, Any]]) -> None:
        """One atomic file with weights, optimiser state and the metrics of every epoch so far."""
        tensors = {f"model.{k}": v.contiguous().clone() for k, v in model.state_dict().items()}
        for i, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{k}": torch.as_tensor(v).clone() for k, v in state.items()}
        with atomic_path(self.path / "resume.safetensors") as temporary:
            save_file(tensors, temporary, metadata={"log": json.dumps(log)})
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in log))

    def load_progress(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
        """Restore the last finished epoch; returns its log, empty where nothing was finished."""
        file = self.path / "resume.safetensors"
        if not file.is_file():
            return []
        weights: dict[str, Tensor] = {}
        states: dict[int, dict[str, Tensor]] = {}
        try:
            with safe_open(file, "pt") as content:
                log = json.loads(content.metadata()["log"])
                for key in content.keys():  # noqa: SIM118 (not a dict)
                    kind, _, name = key.partition(".")
                    if kind == "model":
                        weights[name] = content.get_tensor(key)
                    else:
                        number, _, field = name.partition(".")
                        states.setdefault(int(number), {})[field] = content.get_tensor(key)
            model.load_state_dict(weights)
        except (SafetensorError, RuntimeError, KeyError, ValueError, OSError) as e:
            raise InputError(file, f"cannot be read ({e})", "Remove the run folder and start again") from e
        whole = optimizer.state_dict()
        whole["state"] = states
        optimizer.load_state_dict(whole)
        return log

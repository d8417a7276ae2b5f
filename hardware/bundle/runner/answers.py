"""From the readout's membranes to answers with names: what the host does with what the chip gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .files import read_json

TOP_AUS = 3


class Heads:
    """The decoding heads (``heads.json``) of a network with this manifest."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.heads = read_json(folder / "heads.json")
        self.scale = np.asarray(manifest["layers"][-1]["scale"]) * 64

    def decode(self, membranes: np.ndarray, steps: int) -> dict[str, np.ndarray]:
        """Answers from integer membranes ``[R]`` after so many steps: name → float ``[size]``."""
        values = (membranes / self.scale).astype(np.float32)
        answers = {}
        for name, head in self.heads.items():
            part = values[head["start"] : head["stop"]]
            if "settling" in head:
                part = part / _settled(head["settling"], steps).astype(np.float32)
            answers[name] = part * np.asarray(head["scale"]) + np.asarray(head["offset"])
        return answers

    def named(self, answers: dict[str, np.ndarray], to_sensor: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
        """Answers in JSON's terms, as snnface run writes them: likeliest action units, expression, landmarks."""
        row: dict[str, Any] = {}
        if names := self._classes("au", answers):
            logits, p = answers["au"], softmax(answers["au"])
            row["au"] = [
                {**names[i], "logit": _short(logits[i]), "p": _short(p[i])}
                for i in np.argsort(-logits, kind="stable")[:TOP_AUS]
            ]
        if names := self._classes("expression", answers):
            p = softmax(answers["expression"])
            row["expression"] = names[int(p.argmax())]
            row["expression_p"] = {name: _short(value) for name, value in zip(names, p, strict=True)}
        if "landmarks" in answers and self.heads["landmarks"].get("points"):
            points = to_sensor(answers["landmarks"].reshape(-1, 2).astype(np.float64))
            row["landmarks"] = np.round(points, 2).tolist()
        return row

    def _classes(self, name: str, answers: dict[str, np.ndarray]) -> list[Any]:
        return self.heads[name].get("classes", []) if name in answers else []


def _settled(settling: dict[str, Any], steps: int) -> np.ndarray:
    """What membranes are divided by after n steps: prior + (1 − prior)·r, r the part of a constant input that has
    arrived: r = 1 − βⁿ − (1 − β)·α·(αⁿ − βⁿ)/(α − β)."""
    alpha, beta = (np.atleast_1d(np.asarray(settling[n], np.float64)) for n in ("alpha", "beta"))
    apart = np.abs(alpha - beta) > 1e-6
    difference = np.where(apart, alpha - beta, 1.0)
    slope = np.where(apart, (alpha**steps - beta**steps) / difference, steps * beta ** (steps - 1))
    reached = 1 - beta**steps - (1 - beta) * alpha * slope
    return settling["prior"] + (1 - settling["prior"]) * reached


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits ``[K]``."""
    e = np.exp(logits - logits.max())
    return e / e.sum()


def _short(value: float) -> float:
    return round(float(value), 5)

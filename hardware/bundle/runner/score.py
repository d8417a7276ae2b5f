"""Accuracy on a labelled data set, measured as ``snnface eval`` does."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .answers import Heads
from .files import Problem, verify
from .play import Player, open_network
from .recording import Recording

SPLITS = ("train", "validation", "test")
#: Outer eye corners among 68 landmarks: errors are divided by their distance.
_EYES = 36, 45


def score(folder: Path, options: Namespace) -> dict[str, Any]:
    """The command ``score``: action units, expressions and landmarks of a data set's clips."""
    verify(folder)
    network = open_network(folder, options.input)
    heads = Heads(folder, network.manifest)
    try:
        with h5py.File(options.data, "r") as file:
            chosen = np.flatnonzero(file["split"][()] == SPLITS.index(options.split))[: options.clips]
            au, expression, offsets = (file[name][()] for name in ("au", "expression", "frame_offsets"))
            frames = [slice(*offsets[i : i + 2]) for i in chosen]
            times = [file["frame_t_us"][rows] for rows in frames]
            truth = [file["landmarks"][rows] for rows in frames]
    except (OSError, KeyError) as e:
        raise Problem(options.data, f"is not a readable data set ({e})", "Make one with snnface synth") from e
    if not len(chosen):
        raise Problem(options.data, f"has no {options.split} clips", "Choose another --split")
    hits: dict[str, list[bool]] = {}
    errors: list[np.ndarray] = []
    seconds = recorded = 0.0
    for clip, t_us, points in zip(chosen, times, truth, strict=True):
        player = Player(network, Recording(options.data, int(clip)))
        _, height, width = network.input_shape
        if (player.recording.width, player.recording.height) != (width, height):
            raise Problem(options.data, f"is not of the network's {width}x{height} pixels", "Convert it first")
        steps = [s.membranes for s in player.steps(to_the_end=True)]
        answers = [heads.decode(m, k + 1) for k, m in enumerate(steps)]
        seconds, recorded = seconds + sum(player.seconds), recorded + len(steps) * player.step_us / 1e6
        labels = {"au": _au_class(heads, int(au[clip])), "expression": int(expression[clip])}
        for name, label in labels.items():
            if label >= 0 and name in answers[0]:
                order = np.argsort(-np.mean([a[name] for a in answers], axis=0), kind="stable")
                for k in (1, 3, 5):
                    hits.setdefault(f"{name}_top{k}", []).append(label in order[:k])
        if "landmarks" in answers[0] and answers[0]["landmarks"].size == points[0].size:
            at = np.clip(t_us // player.step_us - 1, 0, len(steps) - 1)
            found = np.stack([answers[k]["landmarks"] for k in at]).reshape(points.shape)
            eyes = np.linalg.norm(points[:, _EYES[0]] - points[:, _EYES[1]], axis=1).clip(1)
            errors.append((np.linalg.norm(found - points, axis=2) / eyes[:, None]).mean(1))
    answer: dict[str, Any] = {name: float(np.mean(hit)) for name, hit in hits.items() if name[:2] == "au"}
    if "expression_top1" in hits:
        answer["expression_acc"] = float(np.mean(hits["expression_top1"]))
    if errors:
        answer["nme"] = float(np.concatenate(errors).mean())
    return answer | {"clips": len(chosen), "real_time_factor": recorded / seconds}


def _au_class(heads: Heads, au: int) -> int:
    """Index of an action unit among the head's classes, −1 where it has none."""
    classes = [c["au"] for c in heads.heads.get("au", {}).get("classes", [])]
    return classes.index(au) if au in classes else -1

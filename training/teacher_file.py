"""The teacher's file: what it says of each training clip, as recorded and mirrored, and of which data set."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from snnface.errors import InputError
from snnface.files import atomic_path
from snnface.training.clips import Clips, TeacherPredictions

SIDES = ("recorded", "mirrored")


def write_predictions(
    path: str | Path, clips: Clips, data_sha256: str, said: list[list[tuple[Tensor, Tensor, Tensor]]]
) -> None:
    """Write what a teacher says of some clips (safetensors).

    ``said[side][clip]``: frames ``[F, K + 136]`` (coefficients, then landmarks in pixels), ``au [24]`` and
    ``expression [7]`` logits.
    """
    tensors = {
        "clips": torch.as_tensor(clips.numbers),
        "counts": torch.tensor([len(t) for t in clips.frame_t_us]),
    }
    for side, answers in zip(SIDES, said, strict=True):
        frames, au, expression = zip(*answers, strict=True)
        tensors |= {
            f"{side}.frames": torch.cat(frames),
            f"{side}.au": torch.stack(au),
            f"{side}.expression": torch.stack(expression),
        }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"data_sha256": data_sha256})


def load_predictions(path: str | Path, clips: Clips, data_sha256: str) -> TeacherPredictions:
    """The teacher's word on some training clips; raises :class:`InputError` where it was written for other data."""
    try:
        with safe_open(path, "pt") as content:
            metadata = content.metadata() or {}
            tensors = {k: content.get_tensor(k) for k in content.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as e:
        raise InputError(path, f"is no teacher file ({e})", "Write it with the teacher's training") from e
    if metadata.get("data_sha256") != data_sha256:
        raise InputError(path, "was written for another data set", "Train the teacher on this data set")
    position = {int(n): i for i, n in enumerate(tensors["clips"])}
    wanted = [position[int(n)] for n in clips.numbers]
    counts = tensors["counts"].tolist()

    def sides(part: str) -> tuple[list[Tensor], list[Tensor]]:
        found = []
        for side in SIDES:
            if part in ("au", "expression"):
                found.append(list(tensors[f"{side}.{part}"][wanted]))
                continue
            frames = tensors[f"{side}.frames"].split(counts)
            columns = slice(-136, None) if part == "landmarks" else slice(None, -136)
            chosen = [frames[i][:, columns] for i in wanted]
            found.append([f.unflatten(1, (68, 2)) for f in chosen] if part == "landmarks" else chosen)
        return found[0], found[1]

    return TeacherPredictions(sides("coefficients"), sides("landmarks"), sides("au"), sides("expression"))

"""The RGB teacher: pictures in, face coefficients, landmarks and classes out; it guides the spiking student.

It sees every picture beside the clip's first, in which the face is at rest: what a person looks like comes from
there, what the person does from the difference (FACEMORPHIC fits its identity model to the first frame too). It is
trained on the RGB frames of the training people and tells the student, for each of their clips, what it
reads from the pixels: the student never sees a stored coefficient, and at run time it sees events only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.facs import AUS, EXPRESSIONS, coefficient_mirror
from snnface.files import atomic_path
from snnface.memory import freed_memory_kept
from snnface.progress import bar, track
from snnface.training.augment import Change, draw, mirror_au
from snnface.training.clips import Clips, TeacherPredictions
from snnface.training.recipe import Augment

#: The teacher looks at every third RGB frame (10 a second); its answers per frame are for all frames.
STRIDE = 3
#: It looks at pictures of at most this many pixels a side.
PIXELS = 64


class Teacher(nn.Module):
    """A CNN a frame, and a GRU over frames for the classes of a clip."""

    scale: Tensor
    offset: Tensor

    def __init__(self, coefficients: int, height: int, width: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(coefficients + 136))
        self.register_buffer("offset", torch.zeros(coefficients + 136))
        stages: list[nn.Module] = []
        channels = 6
        for out, kernel in ((24, 5), (48, 3), (96, 3), (128, 3)):
            stages += [nn.Conv2d(channels, out, kernel, 2, kernel // 2, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels, height, width = out, (height + 1) // 2, (width + 1) // 2
        self.conv = nn.Sequential(*stages, nn.Flatten(), nn.Linear(128 * height * width, 256), nn.ReLU())
        self.frame = nn.Linear(256, coefficients + 136)
        self.time = nn.GRU(256 + coefficients + 136, 128)
        self.classes = nn.Linear(128, len(AUS) + len(EXPRESSIONS))

    def frames(self, pictures: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures ``[F, 3, H, W]`` (0-255) and, for each, its clip's first one → features ``[F, 256]`` and
        standardised answers ``[F, K + 136]``."""
        x, rest = (_normalised(p) for p in (pictures, first))
        pair = torch.cat([x, 2 * (x - rest)], 1).contiguous(memory_format=torch.channels_last)
        features = self.conv(pair)
        return features, self.frame(features)

    def clip(self, features: Tensor, answers: Tensor, counts: list[int]) -> tuple[Tensor, Tensor]:
        """Class logits ``[B, 24]``, ``[B, 7]`` of clips whose frames are concatenated, ``counts`` frames each."""
        sequence = torch.cat([features, answers], 1).split(counts)
        hidden = self.time(nn.utils.rnn.pad_sequence(list(sequence)))[0]
        logits = self.classes(hidden)
        inside = torch.arange(len(logits))[:, None] < torch.tensor(counts)[None]
        mean = (logits * inside[..., None]).sum(0) / inside.sum(0)[:, None]
        au, expression = mean.split([len(AUS), len(EXPRESSIONS)], dim=1)
        return au, expression


def _normalised(pictures: Tensor) -> Tensor:
    """``[F, 3, H, W]`` (0-255) without overall brightness and contrast."""
    x = pictures.float() / 255
    x = x - x.mean(dim=(1, 2, 3), keepdim=True)
    return x / x.std(dim=(1, 2, 3), keepdim=True).clamp(min=0.02)


def train_teacher(
    data: str | Path, out: str | Path, epochs: int = 12, lr: float = 2e-3, batch: int = 16, seed: int = 0
) -> dict[str, Any]:
    """Train a teacher on the training people's RGB and write what it says of their clips to ``out``.

    ``out`` (safetensors) holds predictions only: per frame coefficients and landmarks, per clip class logits, of
    the pictures as recorded and mirrored. Returns the errors on the validation people (coefficients as a fraction
    of their variance, landmarks as root mean square in pixels, class accuracies).
    """
    store = Store(data)
    clips, validation = Clips(data, "train"), Clips(data, "validation")
    pictures = [_pictures(store, int(i)) for i in track(clips.numbers, "teacher: read RGB")]
    truth = [_truth(store, clips, i) for i in range(len(clips))]
    torch.manual_seed(seed)
    coefficients = truth[0].shape[1] - 136
    teacher = Teacher(coefficients, *pictures[0].shape[2:])
    mirror = _mirror(store, coefficients)
    labels = torch.cat(truth)
    if mirror is not None:
        flipped = Change(torch.tensor([True]), torch.eye(2)[None], torch.zeros(1, 2), clips.width, clips.height)
        labels = torch.cat([labels, _changed(labels, flipped, 0, mirror)])
    spread = labels.std(0)
    # What never moves in training has no unit of its own.
    teacher.scale.copy_(torch.where(spread > 1e-3, spread, 1.0))
    teacher.offset.copy_(labels.mean(0))
    changes = Augment(flip=mirror is not None)
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=lr, weight_decay=1e-3)
    per_epoch = -(-len(clips) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * per_epoch)
    with freed_memory_kept(), bar() as display:
        task = display.add_task("teacher: train", total=epochs * per_epoch)
        for epoch in range(epochs):
            rng = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
            for indices in clips.order(seed, epoch, batch):
                change = draw(len(indices), clips.width, clips.height, changes, rng)
                shown, rest, wanted = [], [], []
                for b, i in enumerate(indices):
                    first = int(torch.randint(STRIDE, (1,), generator=rng))
                    seen = change.pictures(torch.cat([pictures[i][:1], pictures[i][first::STRIDE]]).float(), b)
                    shown.append(seen[1:])
                    rest.append(seen[:1].expand_as(seen[1:]))
                    wanted.append(_changed(truth[i][first::STRIDE], change, b, mirror))
                features, answers = teacher.frames(torch.cat(shown), torch.cat(rest))
                standard = (torch.cat(wanted) - teacher.offset) / teacher.scale
                au, expression = teacher.clip(features, answers, [len(part) for part in wanted])
                loss = (answers - standard).square().mean()
                labelled = (au, mirror_au(clips.au[indices], change.flip)), (expression, clips.expression[indices])
                for logits, label in labelled:
                    if (label >= 0).any():
                        loss = loss + 0.5 * F.cross_entropy(logits, label, ignore_index=-1)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(teacher.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                display.advance(task)
    teacher.eval()
    _write_predictions(out, teacher, store, clips, pictures)
    return _check(teacher, store, validation)


def _pictures(store: Store, clip: int) -> Tensor:
    """uint8 ``[F, 3, H, W]`` of a clip, at most :data:`PIXELS` a side."""
    rgb = store.rgb(clip)
    if rgb is None:
        raise InputError(store.path, "has no RGB frames", "Make the data set with --rgb")
    pictures = torch.as_tensor(rgb).permute(0, 3, 1, 2)
    sides = pictures.shape[2:]
    if max(sides) > PIXELS:
        height, width = (round(side * PIXELS / max(sides)) for side in sides)
        pictures = F.interpolate(pictures.float(), (height, width), mode="area").round().to(torch.uint8)
    return pictures.contiguous()


def _truth(store: Store, clips: Clips, i: int) -> Tensor:
    """Labels of a training clip's frames ``[F, K + 136]``: coefficients, then landmarks in pixels."""
    coefficients = torch.as_tensor(store.frames(int(clips.numbers[i]))["coefficients"].astype(np.float32))
    return torch.cat([coefficients, clips.landmarks[i].flatten(1)], 1)


def _mirror(store: Store, coefficients: int) -> tuple[list[int], Tensor] | None:
    """Index and sign of the coefficients in the mirror; None where the data set does not name them."""
    names = store.generator.get("coefficients", [])
    if len(names) != coefficients:
        return None
    index, sign = coefficient_mirror(names)
    return index, torch.tensor(sign)


def _changed(truth: Tensor, change: Change, clip: int, mirror: tuple[list[int], Tensor] | None) -> Tensor:
    """Labels ``[F, K + 136]`` of a clip's frames after the change."""
    coefficients, landmarks = truth[:, :-136], truth[:, -136:].unflatten(1, (68, 2))
    if mirror is not None and change.flip[clip]:
        coefficients = coefficients[:, mirror[0]] * mirror[1]
    landmarks = change.moved(change.mirrored(landmarks, clip), clip)
    return torch.cat([coefficients, landmarks.flatten(1)], 1)


@torch.no_grad()
def _look(teacher: Teacher, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All frames of one clip → answers ``[F, K + 136]`` in units, AU and expression logits (mean over phases)."""
    features, answers = teacher.frames(pictures, pictures[:1].expand_as(pictures))
    phases = [slice(p, None, STRIDE) for p in range(min(STRIDE, len(pictures)))]
    logits = [teacher.clip(features[s], answers[s], [len(answers[s])]) for s in phases]
    au, expression = (torch.cat(part).mean(0) for part in zip(*logits, strict=True))
    return answers * teacher.scale + teacher.offset, au, expression


def _write_predictions(out: str | Path, teacher: Teacher, store: Store, clips: Clips, pictures: list[Tensor]) -> None:
    said: dict[str, list[Tensor]] = {
        f"{side}.{part}": [] for side in ("recorded", "mirrored") for part in ("frames", "au", "expression")
    }
    for seen in track(pictures, "teacher: answer"):
        for side, shown in (("recorded", seen), ("mirrored", seen.flip(3))):
            for part, value in zip(("frames", "au", "expression"), _look(teacher, shown), strict=True):
                said[f"{side}.{part}"].append(value)
    tensors = {name: (torch.cat if name.endswith("frames") else torch.stack)(parts) for name, parts in said.items()}
    metadata = {"data_sha256": store.content_sha256()}
    tensors["clips"] = torch.as_tensor(clips.numbers)
    tensors["counts"] = torch.tensor([len(t) for t in clips.frame_t_us])
    with atomic_path(out) as temporary:
        save_file(tensors, temporary, metadata=metadata)


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
        for name in ("recorded", "mirrored"):
            if part in ("au", "expression"):
                found.append(list(tensors[f"{name}.{part}"][wanted]))
                continue
            frames = tensors[f"{name}.frames"].split(counts)
            columns = slice(-136, None) if part == "landmarks" else slice(None, -136)
            chosen = [frames[i][:, columns] for i in wanted]
            found.append([f.unflatten(1, (68, 2)) for f in chosen] if part == "landmarks" else chosen)
        return found[0], found[1]

    return TeacherPredictions(sides("coefficients"), sides("landmarks"), sides("au"), sides("expression"))


def _check(teacher: Teacher, store: Store, validation: Clips) -> dict[str, Any]:
    """Errors on the validation people."""
    error, landmark = [], []
    hits: dict[str, list[float]] = {"au": [], "expression": []}
    for i in range(len(validation)):
        frames, au, expression = _look(teacher, _pictures(store, int(validation.numbers[i])))
        truth = _truth(store, validation, i)
        error.append(((frames - truth) / teacher.scale)[:, :-136].square().mean(0))
        landmark.append((frames - truth)[:, -136:].square().mean())
        for name, logits in (("au", au), ("expression", expression)):
            label = int(getattr(validation, name)[i])
            if label >= 0:
                hits[name].append(float(logits.argmax() == label))
    return {
        "coefficient_error": float(torch.stack(error).mean()),
        "landmark_rms_pixels": float(torch.stack(landmark).mean().sqrt()),
        "au_top1": float(np.mean(hits["au"])) if hits["au"] else None,
        "expression_acc": float(np.mean(hits["expression"])) if hits["expression"] else None,
    }

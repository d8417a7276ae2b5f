"""The RGB teacher's training; it guides the spiking student.

It sees every picture beside the clip's first, in which the face is at rest: what a person looks like comes from
there, what the person does from the difference (FACEMORPHIC fits its identity model to the first frame too). It is
trained on the RGB frames of the training people and tells the student, for each of their clips, what it
reads from the pixels: the student never sees a stored coefficient, and at run time it sees events only.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.facs import AUS, EXPRESSIONS, coefficient_mirror
from snnface.memory import freed_memory_kept
from snnface.progress import bar, track
from snnface.training.augment import Change, draw, mirror_au
from snnface.training.clips import Clips
from snnface.training.recipe import Augment
from snnface.training.teacher_file import write_predictions
from snnface.training.teacher_network import Teacher

#: The teacher looks at every fourth RGB frame (7.5 a second); its answers per frame are for all frames.
STRIDE = 4
#: It looks at pictures of at most this many pixels a side.
PIXELS = 64

#: Names of the classes, in the order of the answers.
_CLASSES = {"au": [f"AU{au}" for au in AUS], "expression": list(EXPRESSIONS)}

#: Index and sign of each coefficient in the mirror; None where the data set does not name its coefficients.
Mirror = tuple[list[int], Tensor] | None


def train_teacher(
    data: str | Path,
    out: str | Path,
    epochs: int = 12,
    lr: float = 2e-3,
    batch: int = 16,
    seed: int = 0,
    also: Sequence[tuple[str | Path, str]] = (),
) -> dict[str, Any]:
    """Train a teacher on the training people's RGB and write what it says of their clips to ``out``.

    In every pass each clip's pictures are flipped (where its coefficients have names, so that their mirror is known),
    turned, scaled and shifted anew, and the labels with them, as the student's events are. ``out`` (safetensors)
    holds predictions only: per frame coefficients and landmarks, per clip class logits, of the pictures as recorded
    and mirrored. Returns the errors on the validation people (coefficients as a fraction of their variance, landmarks
    as root mean square in pixels, class accuracies).

    ``also``: other data sets and a split of each, whose clips the trained teacher classifies (``also`` of the answer,
    :func:`_elsewhere`): how well what one kind of face shows is recognised on another.

    Raises
    ------
    InputError: a data set has no RGB frames, or one cannot be read.
    """
    store, elsewhere = Store(data), [(Store(path), Clips(path, split)) for path, split in also]
    clips, validation = Clips(data, "train"), Clips(data, "validation")
    pictures = _side_by_side(functools.partial(_pictures, store), clips.numbers.tolist(), "teacher: read RGB")
    truth = [_truth(store, clips, i) for i in range(len(clips))]
    coefficients = truth[0].shape[1] - 136
    shown = _Shown(clips, pictures, truth, _mirror(store, coefficients))
    torch.manual_seed(seed)
    teacher = Teacher(coefficients, *pictures[0].shape[2:])
    _set_units(teacher, shown)
    changes = Augment(flip=shown.mirror is not None)
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=lr, weight_decay=1e-3, fused=True)
    per_epoch = -(-len(clips) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * per_epoch)
    with freed_memory_kept(), bar() as display:
        task = display.add_task("teacher: train", total=epochs * per_epoch)
        for epoch in range(epochs):
            generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
            for indices in clips.order(seed, epoch, batch):
                change = draw(len(indices), clips.width, clips.height, changes, generator)
                loss = _loss(teacher, shown, indices, change, generator)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(teacher.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                display.advance(task)
    teacher.eval()

    def said(mirrored: bool) -> list[tuple[Tensor, Tensor, Tensor]]:
        look = functools.partial(_look, teacher, mirrored=mirrored)
        return _side_by_side(look, pictures, "teacher: answer")

    write_predictions(out, clips, store.content_sha256(), [said(mirrored) for mirrored in (False, True)])
    known = {name: torch.unique(labels[labels >= 0]) for name, labels in _labels(clips).items()}
    found = [_elsewhere(teacher, *other, known) for other in elsewhere]
    return _check(teacher, store, validation) | ({"also": found} if found else {})


def _side_by_side(work: Callable[[Any], Any], clips: Sequence[Any], label: str) -> list[Any]:
    """``work`` of each clip, as many at once as torch has threads: one clip is too little to be shared out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            found: Any = pool.map(work, clips)
            with closing(found):  # what has not begun is left where something goes wrong
                return list(track(found, label, len(clips)))
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class _Shown:
    """The training clips, and of each clip its pictures (uint8 ``[F, 3, H, W]``) and labels (``[F, K + 136]``)."""

    clips: Clips
    pictures: list[Tensor]
    truth: list[Tensor]
    mirror: Mirror


def _set_units(teacher: Teacher, shown: _Shown) -> None:
    """Mean and spread of all labels, mirrored ones too where they are shown, as the units of the answers."""
    labels = torch.cat(shown.truth)
    if shown.mirror is not None:
        width, height = shown.clips.width, shown.clips.height
        flipped = Change(torch.tensor([True]), torch.eye(2)[None], torch.zeros(1, 2), width, height)
        labels = torch.cat([labels, _changed(labels, flipped, 0, shown.mirror)])
    spread = labels.std(0)
    # What never moves in training has no unit of its own.
    teacher.scale.copy_(torch.where(spread > 1e-3, spread, 1.0))
    teacher.offset.copy_(labels.mean(0))


def _loss(teacher: Teacher, shown: _Shown, indices: list[int], change: Change, generator: torch.Generator) -> Tensor:
    """Squared error of coefficients and landmarks, and cross-entropy of the classes, on some changed clips."""
    pictures, first, wanted = [], [], []
    for b, i in enumerate(indices):
        recorded = shown.pictures[i]
        phase = int(torch.randint(min(STRIDE, len(recorded)), (1,), generator=generator))
        seen = change.pictures(torch.cat([recorded[:1], recorded[phase::STRIDE]]).float(), b)
        first.append(seen[:1])
        pictures.append(seen[1:])
        wanted.append(_changed(shown.truth[i][phase::STRIDE], change, b, shown.mirror))
    counts = [len(part) for part in wanted]
    clip = torch.repeat_interleave(torch.tensor(counts))
    features, answers = teacher.frames(torch.cat(pictures), torch.cat(first), clip)
    loss = (answers - (torch.cat(wanted) - teacher.offset) / teacher.scale).square().mean()
    au, expression = teacher.clips(features, answers, counts)
    clips = shown.clips
    for logits, label in ((au, mirror_au(clips.au[indices], change.flip)), (expression, clips.expression[indices])):
        if (label >= 0).any():
            loss = loss + 0.5 * F.cross_entropy(logits, label, ignore_index=-1)
    return loss


def _pictures(store: Store, clip: int) -> Tensor:
    """uint8 ``[F, 3, H, W]`` of a clip, at most :data:`PIXELS` a side."""
    encoded = store.encoded_rgb(clip)
    if not encoded:
        raise InputError(store.path, "has no RGB frames", "Make the data set with --rgb")
    try:
        pictures = [_small(picture) for picture in encoded]
    except (OSError, ValueError, SyntaxError) as e:
        raise InputError(store.path, f"rgb of clip {clip} cannot be decoded ({e})", "Make the data set again") from e
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def _small(encoded: bytes) -> np.ndarray:
    """A picture uint8 ``[H, W, 3]``; a JPEG is decoded no larger than it is wanted."""
    picture = Image.open(io.BytesIO(encoded))
    picture.thumbnail((PIXELS, PIXELS), Image.Resampling.BOX, reducing_gap=1.0)
    return np.asarray(picture.convert("RGB"))


def _truth(store: Store, clips: Clips, i: int) -> Tensor:
    """Labels of a training clip's frames ``[F, K + 136]``: coefficients, then landmarks in pixels."""
    coefficients = torch.as_tensor(store.frames(int(clips.numbers[i]))["coefficients"].astype(np.float32))
    return torch.cat([coefficients, clips.landmarks[i].flatten(1)], 1)


def _mirror(store: Store, coefficients: int) -> Mirror:
    names = store.generator.get("coefficients", [])
    if len(names) != coefficients:
        return None
    index, sign = coefficient_mirror(names)
    return index, torch.tensor(sign)


def _changed(truth: Tensor, change: Change, clip: int, mirror: Mirror) -> Tensor:
    """Labels ``[F, K + 136]`` of a clip's frames after the change."""
    coefficients, landmarks = truth[:, :-136], truth[:, -136:].unflatten(1, (68, 2))
    if mirror is not None and change.flip[clip]:
        coefficients = coefficients[:, mirror[0]] * mirror[1]
    landmarks = change.moved(change.mirrored(landmarks, clip), clip)
    return torch.cat([coefficients, landmarks.flatten(1)], 1)


@torch.no_grad()
def _look(teacher: Teacher, pictures: Tensor, mirrored: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """All frames of one clip, as recorded or ``mirrored`` → answers ``[F, K + 136]`` in units, AU and expression
    logits (mean over phases)."""
    pictures = pictures.flip(3) if mirrored else pictures
    features, answers = teacher.frames(pictures, pictures[:1], torch.zeros(len(pictures), dtype=torch.int64))
    phases = [slice(p, None, STRIDE) for p in range(min(STRIDE, len(pictures)))]
    order = torch.cat([torch.arange(len(pictures))[phase] for phase in phases])
    counts = [len(answers[phase]) for phase in phases]
    au, expression = (logits.mean(0) for logits in teacher.clips(features[order], answers[order], counts))
    return answers * teacher.scale + teacher.offset, au, expression


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


def _elsewhere(teacher: Teacher, store: Store, clips: Clips, known: dict[str, Tensor]) -> dict[str, Any]:
    """Accuracy on clips of another data set, among the classes that occur in both (``known``: those of the training).

    Coefficients are another face's and landmarks may be of another size, so that classes alone are compared.
    """
    found: dict[str, Any] = {"data": str(store.path)}
    logits = [_look(teacher, _pictures(store, int(i)))[1:] for i in track(clips.numbers, "teacher: other faces")]
    for number, (name, labels) in enumerate(_labels(clips).items()):
        common = known[name][torch.isin(known[name], labels)]
        asked = torch.isin(labels, common).nonzero()[:, 0]
        if not len(asked):
            continue
        answers = torch.stack([logits[i][number] for i in asked.tolist()])[:, common].argmax(1)
        hits = (common[answers] == labels[asked]).float()
        found[name] = {
            "clips": len(asked),
            "classes": len(common),
            "top1": float(hits.mean()),
            "per_class": {_CLASSES[name][int(k)]: float(hits[labels[asked] == k].mean()) for k in common},
        }
    return found


def _labels(clips: Clips) -> dict[str, Tensor]:
    return {"au": clips.au, "expression": clips.expression}

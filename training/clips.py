"""Clips of one split in memory, as ragged batches with targets, in an order that depends on seed and epoch only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from snnface.batch import EventBatch, collate_events
from snnface.datasets.store import Store
from snnface.errors import InputError
from snnface.facs import AU_INDEX
from snnface.training.augment import augment, mirror_au
from snnface.training.recipe import Augment

SPLITS = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True)
class Targets:
    """Labels of B clips with F frames in all.

    ``au``, ``expression``: int64 ``[B]`` class indices, −1 where unlabelled. Per frame: ``frame_clip`` int64 ``[F]``,
    ``frame_t_us`` int64 ``[F]``, ``landmarks`` float ``[F, 68, 2]`` pixels. From the teacher, where there is one:
    ``coefficients [F, K]``, ``teacher_landmarks [F, 68, 2]``, ``soft_au [B, 24]``, ``soft_expression [B, 7]`` .
    """

    au: Tensor
    expression: Tensor
    frame_clip: Tensor
    frame_t_us: Tensor
    landmarks: Tensor
    coefficients: Tensor | None = None
    teacher_landmarks: Tensor | None = None
    soft_au: Tensor | None = None
    soft_expression: Tensor | None = None


class Clips:
    """The clips of one split of a data set, events in memory."""

    def __init__(self, path: str | Path, split: str, limit: int | None = None) -> None:
        store = Store(path)
        chosen = np.flatnonzero(store.split == SPLITS[split])
        if limit is not None and limit < len(chosen):
            chosen = np.sort(np.random.default_rng(0).permutation(chosen)[:limit])
        if len(chosen) == 0:
            raise InputError(path, f"has no {split} clips", "Make a data set with more identities")
        self.path, self.numbers = Path(path), chosen
        self.width, self.height = store.width, store.height
        self.events = [store.events(int(i)) for i in chosen]
        self.duration_us = store.duration_us[chosen].astype(np.int64)
        self.identity = store.identity[chosen]
        self.au = torch.tensor([AU_INDEX.get(int(a), -1) for a in store.au[chosen]])
        self.expression = torch.as_tensor(store.expression[chosen].astype(np.int64))
        frames = [store.frames(int(i), ("frame_t_us", "landmarks")) for i in chosen]
        self.frame_t_us = [torch.as_tensor(f["frame_t_us"].astype(np.int64)) for f in frames]
        self.landmarks = [torch.as_tensor(f["landmarks"].astype(np.float32)) for f in frames]

    def __len__(self) -> int:
        return len(self.numbers)

    def events_batch(self, indices: list[int]) -> EventBatch:
        """The events of some clips."""
        return collate_events(
            [self.events[i] for i in indices], [int(self.duration_us[i]) for i in indices], self.width, self.height
        )

    def batch(
        self,
        indices: list[int],
        settings: Augment | None = None,
        generator: torch.Generator | None = None,
        teacher: TeacherPredictions | None = None,
    ) -> tuple[EventBatch, Targets]:
        """Some clips with their targets, changed by ``settings`` where given."""
        events = self.events_batch(indices)
        change = None
        if settings is not None and generator is not None:
            events, change = augment(events, settings, generator)
        flip = change.flip if change else torch.zeros(len(indices), dtype=torch.bool)
        counts = torch.tensor([len(self.frame_t_us[i]) for i in indices])
        landmarks = [self.landmarks[i] for i in indices]
        if change:
            landmarks = [change.moved(change.mirrored(x, b), b) for b, x in enumerate(landmarks)]
        targets = Targets(
            au=mirror_au(self.au[indices], flip),
            expression=self.expression[indices],
            frame_clip=torch.repeat_interleave(torch.arange(len(indices)), counts),
            frame_t_us=torch.cat([self.frame_t_us[i] for i in indices]),
            landmarks=torch.cat(landmarks),
        )
        if teacher is None:
            return events, targets
        sides = list(zip(flip.long().tolist(), indices, strict=True))
        # The teacher has seen the mirrored pictures themselves.
        landmarks = [teacher.landmarks[s][i] for s, i in sides]
        if change:
            landmarks = [change.moved(x, b) for b, x in enumerate(landmarks)]
        return events, Targets(
            **vars(targets)
            | {
                "coefficients": torch.cat([teacher.coefficients[s][i] for s, i in sides]),
                "teacher_landmarks": torch.cat(landmarks),
                "soft_au": torch.stack([teacher.au[s][i] for s, i in sides]),
                "soft_expression": torch.stack([teacher.expression[s][i] for s, i in sides]),
            }
        )

    def order(self, seed: int, epoch: int, batch: int) -> Iterator[list[int]]:
        """Batches of clip indices for one pass, shuffled by seed and epoch."""
        order = np.random.default_rng([seed, epoch]).permutation(len(self)).tolist()
        for start in range(0, len(order), batch):
            yield order[start : start + batch]

    def in_order(self, batch: int) -> Iterator[list[int]]:
        """Batches of clip indices as stored, for evaluation."""
        for start in range(0, len(self), batch):
            yield list(range(start, min(start + batch, len(self))))


@dataclass(frozen=True)
class TeacherPredictions:
    """What the RGB teacher says of each clip (list over clips); index 0 as recorded, 1 of the mirrored pictures.

    ``coefficients[side][clip]``: ``[F, K]``; ``landmarks``: ``[F, 68, 2]`` pixels; ``au [24]``, ``expression [7]``.
    """

    coefficients: tuple[list[Tensor], list[Tensor]]
    landmarks: tuple[list[Tensor], list[Tensor]]
    au: tuple[list[Tensor], list[Tensor]]
    expression: tuple[list[Tensor], list[Tensor]]

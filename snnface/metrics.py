"""Measures of the three tasks. Accuracies come from torchmetrics; the landmark error is ours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_confusion_matrix

from snnface.facs import AU_INDEX, AUS, EXPRESSIONS

#: Outer corners of the two eyes in the 68-point iBUG scheme: the inter-ocular distance.
OUTER_EYES_68 = (36, 45)


def normalised_errors(predicted: Tensor, truth: Tensor) -> Tensor:
    """Error of every landmark ``[F, L]``: Euclidean distance over the inter-ocular distance (68 points: 36-45).

    ``predicted``, ``truth``: ``[F, 68, 2]`` pixels. The distance between the outer eye corners is taken in the
    picture, so a turned head has a smaller one; frames where it is below 1 pixel are not expected.
    """
    left, right = OUTER_EYES_68
    ocular = (truth[:, left] - truth[:, right]).norm(dim=-1).clamp(min=1.0)
    return (predicted - truth).norm(dim=-1) / ocular[:, None]


class LandmarkError(Metric):
    """Normalised mean error over frames, failure rate and area under the error curve.

    ``compute()``: ``nme`` (mean over frames of the mean landmark error), ``fr10`` (fraction of frames with an
    error above 0.10) and ``auc10`` (area under the cumulative error distribution of frames up to 0.10, 0-1).
    """

    full_state_update = False
    errors: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("errors", default=[], dist_reduce_fx="cat")

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Add frames: ``[F, 68, 2]`` pixels each."""
        self.errors.append(normalised_errors(predicted, truth).mean(dim=1))

    def compute(self) -> dict[str, float]:
        """The three figures over all frames so far."""
        error = torch.cat(list(self.errors))
        return {
            "nme": float(error.mean()),
            "fr10": float((error > 0.10).float().mean()),
            "auc10": float((1 - error / 0.10).clamp(min=0).mean()),
        }


def _right(logits: Tensor, labels: Tensor, top_k: int = 1) -> float:
    """Fraction of clips answered right, exactly: torchmetrics divides in single precision."""
    accuracy = multiclass_accuracy(logits, labels, num_classes=logits.shape[1], average="micro", top_k=top_k)
    return round(float(accuracy) * len(labels)) / len(labels)


def au_metrics(logits: Tensor, labels: Tensor) -> dict[str, Any]:
    """Clip-level action units: logits ``[N, 24]``, labels ``[N]`` (class index, −1 unlabelled).

    Returns ``au_top1``, ``au_top3``, ``au_top5``, ``per_au`` (FACS number → accuracy, where there are clips) and
    ``au_confusion`` (rows truth, columns answer).
    """
    seen = labels >= 0
    if not seen.any():
        return {}
    logits, labels = logits[seen], labels[seen]
    classes = len(AUS)
    answer: dict[str, Any] = {f"au_top{k}": _right(logits, labels, k) for k in (1, 3, 5)}
    confusion = multiclass_confusion_matrix(logits, labels, num_classes=classes)
    answer["per_au"] = {
        str(au): float(confusion[i, i] / confusion[i].sum()) for au, i in AU_INDEX.items() if confusion[i].sum() > 0
    }
    answer["au_confusion"] = confusion.tolist()
    return answer


def expression_metrics(logits: Tensor, labels: Tensor) -> dict[str, Any]:
    """Clip-level expressions: logits ``[N, 7]``, labels ``[N]``; ``expression_acc``, ``expression_confusion``."""
    seen = labels >= 0
    if not seen.any():
        return {}
    logits, labels = logits[seen], labels[seen]
    classes = len(EXPRESSIONS)
    return {
        "expression_acc": _right(logits, labels),
        "expression_confusion": multiclass_confusion_matrix(logits, labels, num_classes=classes).tolist(),
    }

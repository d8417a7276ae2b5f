"""Answers of a model on one split, and their measures, the same for every model and backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnface.batch import EventBatch
from snnface.counts import count
from snnface.forward import Trace
from snnface.heads import at_times, clip_logits
from snnface.metrics import LandmarkError, au_metrics, expression_metrics, normalised_errors
from snnface.network import Network
from snnface.progress import track
from snnface.training.clips import Clips

#: Events in, answers of every step (and the trace of a spiking network) out.
Predictor = Callable[[EventBatch], tuple[dict[str, Tensor], Trace | None]]


@dataclass(frozen=True)
class Answers:
    """Answers on N clips with F frames: ``au [N, 24]`` and ``expression [N, 7]`` logits, ``landmarks [F, 68, 2]``
    pixels with ``frame_clip`` int64 ``[F]``, ``spikes`` int64 ``[N, layers]``, ``rates`` per layer ``[layers]``,
    ``synops_per_s``: synaptic operations a second of recording (None where they were not counted)."""

    au: Tensor
    expression: Tensor
    landmarks: Tensor
    frame_clip: Tensor
    spikes: Tensor
    rates: list[float]
    synops_per_s: float | None = None


@torch.no_grad()
def answer(
    predict: Predictor,
    step_us: int,
    clips: Clips,
    batch: int = 16,
    label: str = "evaluate",
    network: Network | None = None,
) -> Answers:
    """Run a model over all clips, in the order in which they are stored; with its ``network``, count its work."""
    synops = 0
    au, expression, landmarks, spikes, cells = [], [], [], [], []
    for indices in track(list(clips.in_order(batch)), label):
        events, targets = clips.batch(indices)
        answers, trace = predict(events)
        steps = events.steps(step_us)
        au.append(clip_logits(answers["au"], steps))
        expression.append(clip_logits(answers["expression"], steps))
        at = at_times(answers["landmarks"], targets.frame_clip, targets.frame_t_us, step_us)
        landmarks.append(at.unflatten(1, (-1, 2)))
        if trace is not None:
            trace = trace.dense()
            inside = (torch.arange(len(trace.readout))[:, None] < steps[None]).float()
            per_layer = [(s.flatten(2).sum(2) * inside).sum(0) for s in trace.spikes]
            spikes.append(torch.stack(per_layer, 1).long())
            cells.append([float(inside.sum()) * s[0, 0].numel() for s in trace.spikes])
            if network is not None:
                synops += count(network, [(events, trace)]).total("synops")
    counts = torch.cat(spikes) if spikes else torch.zeros(len(clips), 0, dtype=torch.int64)
    totals = np.array(cells).sum(0) if cells else np.zeros(0)
    frames = torch.tensor([len(t) for t in clips.frame_t_us])
    return Answers(
        torch.cat(au),
        torch.cat(expression),
        torch.cat(landmarks),
        torch.repeat_interleave(torch.arange(len(clips)), frames),
        counts,
        (counts.sum(0).numpy() / totals).tolist() if len(totals) else [],
        None if network is None else synops / (float(clips.duration_us.sum()) * 1e-6),
    )


def measure(answers: Answers, clips: Clips, mean_shape: Tensor) -> dict[str, Any]:
    """The task metrics of INTERFACE's ``eval`` answer; ``mean_shape``: ``[68, 2]`` pixels, of the training frames."""
    result = au_metrics(answers.au, clips.au) | expression_metrics(answers.expression, clips.expression)
    truth = torch.cat(clips.landmarks)
    ours, mean = LandmarkError(), LandmarkError()
    ours.update(answers.landmarks, truth)
    mean.update(mean_shape.expand_as(truth), truth)
    result |= ours.compute()
    result |= {
        "nme_mean_shape": mean.compute()["nme"],
        "nme_normaliser": "inter-ocular: distance of the outer eye corners (36-45) in the picture",
        "landmark_scheme": "ibug68",
        "clips": len(clips),
        "identities": len(np.unique(clips.identity)),
    }
    if answers.spikes.shape[1]:
        result["spikes_per_clip"] = float(answers.spikes.sum(1).double().mean())
        result["spike_rates"] = answers.rates
    if answers.synops_per_s is not None:
        result["synops_per_s"] = answers.synops_per_s
    return result


def intervals(answers: Answers, clips: Clips, rounds: int = 1000, seed: int = 0) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals of ``au_top1``, ``au_top3``, ``expression_acc`` and ``nme``.

    People are drawn with replacement: identities, not clips, are the independent unit.
    """
    people, person = np.unique(clips.identity, return_inverse=True)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(people), np.full(len(people), 1 / len(people)), rounds)
    found = {}
    for key, (value, weight) in _per_clip(answers, clips).items():
        total, of = (times @ np.bincount(person, part) for part in (value, weight))
        if (of > 0).all():
            low, high = np.percentile(total / of, (2.5, 97.5))
            found[key] = (float(low), float(high))
    return found


def _per_clip(answers: Answers, clips: Clips) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What each clip adds to a measure's sum, and to what that sum is divided by, ``[N]`` each."""
    parts = {}
    for key, logits, labels, k in (
        ("au_top1", answers.au, clips.au, 1),
        ("au_top3", answers.au, clips.au, 3),
        ("expression_acc", answers.expression, clips.expression, 1),
    ):
        hit = (logits.topk(k).indices == labels[:, None]).any(1)  # -1, unlabelled, is no answer
        parts[key] = (hit.double().numpy(), (labels >= 0).double().numpy())
    error = normalised_errors(answers.landmarks, torch.cat(clips.landmarks)).mean(1).double()
    clip = answers.frame_clip.numpy()
    parts["nme"] = (np.bincount(clip, error, len(clips)), np.bincount(clip, minlength=len(clips)).astype(float))
    return parts

"""One span with its labels and answers, and the curves that are drawn of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from snnface.view.answers import Answers
from snnface.view.source import CLASSES, Labels, Source, Span

#: Most curves of true intensities and of answers, and the intensity from which an action is worth a curve.
TRUE_LANES, ANSWERED_LANES, LEAST = 5, 3, 0.1
#: Events are counted in pieces of this length, so that a long span needs no more memory than a short one.
_COUNTED_US = 1_000_000
#: Parts of a span among which the liveliest moment is looked for.
_PARTS = 1000


class Curve(NamedTuple):
    """Values in 0-1 at times: int64 ``[n]`` µs from the span's start, float ``[n]``."""

    t_us: np.ndarray
    values: np.ndarray


class Lane(NamedTuple):
    """One row of curves: what a label says, what a network answers, or both."""

    name: str
    truth: Curve | None
    answer: Curve | None


@dataclass(frozen=True)
class Look:
    """All that is drawn, but for the events themselves: those are read span by span from ``source``."""

    source: Source
    span: Span
    labels: Labels | None
    answers: Answers | None

    @property
    def heads(self) -> list[str]:
        """Heads whose answers are listed: those that the clip has a label for, or all where it has none."""
        if self.answers is None:
            return []
        labelled = self.labels.classes if self.labels else {}
        return [h for h in self.answers.odds if h in labelled] or list(self.answers.odds)

    def events(self, start_us: int, stop_us: int) -> np.ndarray:
        """Events with start < t ≤ stop µs from the span's start (structured, t from there)."""
        first = self.span.start_us
        events = self.source.events(first + start_us + 1, first + stop_us + 1).copy()
        events["t"] -= first
        return events

    @property
    def drawn(self) -> list[str]:
        """Whose landmarks and curves there are to draw: "truth", "answer"."""
        return [k for k, there in (("truth", self.labels), ("answer", self.answers)) if there is not None]

    def rate(self, bins: int) -> np.ndarray:
        """Number of OFF and of ON events in each of ``bins`` equal parts of the span, int64 ``[2, bins]``."""
        total, end = np.zeros(2 * bins, np.int64), self.span.duration_us
        for start in range(-1, end, _COUNTED_US):
            events = self.events(start, min(start + _COUNTED_US, end))
            part = np.minimum(events["t"] * bins // end, bins - 1)
            total += np.bincount(part + bins * events["p"].astype(np.int64), minlength=2 * bins)
        return total.reshape(2, bins)

    def liveliest(self, tau_us: float) -> int:
        """The moment (µs) at which most events are to be seen, each fading with ``tau_us``."""
        part = self.span.duration_us / _PARTS
        fading = np.exp(-np.arange(_PARTS) * part / tau_us)
        seen = np.convolve(self.rate(_PARTS).sum(0), fading)[:_PARTS]
        return round((int(seen.argmax()) + 1) * part)

    def frame(self, t_us: float) -> int:
        """Number of the labelled frame that is shown at a time."""
        return _latest(self.labels.t_us, t_us) if self.labels else 0

    def points(self, t_us: float) -> dict[str, np.ndarray]:
        """Landmarks at a time, float ``[L, 2]`` in event pixels: "truth" and "answer", where there are some."""
        found = {}
        if self.labels is not None:
            found["truth"] = self.labels.landmarks[self.frame(t_us)]
        if self.answers is not None and t_us >= self.answers.t_us[0]:
            found["answer"] = self.answers.landmarks[_latest(self.answers.t_us, t_us)]
        return {kind: p[np.isfinite(p).all(1)] for kind, p in found.items() if np.isfinite(p).any()}


def value_at(curve: Curve, t_us: float) -> float | None:
    """What a curve says at a time: its latest value, None before the first."""
    return None if t_us < curve.t_us[0] else float(curve.values[_latest(curve.t_us, t_us)])


def lanes(look: Look) -> list[Lane]:
    """Actions that move most and classes that the network holds likeliest, in the order of the classes."""
    found = []
    for head, names in CLASSES.items():
        truth = _intensities(look.labels if head == "au" else None, len(names))
        answer = _probabilities(look, head)
        strongest = np.array([0.0 if curve is None else curve.values.max() for curve in truth])
        likeliest = np.array([0.0 if curve is None else curve.values.mean() for curve in answer])
        chosen = {int(i) for i in np.argsort(-strongest)[:TRUE_LANES] if strongest[i] >= LEAST}
        chosen |= {int(i) for i in np.argsort(-likeliest)[:ANSWERED_LANES] if likeliest[i] > 0}
        if likeliest.any() and look.labels is not None and head in look.labels.classes:
            chosen.add(look.labels.classes[head])
        found += [Lane(names[i], truth[i], answer[i]) for i in sorted(chosen)]
    return found


def _intensities(labels: Labels | None, count: int) -> list[Curve | None]:
    """The true curve of each of ``count`` action units, None where it is not labelled."""
    if labels is None:
        return [None] * count
    known = np.isfinite(labels.au_intensity).T
    columns = zip(labels.au_intensity.T, known, strict=True)
    return [Curve(labels.t_us[there], values[there]) if there.any() else None for values, there in columns]


def _probabilities(look: Look, head: str) -> list[Curve | None]:
    """The answered curve of each class of a head: of action units always, of expressions where they are listed."""
    odds = None if look.answers is None else look.answers.odds.get(head)
    if look.answers is None or odds is None or (head != "au" and head not in look.heads):
        return [None] * len(CLASSES[head])
    return [Curve(look.answers.t_us, values) for values in odds.T]


def _latest(t_us: np.ndarray, now: float) -> int:
    return max(0, int(np.searchsorted(t_us, now, "right")) - 1)

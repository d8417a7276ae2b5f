"""What a network says of a source, step by step, in the sensor's own pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snnface.downscale import Downscale, Fit, Rule
from snnface.events import by_step
from snnface.live import HEAD_SIZES
from snnface.progress import say, track
from snnface.stream import open_stream
from snnface.view.source import CLASSES, Source, Span

#: Steps whose events are read at once.
_STEPS = 64


@dataclass(frozen=True)
class Answers:
    """Answers at the ends of T steps, those of a span and the last one before it.

    ``t_us`` int64 ``[T]`` from the span's start; ``odds``: head ("au", "expression") → probabilities float32
    ``[T, K]``; ``landmarks`` float32 ``[T, L, 2]`` in sensor pixels, L = 0 where the network has none.
    """

    name: str
    t_us: np.ndarray
    odds: dict[str, np.ndarray]
    landmarks: np.ndarray


def ask(source: Source, cut: Span, model: Path, fit: Fit = "crop", rule: Rule = "mean") -> Answers | None:
    """Stream a source through a network from its beginning to the end of a span; None where it has no answer by then.

    A step that the end of the source cuts short answers at that end.

    Probabilities are the softmax of a clip's mean logits so far, as ``snnface eval`` reads a clip, and of a
    recording's logits at the step's end, as ``snnface run`` prints them. Raises :class:`InputError` for a file that
    cannot be streamed.
    """
    stream = open_stream(model)
    _, height, width = stream.input_shape
    scaling = Downscale(source.width, source.height, width, height, fit, rule)
    sums = {name: np.zeros(len(names)) for name, names in CLASSES.items()}
    t, odds, points = list[int](), {name: list[np.ndarray]() for name in CLASSES}, list[np.ndarray]()
    steps = -(-cut.stop_us // stream.step_us)
    for k, events in track(enumerate(_by_step(source, scaling, stream.step_us, steps), 1), "network", steps):
        answers = {n: a for n, a in stream.tick(events).answers.items() if len(a) in HEAD_SIZES.get(n, ())}
        now = min(k * stream.step_us, source.duration_us)
        kept = now + stream.step_us > cut.start_us and now <= cut.stop_us
        if kept:
            t.append(now - cut.start_us)
        for name in CLASSES.keys() & answers.keys():
            logits = answers[name].astype(np.float64)
            sums[name] += logits
            if kept:
                odds[name].append(_softmax(sums[name] / k if source.clip else logits))
        if kept and "landmarks" in answers:
            points.append(scaling.to_sensor(answers["landmarks"].reshape(-1, 2).astype(np.float64)))
    if not t:
        say(f"the network has no answer yet: its step is {stream.step_us:,} µs")
        return None
    return Answers(
        model.name,
        np.array(t, np.int64),
        {name: np.stack(rows) for name, rows in odds.items() if rows},
        np.stack(points).astype(np.float32) if points else np.zeros((len(t), 0, 2), np.float32),
    )


def _by_step(source: Source, scaling: Downscale, step_us: int, steps: int) -> Iterator[np.ndarray]:
    """Down-scaled events of each step, (step·k, step·(k + 1)] µs; a few steps are read at once."""
    for first in range(0, steps, _STEPS):
        count = min(_STEPS, steps - first)
        start = first * step_us
        events = source.events(start + (first > 0), (first + count) * step_us + 1)
        scaled = scaling(events)
        scaled["t"] -= start
        for part in by_step(scaled, step_us, count):
            part["t"] += start
            yield part


def _softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max())
    return (e / e.sum()).astype(np.float32)

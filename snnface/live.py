"""A stream at work: ticks in, answers in the sensor's own pixels out, and how long each tick took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from snnface.downscale import Downscale
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE
from snnface.facs import AU_NAMES, AUS, EXPRESSIONS
from snnface.stream import Streaming, Tick

TOP_AUS = 3
#: Sizes of the heads whose answers have names; landmarks are x, y of 5, 68 or 98 points.
HEAD_SIZES = {"au": (len(AUS),), "expression": (len(EXPRESSIONS),), "landmarks": (10, 136, 196)}


class Answered(NamedTuple):
    """One tick: its end ``t_us`` on the events' clock, events given and passed to the network, and its answer."""

    t_us: int
    events: int
    events_in: int
    tick: Tick


class Live:
    """Runs ticks of ``tick_us`` (a multiple of the stream's step) of a sensor's events and times them.

    A tick's latency is the time from its last event's delivery to its answer: down-scaling and network, without
    reading and writing files. A tick is late where its answer is not there when the next tick is over.
    """

    def __init__(self, stream: Streaming, scaling: Downscale, tick_us: int | None = None) -> None:
        self.tick_us = stream.step_us if tick_us is None else tick_us
        if self.tick_us < stream.step_us or self.tick_us % stream.step_us:
            what = f"{self.tick_us} µs is not a multiple of the network's step of {stream.step_us} µs"
            raise InputError("--tick-us", what, f"Use {stream.step_us}, {2 * stream.step_us} …")
        self.stream, self.scaling = stream, scaling
        self.latencies: list[float] = []
        self.events = self.events_in = self.largest = self.late = 0

    def run(self, ticks: Iterable[tuple[int, np.ndarray]], paced: bool = False) -> Iterator[Answered]:
        """Answer ticks as :func:`snnface.ticks.ticks` gives them; ``paced`` waits for the clock before each."""
        self._warm_up()
        begin = None
        for number, (origin, events) in enumerate(ticks, 1):
            begin = time.perf_counter() if begin is None else begin
            due = begin + number * self.tick_us / 1e6
            if paced:
                time.sleep(max(0.0, due - time.perf_counter()))
            start = time.perf_counter()
            passed = self.scaling(events)
            tick = self._steps(passed)
            end = time.perf_counter()
            self.latencies.append(end - start)
            behind = end - due if paced else end - start
            self.late += behind > self.tick_us / 1e6
            self.events += len(events)
            self.events_in += len(passed)
            self.largest = max(self.largest, len(events))
            yield Answered(origin + number * self.tick_us, len(events), len(passed), tick)

    def _warm_up(self) -> None:
        """Compile and allocate before the first tick, and leave no trace."""
        nothing, state = np.empty(0, EVENT_DTYPE), self.stream.state()
        self.scaling(nothing)
        self.stream.tick(nothing)
        self.stream.restore(state)

    def _steps(self, events: np.ndarray) -> Tick:
        """Run the steps of one tick; the answer is that of its last step, spikes are those of all."""
        steps = self.tick_us // self.stream.step_us
        first = len(self.latencies) * steps
        ends = (first + 1 + np.arange(steps - 1)) * self.stream.step_us
        parts = np.split(events, np.searchsorted(events["t"], ends, side="right"))
        ticks = [self.stream.tick(part) for part in parts]
        return Tick(ticks[-1].answers, [sum(counts) for counts in zip(*(t.spikes for t in ticks), strict=True)])

    def summary(self) -> dict[str, Any]:
        """Ticks, latencies in µs and rates so far; None where no tick was run."""
        seconds = sum(self.latencies)
        p50, p99 = np.percentile(self.latencies, [50, 99]) * 1e6 if self.latencies else (None, None)
        slowest = max(self.latencies) * 1e6 if self.latencies else None
        return {
            "ticks": len(self.latencies),
            "tick_us": self.tick_us,
            "p50_us": p50,
            "p99_us": p99,
            "slowest_us": slowest,
            "real_time_factor": len(self.latencies) * self.tick_us / 1e6 / seconds if seconds else None,
            "events": self.events,
            "events_in": self.events_in,
            "events_per_s": self.events / seconds if seconds else None,
            "largest_tick_events": self.largest,
            "late": self.late,
        }


def describe(answered: Answered, to_sensor: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    """One tick in JSON's terms: the likeliest action units, the expressions, landmarks in sensor pixels.

    Probabilities are the softmax of the heads' logits at the tick's end. A head that is absent or of another size
    has no entry.
    """
    answers = {name: a for name, a in answered.tick.answers.items() if len(a) in HEAD_SIZES.get(name, ())}
    row: dict[str, Any] = {"t_us": answered.t_us, "events": answered.events, "events_in": answered.events_in}
    row["spikes"] = answered.tick.spikes
    if "au" in answers:
        logits, p = answers["au"], _softmax(answers["au"])
        row["au"] = [
            {"au": AUS[i], "name": AU_NAMES[AUS[i]], "logit": _short(logits[i]), "p": _short(p[i])}
            for i in np.argsort(-logits, kind="stable")[:TOP_AUS]
        ]
    if "expression" in answers:
        p = _softmax(answers["expression"])
        row["expression"] = EXPRESSIONS[int(p.argmax())]
        row["expression_p"] = {name: _short(value) for name, value in zip(EXPRESSIONS, p, strict=True)}
    if "landmarks" in answers:
        points = to_sensor(answers["landmarks"].reshape(-1, 2).astype(np.float64))
        row["landmarks"] = np.round(points, 2).tolist()
    return row


def _softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max())
    return e / e.sum()


def _short(value: float) -> float:
    return round(float(value), 5)

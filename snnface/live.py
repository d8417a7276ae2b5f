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
from snnface.pace import Due
from snnface.stream import Streaming, Tick

TOP_AUS = 3
#: Sizes of the heads whose answers have names; landmarks are x, y of 5, 68 or 98 points.
HEAD_SIZES = {"au": (len(AUS),), "expression": (len(EXPRESSIONS),), "landmarks": (10, 136, 196)}


class Answered(NamedTuple):
    """One answer: its end ``t_us`` on the events' clock, the ticks it stands for (more than one where the tick was
    widened), events given and passed to the network, and what the network said."""

    t_us: int
    ticks: int
    events: int
    events_in: int
    tick: Tick


class Live:
    """Runs ticks of ``tick_us`` (a multiple of the stream's step) of a sensor's events and times them.

    An answer's latency is the time that down-scaling and network took, without reading and writing files. A tick is
    late where the answer that covers it is not there when the next tick is over. Ticks that come together are
    answered together (:mod:`snnface.pace`).
    """

    def __init__(self, stream: Streaming, scaling: Downscale, tick_us: int | None = None) -> None:
        self.tick_us = stream.step_us if tick_us is None else tick_us
        if self.tick_us < stream.step_us or self.tick_us % stream.step_us:
            what = f"{self.tick_us} µs is not a multiple of the network's step of {stream.step_us} µs"
            raise InputError("--tick-us", what, f"Use {stream.step_us}, {2 * stream.step_us} …")
        self.stream, self.scaling = stream, scaling
        self.latencies: list[float] = []
        self.ticks = self.events = self.events_in = self.largest = self.late = self.widened = 0
        self.behind = 0.0

    def run(self, groups: Iterable[list[Due]]) -> Iterator[Answered]:
        """Answer groups of ticks as :mod:`snnface.pace` gives them, one answer a group."""
        self._warm_up()
        for group in groups:
            start = time.perf_counter()
            given = passed = 0
            spikes: list[list[int]] = []
            for tick in group:
                events = self.scaling(tick.events)
                answer = self._steps(events)
                spikes.append(answer.spikes)
                given, passed = given + len(tick.events), passed + len(events)
                self.ticks += 1
                self.largest = max(self.largest, len(tick.events))
            end = time.perf_counter()
            self.latencies.append(end - start)
            behind = [end - (start if tick.due is None else tick.due) for tick in group]
            self.late += sum(seconds > self.tick_us / 1e6 for seconds in behind)
            self.behind = max(self.behind, *behind)
            self.widened += len(group) > 1
            self.events += given
            self.events_in += passed
            t_us = group[-1].origin + self.ticks * self.tick_us
            yield Answered(t_us, len(group), given, passed, Tick(answer.answers, _added(spikes)))

    def _warm_up(self) -> None:
        """Compile and allocate before the first tick, and leave no trace."""
        nothing, state = np.empty(0, EVENT_DTYPE), self.stream.state()
        self.scaling(nothing)
        self.stream.tick(nothing)
        self.stream.restore(state)

    def _steps(self, events: np.ndarray) -> Tick:
        """Run the steps of one tick; the answer is that of its last step, spikes are those of all."""
        steps = self.tick_us // self.stream.step_us
        first = self.ticks * steps
        ends = (first + 1 + np.arange(steps - 1)) * self.stream.step_us
        parts = np.split(events, np.searchsorted(events["t"], ends, side="right"))
        ticks = [self.stream.tick(part) for part in parts]
        return Tick(ticks[-1].answers, _added([t.spikes for t in ticks]))

    def summary(self) -> dict[str, Any]:
        """Ticks, latencies in µs and rates so far; None where no tick was run."""
        seconds = sum(self.latencies)
        p50, p99 = np.percentile(self.latencies, [50, 99]) * 1e6 if self.latencies else (None, None)
        slowest = max(self.latencies) * 1e6 if self.latencies else None
        return {
            "ticks": self.ticks,
            "tick_us": self.tick_us,
            "p50_us": p50,
            "p99_us": p99,
            "slowest_us": slowest,
            "real_time_factor": self.ticks * self.tick_us / 1e6 / seconds if seconds else None,
            "events": self.events,
            "events_in": self.events_in,
            "events_per_s": self.events / seconds if seconds else None,
            "largest_tick_events": self.largest,
            "late": self.late,
            "behind_us": self.behind * 1e6,
            "answers": len(self.latencies),
            "widened": self.widened,
        }


def _added(spikes: list[list[int]]) -> list[int]:
    """Spikes of each layer over several steps."""
    return [sum(counts) for counts in zip(*spikes, strict=True)]


def describe(answered: Answered, to_sensor: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    """One tick in JSON's terms: the likeliest action units, the expressions, landmarks in sensor pixels.

    Probabilities are the softmax of the heads' logits at the tick's end. A head that is absent or of another size
    has no entry.
    """
    answers = {name: a for name, a in answered.tick.answers.items() if len(a) in HEAD_SIZES.get(name, ())}
    row: dict[str, Any] = {
        "t_us": answered.t_us,
        "ticks": answered.ticks,
        "events": answered.events,
        "events_in": answered.events_in,
    }
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

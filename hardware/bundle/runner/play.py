"""A recording through the network, step by step."""

from __future__ import annotations

import contextlib
import json
import os
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .answers import Heads
from .files import Problem, read_json, verify
from .network import Network
from .recording import Coding, Events, Recording, Scaling

_NOTHING = Events(*(np.empty(0, np.int64) for _ in range(4)))


class Step(NamedTuple):
    """What one step took and gave: events of the sensor and of the network's input, active input neurons and their
    payloads (None: spikes), the spiking neurons of every layer, the readout's membranes int64 ``[R]``."""

    given: int
    passed: int
    active: np.ndarray
    payload: np.ndarray | None
    spikes: list[np.ndarray]
    membranes: np.ndarray


def open_network(folder: Path, mode: str | None = None) -> Network:
    """The bundle's network for graded or unary input (default: the one it was exported for)."""
    networks = read_json(folder / "bundle.json")["networks"]
    mode = mode or next(iter(networks))
    if mode not in networks:
        raise Problem("--input", f"this bundle has no network for {mode} input", f"Use {', '.join(networks)}")
    return Network(folder / networks[mode])


class Player:
    """Feeds one recording to a network, from silence. ``silent``: how many silent steps follow its last event."""

    def __init__(self, network: Network, recording: Recording) -> None:
        self.network, self.recording = network, recording
        _, height, width = network.input_shape
        self.scaling = Scaling(recording.width, recording.height, width, height)
        self.coding = Coding(network.manifest, network.input_shape)
        self.step_us = int(network.manifest["step_us"])
        self.seconds: list[float] = []

    def steps(self, limit: int | None = None, to_the_end: bool = False) -> Iterator[Step]:
        """Every step up to that of the last event; ``to_the_end``: of a clip's duration."""
        self.network.reset()
        done = 0
        for events in self.recording.steps(self.step_us):
            if done == limit:
                return
            yield self._step(events, done)
            done += 1
        duration = self.recording.duration_us if to_the_end and self.recording.duration_us else 0
        for silent in range(done, min(-(-duration // self.step_us), limit or 1 << 62)):
            yield self._step(_NOTHING, silent)

    def _step(self, events: Events, number: int) -> Step:
        begin = time.perf_counter()
        passed = self.scaling(events)
        active, payload = self.coding(passed, (number + 1) * self.step_us)
        spikes = self.network.step(active, payload)
        membranes = self.network.readout
        self.seconds.append(time.perf_counter() - begin)
        return Step(len(events.t), len(passed.t), active, payload, spikes, membranes)

    def row(self, step: Step, number: int, heads: Heads) -> dict[str, Any]:
        """One step (from 0) in JSON's terms, as ``snnface run --out`` writes it."""
        counts = [len(s) for s, n in zip(step.spikes, self.network.neurons, strict=True) if n.spiking]
        row = {
            "t_us": (self.recording.origin or 0) + (number + 1) * self.step_us,
            "ticks": 1,
            "events": step.given,
            "events_in": step.passed,
            "spikes": counts,
        }
        return row | heads.named(heads.decode(step.membranes, number + 1), self.scaling.to_sensor)

    def speed(self) -> dict[str, float | None]:
        """Time of a step in µs and recorded time over time spent, without reading and writing files."""
        if not self.seconds:
            return {"p50_us": None, "p99_us": None, "real_time_factor": None}
        p50, p99 = np.percentile(self.seconds, [50, 99]) * 1e6
        return {
            "p50_us": float(p50),
            "p99_us": float(p99),
            "real_time_factor": len(self.seconds) * self.step_us / 1e6 / sum(self.seconds),
        }


def run(folder: Path, options: Namespace) -> dict[str, Any]:
    """The command ``run``."""
    verify(folder)
    if options.lava or options.loihi2:
        from .in_lava import check_installed

        check_installed(options.loihi2)
    player = Player(open_network(folder, options.input), Recording(options.recording, options.clip))
    heads = Heads(folder, player.network.manifest)
    kept: list[Step] = []
    spikes = np.zeros(len(player.network.neurons), np.int64)
    events = passed = ticks = 0
    row: dict[str, Any] = {}
    with _lines(options.out) as file:
        for ticks, step in enumerate(player.steps(options.steps), 1):
            events, passed = events + step.given, passed + step.passed
            spikes += [len(s) for s in step.spikes]
            row = player.row(step, ticks - 1, heads)
            if file:
                file.write(json.dumps(row) + "\n")
            if options.lava or options.loihi2:
                kept.append(step)
    answer = {
        "source": str(options.recording),
        "ticks": ticks,
        "tick_us": player.step_us,
        "events": events,
        "events_in": passed,
        "spikes": dict(zip(player.network.names, spikes.tolist(), strict=True)),
        **player.speed(),
        "last": {k: row[k] for k in ("t_us", "au", "expression") if k in row},
    }
    if options.lava or options.loihi2:
        from .in_lava import compare

        answer |= compare(folder, player, kept, options.loihi2, options.time_limit)
    return answer


@contextlib.contextmanager
def _lines(out: Path | None) -> Iterator[Any]:
    """A file that appears under its name when it is whole."""
    if out is None:
        yield None
        return
    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        os.replace(part, out)
    except OSError as e:
        raise Problem(out, f"cannot be written ({e})", "Choose a writable folder") from e
    finally:
        part.unlink(missing_ok=True)

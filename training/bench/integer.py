"""A block of ticks in the chip's integer arithmetic. Every way, by name; the number is the spikes that come out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from snnface.hardware.integers.fixed_point import Simulator, payloads, simulator
from snnface.hardware.integers.native import fastest
from snnface.hardware.integers.network import IntegerNetwork
from snnface.hardware.integers.stream import FixedStream
from snnface.hardware.lava import process
from snnface.hardware.netx_files import manifest
from snnface.hardware.quantising.quantise import quantise
from snnface.training.bench.implementation import Done, Implementation, Start, Step
from snnface.training.bench.streaming import network, ticks
from snnface.training.bench.workload import STEP_US, Problem

#: Ticks of a block.
BLOCK = 8


def net_file(problem: Path) -> Path:
    """The netx file of a problem, beside it."""
    return problem.with_suffix(".net")


def quantised(problem: Path) -> IntegerNetwork:
    """The problem's network with 8-bit weights, made once."""
    if not manifest.path_of(net_file(problem)).is_file():
        p = Problem.load(problem)
        manifest.save(net_file(problem), quantise(network(p), p.events()))
    return manifest.load(net_file(problem))


def expected_spikes(problem: Path) -> list[float]:
    """Spikes of the last spiking layer in every block, by the simulator in one run."""
    p = Problem.load(problem)
    chip = simulator(quantised(problem))
    counts = [chip.advance(block)[-2].s.sum((1, 2, 3, 4)) for block in payloads(chip.network, p.events())]
    return [float(c.sum()) for c in np.split(np.concatenate(counts), len(p.facts["spikes"]) // BLOCK)]


def _own(problem: Path, options: dict[str, Any]) -> Start:
    events = ticks(Problem.load(problem))
    net = manifest.load(net_file(problem))
    lap = len(events) * STEP_US

    def start() -> Step:
        stream = FixedStream(net)
        number = 0

        def step() -> Done:
            nonlocal number
            block = events[number : number + BLOCK]
            begin = time.perf_counter()
            spikes = sum(stream.tick(tick).spikes[-1] for tick in block)
            taken = time.perf_counter() - begin
            for tick in block:
                tick["t"] += lap
            number = (number + BLOCK) % len(events)
            return Done(float(spikes), seconds=taken / BLOCK)

        return step

    return start


def _frames(problem: Path) -> tuple[IntegerNetwork, np.ndarray]:
    """The network and its input, int64 ``[T, 1, 2, H, W]``."""
    net = manifest.load(net_file(problem))
    return net, np.concatenate(list(payloads(net, Problem.load(problem).events())))


def _simulated(problem: Path, options: dict[str, Any], make: Callable[..., Any] = Simulator) -> Start:
    """What snnface simulate does, without writing it down."""
    net, frames = _frames(problem)

    def start() -> Step:
        chip = make(net, largest_input=int(frames.max()))
        blocks = _for_ever(np.split(frames, len(frames) // BLOCK))

        def step() -> Done:
            block = next(blocks)
            begin = time.perf_counter()
            spikes = sum(int(chip.advance(tick[None])[-2].s.sum()) for tick in block)
            return Done(float(spikes), seconds=(time.perf_counter() - begin) / BLOCK)

        return step

    return start


def _natively(problem: Path, options: dict[str, Any]) -> Start:
    return _simulated(problem, options, fastest)


def _for_ever(blocks: list[np.ndarray]) -> Iterator[np.ndarray]:
    while True:
        yield from blocks


def _lava(problem: Path, options: dict[str, Any]) -> Start:
    """The first block, again and again; Lava lags a step a layer, so that many silent steps follow it."""
    net, frames = _frames(problem)
    last = len(net.layers) - 2
    silent = np.zeros((last + 1, *net.input_shape), np.int64)
    x = np.concatenate([frames[:BLOCK, 0], silent])

    def start() -> Step:
        def step() -> Done:
            with process.run(net_file(problem), x, [], graded=False) as (recorded, answer):
                spikes = int(recorded.s[last][last + 1 : last + 1 + BLOCK].sum())
                return Done(float(spikes), seconds=answer["wall_s"] / len(x))

        return step

    return start


def _lava_is_there() -> bool:
    return None not in process.installed().values()


IMPLEMENTATIONS = {
    i.name: i
    for i in (
        Implementation("snnface integer stream", "own", _own),
        Implementation("snnface integer simulator", "own", _natively),
        Implementation("numpy simulator", "peer", _simulated),
        Implementation("lava", "peer", _lava, available=_lava_is_there),
    )
}

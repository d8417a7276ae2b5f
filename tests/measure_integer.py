"""How long a step of an exported network takes in its integer implementations, on one core, and in real Lava.

python tests/measure_integer.py out/demo/model.net out/demo/test.h5

``stream``: events in, answers out, tick by tick (snnface run); ``simulator``: the engine under snnface simulate, in
its blocks of 64 steps, no traces written; ``numpy``: the reference, and ``lava``: real Lava, both on the first steps
of one clip, the start of Lava's processes included. Milliseconds a step; of the former two, medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snnface.events import by_step, pack
from snnface.hardware.inputs import read_clips
from snnface.hardware.integers.fixed_point import Simulator, payloads
from snnface.hardware.integers.native import fastest
from snnface.hardware.integers.stream import FixedStream
from snnface.hardware.lava import process
from snnface.hardware.netx_files import manifest

BLOCK = 64


def main() -> None:
    """Measure in turn and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("net", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lava-steps", type=int, default=48, help="0: leave Lava out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = manifest.load(options.net)
    assert network.host is not None, "give a network with its manifest"
    batch = read_clips(options.data, options.clips)
    step_us = network.host.step_us
    frames = np.concatenate(list(payloads(network, batch)))
    steps = len(frames)
    clips = []
    for b in range(batch.size):
        own = slice(int(batch.offsets[b]), int(batch.offsets[b + 1]))
        events = pack(*(column[own].numpy() for column in (batch.t, batch.x, batch.y, batch.p)))
        clips.append(by_step(events, step_us, steps))

    def stream() -> int:
        spikes = 0
        for ticks in clips:
            one = FixedStream(network)
            spikes += sum(sum(one.tick(tick).spikes) for tick in ticks)
        return spikes

    def simulate(make: Callable[..., Any], x: np.ndarray) -> int:
        spikes = 0
        for b in range(x.shape[1]):
            chip = make(network, largest_input=int(frames.max()))
            for start in range(0, len(x), BLOCK):
                traces = chip.advance(x[start : start + BLOCK, b : b + 1])
                spikes += sum(
                    int(t.s.sum()) for t, layer in zip(traces, network.layers, strict=True) if layer.spiking
                )
        return spikes

    ways: dict[str, Callable[[], int]] = {"stream": stream, "simulator": lambda: simulate(fastest, frames)}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, int] = {}
    for _ in range(options.rounds):
        for name, way in ways.items():
            begin = time.perf_counter()
            found[name] = way()
            taken[name].append((time.perf_counter() - begin) / (steps * batch.size) * 1000)
    assert found["stream"] == found["simulator"], found
    median = {name: statistics.median(values) for name, values in taken.items()}
    first = frames[: options.lava_steps or BLOCK, :1]
    begin = time.perf_counter()
    expected = simulate(Simulator, first)
    median["numpy"] = (time.perf_counter() - begin) / len(first) * 1000
    assert expected == simulate(fastest, first)
    if options.lava_steps:
        graded = network.host.input_mode == "graded"
        with process.run(options.net, first[:, 0], [], graded) as (_, told):
            median["lava"] = told["wall_s"] / len(first) * 1000
    answer = {
        "network": str(options.net),
        "input": list(network.input_shape),
        "neurons": network.neurons,
        "step_us": step_us,
        "steps": steps * batch.size,
        "events_per_step": round(len(batch.t) / (steps * batch.size), 1),
        "spikes": found["stream"],
        "ms_per_step": {name: round(value, 4) for name, value in median.items()},
        "real_time": {name: round(step_us / 1000 / value, 2) for name, value in median.items()},
        "times_lava": {n: round(median["lava"] / v, 1) for n, v in median.items()} if "lava" in median else None,
    }
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()

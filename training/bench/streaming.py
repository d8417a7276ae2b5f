"""One tick of a stream: a clip of batch 1, step by step, with an answer after each. Every way, by name."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snnface.events import by_step, pack
from snnface.network import Head, Network, SynapticLayer
from snnface.stream import Stream
from snnface.training.bench.implementation import Done, Implementation, Start, Step
from snnface.training.bench.workload import BETA, LAYOUTS, PADDING, STEP_US, STRIDE, TAU_US, THRESHOLD, Problem


def network(problem: Problem) -> Network:
    """The problem's network as plain numbers; a readout without memory takes the mean over positions and the linear
    layer in one."""
    work = problem.workload
    layers, pair = [], (STRIDE, STRIDE)
    for i, weight in enumerate(problem.weights[:-1]):
        shapes = work.layer_shape(i - 1), work.layer_shape(i)
        layers.append(
            SynapticLayer(
                f"conv{i}", "conv", weight, *shapes, 0.0, BETA, THRESHOLD, stride=pair, padding=(PADDING, PADDING),
                reset=work.reset,  # type: ignore[arg-type]
            )
        )  # fmt: skip
    channels, height, width = layers[-1].shape_out
    mean = np.repeat(problem.weights[-1] / (height * width), height * width, axis=1)
    readout = SynapticLayer(
        "readout",
        "dense",
        mean.astype(np.float32),
        (channels, height, width),
        (work.classes,),
        0.0,
        0.0,
        spiking=False,
    )
    one = np.ones(work.classes, np.float32)
    heads = {"class": Head(0, work.classes, one, 0 * one)}
    return Network(work.layer_shape(-1), STEP_US, TAU_US, "unary", (*layers, readout), heads=heads)


def ticks(problem: Problem) -> list[np.ndarray]:
    """Structured events of every tick, t in µs from the stream's start."""
    batch = problem.events()
    t, x, y, p = (c.numpy() for c in (batch.t, batch.x, batch.y, batch.p))
    return by_step(pack(t, x, y, p), STEP_US, problem.workload.steps)


def _own(problem: Path, options: dict[str, Any]) -> Start:
    p = Problem.load(problem)
    events = ticks(p)
    lap = len(events) * STEP_US

    def start() -> Step:
        stream = Stream(network(p))
        number = 0

        def step() -> Done:
            nonlocal number
            current = events[number % len(events)]
            begin = time.perf_counter()
            given = stream.tick(current)
            taken = time.perf_counter() - begin
            current["t"] += lap  # its time in the next lap
            number += 1
            return Done(given.spikes[-1], seconds=taken)

        return step

    return start


def _peer(module: str, kind: str) -> Callable[[Path, dict[str, Any]], Start]:
    def prepare(problem: Path, options: dict[str, Any]) -> Start:
        peer = getattr(importlib.import_module(f"snnface.training.bench.peers.{module}"), kind)
        p = Problem.load(problem)
        layout = LAYOUTS[options["layout"]]
        frames = [torch.from_numpy(f).contiguous(memory_format=layout) for f in p.dense()]

        def start() -> Step:
            *convolutions, last = (torch.from_numpy(w) for w in p.weights)
            net = peer(convolutions, p.workload.reset).to(memory_format=layout).eval()
            number = 0

            @torch.inference_mode()
            def step() -> Done:
                nonlocal number
                begin = time.perf_counter()
                spikes = net.step(frames[number % len(frames)])
                answer = spikes.mean((2, 3)) @ last.T
                assert answer.shape == (1, len(last))
                taken = time.perf_counter() - begin
                number += 1
                return Done(float(spikes.sum()), seconds=taken)

            return step

        return start

    return prepare


_PEERS = {
    "torch": ("plain", "Plain"),
    "snntorch": ("snntorch", "SnnTorch"),
    "norse": ("norse", "Norse"),
    "spikingjelly": ("spikingjelly", "SpikingJelly"),
    "sinabs": ("sinabs", "Sinabs"),
}
_FORMS = tuple({"layout": layout} for layout in LAYOUTS)
IMPLEMENTATIONS = {
    "snnface stream": Implementation("snnface stream", "own", _own),
    **{
        name: Implementation(name, "peer", _peer(*where), requires=name, forms=_FORMS)
        for name, where in _PEERS.items()
    },
}

"""The least time that a training step can take here: what must be computed, at the rates that this machine shows.

Rates, measured anew in every round: a matrix product, sums of table rows that stay in the cache (what a spike asks
for: the weights of its synapses, added), and a sum of arrays in main memory.

- forward: one addition for each synapse that a spike passes, and the membranes written in half precision;
- weight gradient: as many additions; with sparse gradients only those whose neuron is near its threshold or will
  be, so that a gradient comes back to it;
- input gradient, from the second layer on: exact, all products of the transposed convolution at the rate of the
  matrix product; sparse, one addition of a weight row for each synapse of the neurons near their threshold;
- backward: membranes read, gradients of the second and later layers' neurons written and read in single precision.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from snnface.training.bench.implementation import Done, Start, Step
from snnface.training.bench.workload import KERNEL, Problem

_SIDE = 1024
#: A table of weight rows as the third layer has it, and how many of them are added up in one place.
_ROWS, _ROW, _BAG, _BAGS = 576, 128, 50, 4096
_LARGE = 16 << 20


@dataclass(frozen=True)
class Rates:
    """Operations a second of a matrix product (2 for each multiply-add), additions and bytes a second."""

    product: float
    add: float
    byte: float


@dataclass(frozen=True)
class Work:
    """What a step must do: additions, operations of matrix products, bytes; forward and backward."""

    forward_adds: float
    forward_bytes: float
    backward_adds: float
    backward_products: float
    backward_bytes: float

    def seconds(self, rates: Rates) -> tuple[float, float]:
        """Forward and backward."""
        forward = self.forward_adds / rates.add + self.forward_bytes / rates.byte
        backward = self.backward_adds / rates.add + self.backward_products / rates.product
        return forward, backward + self.backward_bytes / rates.byte


def work(problem: Problem, gradient: str) -> Work:
    """The work of a training step with exact or sparse gradients."""
    w, facts = problem.workload, problem.facts
    neurons = [w.neurons(i) for i in range(len(w.channels))]
    adds = sum(facts["adds"])
    products = [2 * KERNEL**2 * n * before for n, before in zip(neurons[1:], w.channels, strict=False)]
    if gradient == "exact":
        weight_adds, input_adds, input_products = adds, 0.0, float(sum(products))
    else:
        weight_adds = sum(a * flow for a, flow in zip(facts["adds"], facts["flow"], strict=True))
        input_adds = sum(p / 2 * near for p, near in zip(products, facts["near"][1:], strict=True))
        input_products = 0.0
    half, single = 2, 4
    return Work(
        forward_adds=adds,
        forward_bytes=half * sum(neurons),
        backward_adds=weight_adds + input_adds,
        backward_products=input_products,
        backward_bytes=half * sum(neurons) + 2 * single * sum(neurons[1:]),
    )


def measured() -> Callable[[], Rates]:
    """A function that measures the rates, with its arrays at hand."""
    a, b, c = torch.randn(_SIDE, _SIDE), torch.randn(_SIDE, _SIDE), torch.empty(_SIDE, _SIDE)
    table, places = torch.randn(_ROWS, _ROW), torch.randint(_ROWS, (_BAGS, _BAG))
    p, q, r = torch.randn(_LARGE), torch.randn(_LARGE), torch.empty(_LARGE)

    def rates() -> Rates:
        return Rates(
            product=2 * _SIDE**3 / _shortest(lambda: torch.mm(a, b, out=c)),
            add=_BAGS * _BAG * _ROW / _shortest(lambda: F.embedding_bag(places, table, mode="sum")),
            byte=3 * 4 * _LARGE / _shortest(lambda: torch.add(p, q, out=r)),
        )

    return rates


def _shortest(function: Callable[[], Any], times: int = 3) -> float:
    best = math.inf
    for _ in range(times):
        begin = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - begin)
    return best


def prepare(gradient: str) -> Callable[[Path, dict[str, Any]], Start]:
    """A row whose seconds are computed from the rates of the round; its number is the workload's own loss."""

    def read(problem: Path, options: dict[str, Any]) -> Start:
        p = Problem.load(problem)
        needed = work(p, gradient)

        def start() -> Step:
            rates = measured()

            def step() -> Done:
                forward, backward = needed.seconds(rates())
                return Done(p.facts["loss"], forward, forward + backward)

            return step

        return start

    return read

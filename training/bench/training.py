"""A training step: forward, backward, Adam. Every way to compute it, by name."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from snnface.backends import native
from snnface.batch import EventBatch
from snnface.engine import library
from snnface.forward import Layer, Run, Trace, run_reference
from snnface.input import Coding
from snnface.network import Network
from snnface.neuron import Lif
from snnface.surrogate import Surrogate
from snnface.synapse import Conv
from snnface.training.bench import cuda, floor
from snnface.training.bench.implementation import SHOWN_STEPS, Done, Implementation, Start, Step
from snnface.training.bench.peers.network import ORDERS
from snnface.training.bench.workload import (
    BETA,
    LAYOUTS,
    PADDING,
    STEP_US,
    STRIDE,
    SUPPORT,
    TAU_US,
    THRESHOLD,
    Problem,
)


def _peer(module: str, network: str, compiled: bool) -> Callable[[Path, dict[str, Any]], Start]:
    def prepare(problem: Path, options: dict[str, Any]) -> Start:
        kind = getattr(importlib.import_module(f"snnface.training.bench.peers.{module}"), network)
        p, device = Problem.load(problem), options.get("device", "cpu")
        x = torch.from_numpy(p.dense()).to(device)
        layout = LAYOUTS[options["layout"]]
        x = x.flatten(0, 1).contiguous(memory_format=layout).unflatten(0, x.shape[:2])
        labels = torch.from_numpy(p.labels).to(device)
        imported(device, compiled)

        def start() -> Step:
            *convolutions, last = (torch.from_numpy(w) for w in p.weights)
            net = kind(convolutions, p.workload.reset, options["order"]).to(device, memory_format=layout)
            head = torch.nn.Parameter(last.clone().to(device))
            rates = torch.compile(net.rates) if compiled else net.rates
            return training_step(lambda: rates(x), [*net.parameters(), head], head, labels)

        return start

    return prepare


def imported(device: str, compiled: bool = False) -> None:
    """Load what torch would import during the first step: an optimiser's first step loads half of its compiler."""
    parameter = torch.nn.Parameter(torch.zeros(1, device=device))
    parameter.sum().backward()
    torch.optim.Adam([parameter]).step()
    if compiled:
        torch.compile(lambda y: y + 1)(parameter)


def training_step(rates: Callable[[], Tensor], parameters: Sequence[Tensor], head: Tensor, labels: Tensor) -> Step:
    """A step of Adam on the cross-entropy of ``rates() @ headᵀ``; its number is the loss before the step.

    The first steps learn: their losses show that the gradients are the right ones. Then the learning rate is 0, which
    is the same work: neurons that went on learning would soon spike at another rate than the one they were scaled to.
    """
    learned = [p for p in parameters if p.requires_grad]
    optimiser = torch.optim.Adam(learned, lr=1e-3)
    done = 0

    def step() -> Done:
        nonlocal done
        if done == SHOWN_STEPS:
            optimiser.param_groups[0]["lr"] = 0.0
        done += 1
        optimiser.zero_grad(set_to_none=True)
        begin = time.perf_counter()
        loss = F.cross_entropy(rates() @ head.T, labels)
        cuda.finish(loss)
        forward = time.perf_counter() - begin
        loss.backward()
        optimiser.step()
        cuda.finish(loss)
        return Done(float(loss.detach()), forward)

    return step


def _forms(orders: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    return tuple({"order": order, "layout": layout} for order in orders for layout in LAYOUTS)


def _peers() -> list[Implementation]:
    """All libraries, and all again under torch.compile. There one form is enough, since it takes minutes: of the four
    of snnTorch, step by step was the fastest by half, and channels-last not slower; on a CUDA device layer by layer
    was faster by a quarter, and channels-last slower.
    """
    libraries = {
        "snntorch": ("snntorch", "SnnTorch", ORDERS),
        "norse": ("norse", "Norse", ORDERS),
        "spikingjelly": ("spikingjelly", "SpikingJelly", ORDERS),
        "spikingjelly_multi": ("spikingjelly", "SpikingJellyMulti", ("layer",)),
        "sinabs": ("sinabs", "Sinabs", ("layer",)),
    }
    return [
        Implementation(
            name + ("_compile" if compiled else ""),
            "peer",
            _peer(module, network, compiled),
            "exact",
            module,
            forms=({"order": orders[0], "layout": "channels_last"},) if compiled else _forms(orders),
            devices=("cpu", "cuda"),
            cuda_forms=({"order": orders[-1], "layout": "contiguous"},) if compiled else (),
        )
        for compiled in (False, True)
        for name, (module, network, orders) in libraries.items()
    ]


def _own(run: Run, surrogate: Surrogate) -> Callable[[Path, dict[str, Any]], Start]:
    def prepare(problem: Path, options: dict[str, Any]) -> Start:
        p, device = Problem.load(problem), options.get("device", "cpu")
        batch, coding, labels = (
            p.events().to(device),
            Network((2, 1, 1), STEP_US, TAU_US, "unary", ()),
            torch.from_numpy(p.labels).to(device),
        )
        imported(device)

        def start() -> Step:
            parameters = [torch.nn.Parameter(torch.tensor(w, device=device)) for w in p.weights]
            neuron = Lif(0.0, BETA, THRESHOLD, surrogate, reset=p.workload.reset)  # type: ignore[arg-type]
            conv = Conv((STRIDE, STRIDE), (PADDING, PADDING))
            layers = [Layer(w, neuron, conv) for w in parameters[:-1]]
            return training_step(lambda: run(batch, coding, layers).rates[-1], parameters, parameters[-1], labels)

        return start

    return prepare


def _triton(batch: EventBatch, coding: Coding, layers: Sequence[Layer]) -> Trace:
    from snnface.backends import triton

    return triton.run(batch, coding, layers)


def native_engine() -> bool:
    """Whether the engine is built and runs here."""
    return library.library() is not None


#: The peers' own, and the compact one whose sparse evaluation equals its dense one.
_EXACT, _SPARSE = Surrogate("atan", 2.0), Surrogate("triangle", 1 / SUPPORT)
_OWN = [
    Implementation("snnface native", "own", _own(native.run, _EXACT), "exact", available=native_engine),
    Implementation("snnface native sparse", "own", _own(native.run, _SPARSE), "sparse", available=native_engine),
    Implementation("snnface triton", "own", _own(_triton, _EXACT), "exact", "triton", devices=("cuda",)),
    Implementation("snnface torch", "own", _own(run_reference, _EXACT), "exact", devices=("cpu", "cuda")),
]
_FLOORS = [Implementation(f"floor {kind}", "floor", floor.prepare(kind), kind) for kind in ("exact", "sparse")]

IMPLEMENTATIONS = {i.name: i for i in (*_OWN, *_peers(), *_FLOORS)}

"""Other libraries' NIR importers at work: what their networks do with a graph, layer by layer.

Each importer is called as its documentation says, on what ``nir.read`` gives; nothing of it is changed. Its modules
hold float32 parameters; in float64 the weights and states are widened, and the parameters stay what they were.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnface.errors import InputError
from snnface.hardware.nir_files.simulate import Layer


@dataclass(frozen=True)
class Reader:
    """One importer: ``load(graph, dt)`` gives a module; ``steps(module, x)`` its output step by step; ``state`` of a
    neuron module and what it answered: current (None where it has none) and membrane."""

    package: str
    load: Callable[[Any, float], nn.Module]
    stateful: bool
    state: Callable[[nn.Module, Any], tuple[Tensor | None, Tensor]]


def _load_snntorch(graph: Any, dt: float) -> nn.Module:
    from snntorch.import_nir import import_from_nir

    if not np.isclose(dt, 1e-4):
        raise InputError("nir:snntorch", f"takes steps of 1e-4 s and no other, not {dt:g}", "Export with --to nir")
    return import_from_nir(graph)


def _load_norse(graph: Any, dt: float) -> nn.Module:
    from norse.torch import from_nir

    return from_nir(graph, dt=dt)


def _load_spikingjelly(graph: Any, dt: float) -> nn.Module:
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return import_from_nir(graph, dt=dt)


def _snntorch_state(module: Any, answer: Any) -> tuple[Tensor | None, Tensor]:
    return getattr(module, "syn", None), module.mem


def _norse_state(module: Any, answer: Any) -> tuple[Tensor | None, Tensor]:
    state = answer[1]
    return (state[0].v, state[1].v) if isinstance(state, tuple) and len(state) == 2 else (None, state.v)


def _spikingjelly_state(module: Any, answer: Any) -> tuple[Tensor | None, Tensor]:
    """The states of the module's functional form: the membrane, then the current where it has one."""
    states = [s for s in answer[1] if isinstance(s, Tensor)]
    return (states[-1] if len(states) > 1 else None), states[0]


READERS = {
    "snntorch": Reader("snntorch", _load_snntorch, False, _snntorch_state),
    "norse": Reader("norse", _load_norse, True, _norse_state),
    "spikingjelly": Reader("spikingjelly", _load_spikingjelly, True, _spikingjelly_state),
}


def versions(reader: str) -> dict[str, str]:
    """Versions of the packages that take part; raises :class:`InputError` where one is missing."""
    if reader not in READERS:
        raise InputError("--against", f"does not know the NIR reader '{reader}'", f"Use {_names()}")
    found = {}
    for package in (READERS[reader].package, "nir", "nirtorch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError as e:
            raise InputError(
                f"nir:{reader}", f"needs {package}, which is not installed", f"pip install {package}"
            ) from e
    return found


def _names() -> str:
    return ", ".join(f"nir:{name}" for name in READERS)


def installed() -> list[str]:
    """Readers whose packages are there."""
    return [name for name, r in READERS.items() if all(find_spec(p) for p in (r.package, "nir", "nirtorch"))]


class Running:
    """A graph in another library, fed in blocks of steps.

    ``layers``: the names of the neuron nodes whose spikes are wanted, in order. Raises :class:`InputError` where the
    importer refuses the graph.
    """

    def __init__(self, reader: str, path: Any, layers: list[str], dt: float, dtype: torch.dtype) -> None:
        import nir

        self.about, self.dtype = READERS[reader], dtype
        with _quiet():
            try:
                graph = nir.read(path, type_check=False)
                module = self.about.load(graph, dt).to(dtype)
            except InputError:
                raise
            except Exception as e:  # importers raise anything, AssertionError foremost
                what = f"cannot read it ({type(e).__name__}: {str(e).splitlines()[0] if str(e) else 'no message'})"
                raise InputError(f"nir:{reader}", what, "Export the network with --to nir") from e
        self.module, self._state = module, None
        self._seen: dict[str, tuple[Tensor, Tensor | None, Tensor]] = {}
        self.layers = layers
        modules = dict(module.named_modules())
        for name in layers:
            if name not in modules:
                raise InputError(f"nir:{reader}", f"made nothing of node {name}", "Export the network with --to nir")
            modules[name].register_forward_hook(self._watch(name))
        for own in modules.values():
            if isinstance(own, (nn.Linear, nn.Conv2d)):  # spikes may be float32 whatever the membranes are
                own.register_forward_pre_hook(lambda _, args: tuple(a.to(dtype) for a in args))

    def _watch(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, _: Any, answer: Any) -> None:
            spikes = answer[0] if isinstance(answer, tuple) else answer
            self._seen[name] = (spikes, *self.about.state(module, answer))

        return hook

    def advance(self, x: np.ndarray) -> list[Layer]:
        """Run the next steps on input ``[T, *input_shape]`` (one clip, a batch of one)."""
        rows: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {name: [] for name in self.layers}
        with torch.no_grad(), _quiet():
            for step in torch.from_numpy(x).to(self.dtype):
                inputs = (step[None], self._state) if self.about.stateful else (step[None],)
                answer = self.module(*inputs)
                self._state = answer[1] if self.about.stateful else None
                for name in self.layers:
                    s, u, v = self._seen[name]
                    u = torch.full_like(v, torch.nan) if u is None else u
                    rows[name].append(tuple(_plain(value, s) for value in (s, u, v)))  # type: ignore[arg-type]
        found = []
        for name in self.layers:
            spikes, currents, membranes = (np.stack(values) for values in zip(*rows[name], strict=True))
            found.append(Layer(spikes > 0, currents, membranes))
        return found


def _plain(value: Tensor, like: Tensor) -> np.ndarray:
    return value.expand(like.shape)[0].numpy().astype(np.float64)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the importers print and warn of: scaling of weights that is 1, deprecated calls of one another."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)

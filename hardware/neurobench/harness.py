"""NeuroBench's harness on our networks, and its figures beside our own counts.

NeuroBench (Yik et al., Nature Communications 16, 1545, 2025) measures footprint, connection sparsity, activation
sparsity and synaptic operations through hooks of torch modules. Two of its conventions differ from ours:

- a synaptic operation counts where input **and** weight are not zero; ours counts every synapse that a spike reaches,
  whatever its weight. The difference is counted here by itself (``zero_weight_synops``), so that nothing is left
  unexplained.
- activation sparsity is averaged over clips, not over steps, and the readout, which has no spikes, is left out.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from snnface.backends import get as get_backend
from snnface.batch import EventBatch
from snnface.counts import count
from snnface.errors import InputError
from snnface.forward import Trace
from snnface.hardware.integers.fixed_point import payloads
from snnface.hardware.integers.network import IntegerNetwork
from snnface.hardware.neurobench.model import Chain, FloatNeurons, IntegerNeurons
from snnface.hardware.profiling.geometry import geometry
from snnface.heads import decode
from snnface.input import coded
from snnface.network import Network

_WHERE = "NeuroBench"


class _Inputs(Dataset):
    """One clip an item: its input ``[T, 2, H, W]`` as the first layer gets it, and its action unit's class."""

    def __init__(self, network: Network | IntegerNetwork, clips: Sequence[EventBatch], labels: Sequence[int]) -> None:
        self.network, self.clips, self.labels = network, clips, labels

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return _frames(self.network, self.clips[index]), self.labels[index]


def _frames(network: Network | IntegerNetwork, clip: EventBatch) -> Tensor:
    if isinstance(network, IntegerNetwork):
        blocks = [torch.from_numpy(block[:, 0].astype(np.float32)) for block in payloads(network, clip)]
        return torch.cat(blocks)
    return coded(clip, network).dense()[:, 0]


def run(network: Network | IntegerNetwork, clips: Sequence[EventBatch], labels: Sequence[int]) -> dict[str, Any]:
    """Measure one network on clips (batches of one) with classes of action units (−1: unlabelled).

    Returns ``neurobench`` (the harness's own figures, names and conventions), ``ours`` (the same by our counts) and
    ``unexplained`` (synaptic operations, spikes and zero weights that differ after the known conventions; all 0 where
    the two agree). Raises :class:`InputError` where NeuroBench is absent or one of its metrics fails.
    """
    chain = Chain(network)
    harness, static, workload = _metrics()
    heads = (network.host.heads if network.host else {}) if isinstance(network, IntegerNetwork) else network.heads

    def answers(readout: Tensor) -> Tensor:
        return decode(readout.swapaxes(0, 1), heads)["au"].mean(0).argmax(1)

    labelled = "au" in heads and all(label >= 0 for label in labels)
    wanted = [*workload[:-1], *(workload[-1:] if labelled else [])]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        loader = DataLoader(_Inputs(network, clips, labels), batch_size=1)
        found = harness(_model(chain), loader, [], [answers] if labelled else [], [static, wanted]).run()
    # the harness goes on after a metric's error, with a zero in its place
    failed = [line for line in said.getvalue().splitlines() if line.startswith("Error running")]
    if failed:
        raise InputError(_WHERE, failed[0], "Install the version that docs/neurobench.md names")
    ours = _counted(network, clips)
    return {
        "neurobench": found,
        "version": version("neurobench"),
        "clips": len(clips),
        "ours": ours,
        "unexplained": _unexplained(found, ours, len(clips)),
    }


def _metrics() -> tuple[Any, list[Any], list[Any]]:
    try:
        from neurobench.benchmarks import Benchmark
        from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
        from neurobench.metrics.workload import (
            ActivationSparsity,
            ActivationSparsityByLayer,
            ClassificationAccuracy,
            SynapticOperations,
        )
    except ImportError as e:
        fix = "Run python -m pip install --no-deps neurobench tqdm"
        raise InputError(_WHERE, f"is not installed ({e})", fix) from e
    workload = [ActivationSparsity, ActivationSparsityByLayer, SynapticOperations, ClassificationAccuracy]
    return Benchmark, [Footprint, ConnectionSparsity, ParameterCount], workload


def _model(chain: Chain) -> Any:
    from neurobench.models import NeuroBenchModel

    class Model(NeuroBenchModel):
        """The network as NeuroBench calls it; its spiking layers are the activations, its readout is none."""

        def __init__(self) -> None:
            super().__init__()
            self.add_activation_module(FloatNeurons)
            self.add_activation_module(IntegerNeurons)

        def __call__(self, batch: Tensor) -> Tensor:
            chain.reset()
            return torch.stack([chain(step) for step in batch.unbind(1)], 1)

        def __net__(self) -> Chain:
            return chain

        def activation_layers(self) -> list[dict[str, Any]]:
            return [found for found in super().activation_layers() if found["layer"].spiking]

    return Model()


def _counted(network: Network | IntegerNetwork, clips: Sequence[EventBatch]) -> dict[str, Any]:
    """The same by our own counts, on what our own backend does."""
    integer = isinstance(network, IntegerNetwork)
    shapes = geometry(network) if isinstance(network, IntegerNetwork) else network
    run_backend = get_backend("fixed" if integer else "torch")
    runs = [(clip, run_backend(network, clip).dense()) for clip in clips]
    counts = count(shapes, runs)
    spiking = [c for c, layer in zip(counts.layers, shapes.layers, strict=True) if layer.spiking]
    updates = sum(layer.neurons for layer in shapes.layers if layer.spiking)
    sparsity = [1 - sum(int(s.sum()) for s in trace.spikes) / (updates * len(trace.readout)) for _, trace in runs]
    zeros = sum(int((layer.weight == 0).sum()) for layer in shapes.layers)
    return {
        "synops": counts.total("synops"),
        "synops_first_layer": counts.layers[0].synops,
        "zero_weight_synops": sum(_through_zeros(shapes, network, clip, trace) for clip, trace in runs),
        "spikes": counts.total("spikes"),
        "activation_sparsity": float(np.mean(sparsity)),
        "activation_sparsity_by_layer": {c.name: 1 - c.spikes / c.updates for c in spiking},
        "connection_sparsity": zeros / counts.total("parameters"),
        "parameters": counts.total("parameters"),
        "steps": counts.steps,
    }


def _through_zeros(shapes: Network, network: Network | IntegerNetwork, clip: EventBatch, trace: Trace) -> int:
    """Synaptic operations whose weight is zero."""
    total = 0
    sources = [_frames(network, clip) != 0, *(s[:, 0] for s in trace.spikes)]
    for layer, source in zip(shapes.layers, sources, strict=False):
        mask, spikes = torch.as_tensor(layer.weight == 0).double(), source.double().sum(0, keepdim=True)
        if layer.kind == "conv":
            reached = F.conv2d(spikes, mask, None, layer.stride, layer.padding, layer.dilation, layer.groups)
        else:
            reached = F.linear(spikes.flatten(1), mask)
        total += int(reached.sum())
    return total


def _unexplained(found: dict[str, Any], ours: dict[str, Any], clips: int) -> dict[str, float]:
    """What is left of the differences after the conventions that are known."""
    operations = found["SynapticOperations"]
    theirs = round((operations["Effective_MACs"] + operations["Effective_ACs"]) * clips)
    layers = found["ActivationSparsityByLayer"]
    return {
        "synops": ours["synops"] - ours["zero_weight_synops"] - theirs,
        "activation_sparsity": round(ours["activation_sparsity"] - found["ActivationSparsity"], 12),
        "activation_sparsity_by_layer": max(
            round(abs(layers[name] - value), 12) for name, value in ours["activation_sparsity_by_layer"].items()
        ),
        # the harness rounds to four digits
        "connection_sparsity": round(round(ours["connection_sparsity"], 4) - float(found["ConnectionSparsity"]), 12),
        "parameters": ours["parameters"] - found["ParameterCount"],
    }

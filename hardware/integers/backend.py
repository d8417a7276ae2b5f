"""The backend ``fixed``: a quantised network on a batch of clips, in the compiled engine where that can say it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from snnface.backends import Trace
from snnface.batch import EventBatch
from snnface.engine import streams
from snnface.events import by_step, pack
from snnface.hardware.integers import fixed_point
from snnface.hardware.integers.network import STATE_SHIFT, IntegerNetwork
from snnface.hardware.integers.stream import Compiled, compiled
from snnface.hardware.netx_files.manifest import load


def run(network: IntegerNetwork | str | Path, batch: EventBatch, steps: int | None = None) -> Trace:
    """What :func:`snnface.hardware.integers.fixed_point.run` answers, to the bit, at the cost of what happens.

    ``network`` may be a netx file beside its manifest. Clips are shared out over torch's number of threads. Raises
    :class:`InputError` as the simulator does.
    """
    network = network if isinstance(network, IntegerNetwork) else load(network)
    weights = compiled(network)
    if weights is None or (2, batch.height, batch.width) != network.input_shape:
        return fixed_point.run(network, batch, steps)
    assert network.host is not None
    step_us = network.host.step_us
    total = int(batch.steps(step_us).max()) if steps is None else steps
    spikes = [np.zeros((total, batch.size, *x.shape_out), bool) for x in network.layers]
    readout = np.zeros((total, batch.size, network.layers[-1].neurons), np.int32)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        ranges = list(
            pool.map(
                lambda b: _clip(weights, _ticks(batch, b, step_us, total), [s[:, b] for s in spikes], readout[:, b]),
                range(batch.size),
            )
        )
    wraps = np.sum([wraps for wraps, _ in ranges], axis=0)
    fixed_point.check_range(network, wraps, max(peak for _, peak in ranges))
    found = [torch.from_numpy(s) for s in spikes]
    if network.layers[-1].spiking:
        return Trace(found, found[-1].flatten(2).float())
    scale = network.host.scales[-1] * float(1 << STATE_SHIFT)
    return Trace(found[:-1], torch.from_numpy((readout / scale).astype(np.float32)))


def _clip(
    weights: streams.Weights, ticks: list[np.ndarray], spikes: list[np.ndarray], readout: np.ndarray
) -> tuple[np.ndarray, float]:
    """Runs one clip into ``spikes`` (of every layer, bool ``[T, *shape_out]``) and ``readout`` int32 ``[T, R]``."""
    state = Compiled(weights)
    for k, events in enumerate(ticks):
        assert state.tick(events, [s[k] for s in spikes]), "events of a batch are of their steps and places"
        readout[k] = state.readout
    return state.range()


def _ticks(batch: EventBatch, clip: int, step_us: int, total: int) -> list[np.ndarray]:
    """A clip's events step by step; the first step takes t = 0 too."""
    own = slice(int(batch.offsets[clip]), int(batch.offsets[clip + 1]))
    events = pack(*(column[own].numpy() for column in (batch.t, batch.x, batch.y, batch.p)))
    return by_step(events, step_us, total)

"""The recording that a bundle is checked with, and what the network makes of it.

It is simulated, always: a bundle goes to other people, and a real face is not ours to hand on. A clip of a
synthetic data set where one is at hand, else a bar that moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from snnface.batch import EventBatch, collate_events
from snnface.datasets.store import SPLITS, Store
from snnface.events import pack
from snnface.hardware.integers.fixed_point import check, payloads, simulator
from snnface.hardware.integers.network import IntegerNetwork
from snnface.io.hdf5_file import write

#: Of the moving bar: length, width and rate.
_BAR_US, _BAR_WIDTH, _BAR_EVENTS_PER_MS = 600_000, 6, 12


@dataclass(frozen=True)
class Reference:
    """Events at the network's size, structured ``[E]``, and where they come from."""

    events: np.ndarray
    width: int
    height: int
    about: str

    def save(self, path: Path) -> None:
        """Write it as one recording (HDF5)."""
        write(path, iter([self.events]), (self.width, self.height), "hdf5")

    def batch(self) -> EventBatch:
        """As a batch of one clip that begins with the first event and ends with the last."""
        local = self.events.copy()
        local["t"] -= local["t"][0]
        return collate_events([local], [max(1, int(local["t"][-1]))], self.width, self.height)


def choose(data: Path | None, input_shape: tuple[int, ...]) -> Reference:
    """A clip of test people (else validation, else any) of a synthetic data set of the network's size, or a bar."""
    _, height, width = input_shape
    if data is not None:
        store = Store(data)
        settings = store.generator.get("settings", {})
        # what snnface synth makes states its code; what is converted from published sets its layout
        if "code" in settings and "layout" not in settings and (store.width, store.height) == (width, height):
            splits = np.asarray(store.split)
            for split in (2, 1, 0):
                for clip in np.flatnonzero((splits == split) & (np.diff(store.offsets) > 0)):
                    who = f"person {store.identity[clip]}, {SPLITS[split]} split, {store.generator['name']} face"
                    about = f"clip {clip} of {data.name}: {who}, simulated by snnface synth"
                    return Reference(store.events(int(clip)), width, height, about)
    return Reference(_bar(width, height), width, height, "a bar moving to the right, drawn by numbers; no face")


def _bar(width: int, height: int) -> np.ndarray:
    """A bright bar that crosses the picture once: on events at its front, off events at its back."""
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, _BAR_US, _BAR_US // 1000 * _BAR_EVENTS_PER_MS))
    p = rng.integers(0, 2, len(t))
    front = t * width // _BAR_US
    x = np.where(p == 1, front, front - _BAR_WIDTH) % width
    return pack(t, x, rng.integers(0, height, len(t)), p)


def write_expected(path: Path, networks: dict[str, IntegerNetwork], batch: EventBatch) -> None:
    """What the integer simulator computes, by input mode: every spike (packed bits, ``spikes/i [T, N/8]``) and the
    readout's membranes (``membranes [T, R]``, int32)."""
    with h5py.File(path, "w") as file:
        for mode, network in networks.items():
            sim, last = simulator(network), len(network.layers) - 1
            blocks = [sim.advance(block, states=[last]) for block in payloads(network, batch)]
            check(sim)
            for i in range(last + 1):
                spikes = np.concatenate([b[i].s.reshape(len(b[i].s), -1) for b in blocks])
                packed = np.packbits(spikes, axis=1)
                file.create_dataset(f"{mode}/spikes/{i}", data=packed, compression="gzip", shuffle=True)
            membranes = np.concatenate([b[last].v.reshape(len(b[last].v), -1) for b in blocks])
            file.create_dataset(f"{mode}/membranes", data=membranes, compression="gzip", shuffle=True)

"""Input of simulations and verifications: clips of a data set, arrays of spikes, random spikes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from snnface.errors import InputError
from snnface.hardware.integers.fixed_point import payloads
from snnface.hardware.integers.network import PAYLOAD_LIMIT, Host, IntegerNetwork

if TYPE_CHECKING:
    from snnface.batch import EventBatch
    from snnface.datasets.store import Store

#: Steps and density of the random input where no data is given.
_RANDOM_STEPS, _RANDOM_DENSITY = 64, 0.05
#: Step of events for a network without a manifest, which does not say its own, µs.
_STEP_US = 1_000


@dataclass(frozen=True)
class Clips:
    """Integer input of N clips of the same length, int32 ``[N, T, *input_shape]``, and where it comes from."""

    x: np.ndarray
    source: str
    mode: str


def read_clips(path: str | Path, clips: int, split: int = 2) -> EventBatch:
    """The first clips of a split (0 train, 1 validation, 2 test) of a data set, of all of it where it is empty."""
    from snnface.datasets.store import Store

    store = Store(path)
    chosen = np.flatnonzero(np.asarray(store.split) == split)
    chosen = (chosen if len(chosen) else np.arange(len(store)))[:clips]
    if len(chosen) == 0:
        raise InputError(path, "holds no clips", "Give a data set with clips")
    return collated(store, chosen)


def split_of(path: str | Path, split: str | None, shape: tuple[int, ...]) -> tuple[Store, np.ndarray]:
    """A data set and the numbers of its clips in a split (None: of all), for a network whose input has this shape.

    Raises :class:`InputError` where the split is unknown or the sizes differ.
    """
    from snnface.datasets.store import SPLITS, Store

    if split is not None and split not in SPLITS:
        raise InputError("--split", f"{split} is unknown", f"Use one of {', '.join(SPLITS)}")
    store = Store(path)
    if (store.height, store.width) != tuple(shape[1:]):
        what = f"holds {store.width}x{store.height} pixels, the network takes {shape[2]}x{shape[1]}"
        raise InputError(path, what, "Convert it with snnface convert --size")
    return store, np.arange(len(store)) if split is None else np.flatnonzero(store.split == SPLITS.index(split))


def collated(store: Store, clips: Sequence[int] | np.ndarray) -> EventBatch:
    """These clips of a data set as one batch."""
    from snnface.batch import collate_events

    events = [store.events(int(i)) for i in clips]
    return collate_events(events, [int(store.duration_us[i]) for i in clips], store.width, store.height)


def chip_input(
    network: IntegerNetwork,
    data: str | Path | None,
    clips: int,
    mode: str | None = None,
    seed: int = 0,
    step_us: int | None = None,
) -> Clips:
    """Integer input of a verification: a data set, an array of spikes or payloads, or (None) random spikes.

    ``mode`` "graded" or "unary" (payloads become spikes); default: the manifest's, else what the array holds.
    ``step_us``: step of events for a network without a manifest, one spike a pixel; 1 ms by default.
    """
    if step_us is not None and (network.host is not None or data is None or Path(data).suffix == ".npy"):
        what = "is for events of a data set into a network without a manifest"
        raise InputError("--step-us", what, "Leave it out: the manifest, or the array, says what a step is")
    if data is not None and Path(data).suffix != ".npy":
        return _events(network, data, clips, mode, step_us or _STEP_US)
    if data is not None:
        x, source = read_spikes(data, network.input_shape)[None], str(data)
    else:
        rng = np.random.default_rng(seed)
        shape = (clips, _RANDOM_STEPS, *network.input_shape)
        x = (rng.random(shape) < _RANDOM_DENSITY) * rng.integers(1, 32, shape).astype(np.int32)
        source, mode = f"random, seed {seed}", mode or (network.host.input_mode if network.host else "unary")
    mode = mode or ("graded" if x.max() > 1 else "unary")
    return Clips(x if mode == "graded" else (x > 0).astype(np.int32), source, mode)


def _events(network: IntegerNetwork, data: str | Path, clips: int, mode: str | None, step_us: int) -> Clips:
    """Events as the manifest says; without one a spike for each pixel and step that has any."""
    batch, source, host = read_clips(data, clips), str(data), network.host
    if host is None:
        if mode == "graded":
            what = "needs a manifest, which says how the age of events becomes a payload"
            raise InputError("--input graded", what, "Use --input unary, or give payloads as --data PAYLOADS.npy")
        source += f": a spike for each pixel and step of {step_us} µs that has events"
        host = Host(step_us, float(step_us), "unary", 1, 1, ())
    camera = (2, batch.height, batch.width)
    flat = network.input_shape == (math.prod(camera),)
    fed = replace(network, host=host, input_shape=camera if flat else network.input_shape)
    x = np.concatenate([block.astype(np.int32) for block in payloads(fed, batch)]).swapaxes(0, 1)
    return Clips(x.reshape(*x.shape[:2], *network.input_shape), source, host.input_mode)


def shape_of_data(data: str | Path | None) -> tuple[int, ...] | None:
    """The shape of one step of what :func:`chip_input` takes; None for random spikes, which have the network's."""
    if data is None or Path(data).suffix == ".npy":
        return None if data is None else shape_of(data)
    from snnface.datasets.store import Store

    store = Store(data)
    return 2, store.height, store.width


def shape_of(path: str | Path) -> tuple[int, ...] | None:
    """The shape of one step of an input array; None where it cannot be read, of which :func:`read_spikes` tells."""
    try:
        return tuple(np.load(path, mmap_mode="r", allow_pickle=False).shape[1:]) or None
    except (OSError, ValueError, EOFError):
        return None


def read_steps(path: str | Path, input_shape: tuple[int, ...]) -> np.ndarray:
    """An array of any kind, ``[T, *input_shape]`` (or ``[T, N]``) in its .npy file."""
    try:
        x = np.load(path, allow_pickle=False)
    except FileNotFoundError as e:
        raise InputError(path, "does not exist", "Check the path") from e
    except (OSError, ValueError, EOFError) as e:
        raise InputError(path, f"is not a readable .npy array ({e})", "Write it with numpy.save") from e
    if not isinstance(x, np.ndarray) or x.ndim < 2 or len(x) == 0 or x[0].size != np.prod(input_shape):
        raise InputError(
            path,
            f"has shape {getattr(x, 'shape', '?')}, the network takes {('T', *input_shape)}",
            "Give one step a row: [T, C, H, W] or [T, N]",
        )
    return x.reshape(len(x), *input_shape)


def read_spikes(path: str | Path, input_shape: tuple[int, ...]) -> np.ndarray:
    """An input array ``[T, *input_shape]`` (or ``[T, N]``) of non-negative integers, int32."""
    x = read_steps(path, input_shape)
    if x.dtype.kind not in "biuf" or not np.isfinite(x).all() or not np.array_equal(x, whole := x.astype(np.int64)):
        raise InputError(path, "holds values that are not integers", "Give spikes (0 and 1) or integer payloads")
    if whole.min() < 0 or whole.max() > PAYLOAD_LIMIT:
        raise InputError(path, f"holds payloads outside 0..{PAYLOAD_LIMIT}", "Payloads have 8 bits")
    return whole.astype(np.int32)

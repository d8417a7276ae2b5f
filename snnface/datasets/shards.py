"""Several data sets seen as one: a small file whose long columns lie in the others (HDF5 virtual data sets).

Labels and offsets are copied, everything else is read from the shards when it is asked for. HDF5 reads zeros where a
shard is missing, so the shards are named with their sizes in the root attribute ``shards`` and checked at the start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from snnface import __version__
from snnface.datasets.layout import CLIP_FIELDS, EVENT_FIELDS, FRAME_FIELDS, OFFSETS
from snnface.errors import InputError
from snnface.hdf5 import new_file

if TYPE_CHECKING:
    from snnface.datasets.store import Store

#: What the shards of a data set have in common.
_ALIKE = ("width", "height", "landmark_scheme", "rgb_aligned")


def join(path: str | Path, shards: Sequence[Store], generator: dict[str, Any]) -> None:
    """Write ``path``, a data set of all clips of the shards in their order; the shards stay where they are.

    ``generator``: what made the clips, as JSON values. Names are kept relative to the folder of ``path``: move the
    file and its shards together.

    Raises
    ------
    InputError: the shards differ in sensor, landmarks, coefficients or in having pictures; the disk is full.
    """
    path = Path(path)
    if not shards:
        raise InputError(path, "a data set without shards", "Name at least one")
    names = [Path(os.path.relpath(s.path.resolve(), path.resolve().parent)).as_posix() for s in shards]
    first = shards[0]
    with new_file(path, libver=("v110", "v110")) as (file, _):
        file.attrs.update({name: first.attrs[name] for name in _ALIKE})
        file.attrs.update(version=__version__, seed=generator.get("settings", {}).get("seed", -1))
        file.attrs["generator"] = json.dumps(generator, sort_keys=True)
        sizes = [s.path.stat().st_size for s in shards]
        file.attrs["shards"] = json.dumps([{"file": n, "bytes": b} for n, b in zip(names, sizes, strict=True)])
        for name in OFFSETS:
            counts = np.concatenate([np.diff(getattr(s, name)) for s in shards])
            file[name] = np.append(0, counts.cumsum()).astype(np.int64)
        for name, kind in CLIP_FIELDS.items():
            file[name] = np.concatenate([getattr(s, name) for s in shards]).astype(kind)
        for name, parts in _columns(shards):
            _virtual(file, name, list(zip(names, parts, strict=True)))


def _columns(shards: Sequence[Store]) -> Iterator[tuple[str, list[tuple[tuple[int, ...], np.dtype[Any]]]]]:
    """Shape and type of every long column in each shard; raises :class:`InputError` where they do not fit."""
    long = (*(f"events/{name}" for name in EVENT_FIELDS), "index_ms", *FRAME_FIELDS)
    found: list[dict[str, tuple[tuple[int, ...], np.dtype[Any]]]] = []
    for shard in shards:
        with closing(h5py.File(shard.path, "r")) as file:
            names = (*long, *shard.extra, *(("rgb",) if shard.has_rgb else ()))
            found.append({name: (file[name].shape, file[name].dtype) for name in names})
        differing = [name for name in _ALIKE if shard.attrs[name] != shards[0].attrs[name]]
        differing += sorted(found[-1].keys() ^ found[0].keys())
        differing += [n for n in found[0].keys() & found[-1].keys() if found[0][n][0][1:] != found[-1][n][0][1:]]
        if differing:
            raise InputError(
                shard.path, f"{differing[0]} differs from that of {shards[0].path.name}", "Join data sets of one kind"
            )
    for name in found[0]:
        yield name, [shard[name] for shard in found]


def _virtual(file: h5py.File, name: str, parts: list[tuple[str, tuple[tuple[int, ...], np.dtype[Any]]]]) -> None:
    ends = np.append(0, np.cumsum([shape[0] for _, (shape, _) in parts]))
    (_, (shape, kind)) = parts[0]
    layout = h5py.VirtualLayout((int(ends[-1]), *shape[1:]), kind)
    for (start, stop), (source, (shape, _)) in zip(pairwise(ends.tolist()), parts, strict=True):
        if stop > start:
            layout[start:stop] = h5py.VirtualSource(source, name, shape, kind)
    file.create_virtual_dataset(name, layout)


def check(path: Path, file: h5py.File) -> None:
    """Raise :class:`InputError` unless every shard that the open data set names is there as it was."""
    for shard in json.loads(file.attrs.get("shards", "[]")):
        where = path.parent / shard["file"]
        if not where.is_file():
            raise InputError(where, f"is missing: {path.name} is made of it", "Move a data set with its shards")
        if where.stat().st_size != shard["bytes"]:
            raise InputError(where, f"has changed since {path.name} was made of it", "Make the data set again")

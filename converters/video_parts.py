"""Finished parts of a long simulation, in a folder beside the output."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from snnface.converters.video_state import load_state, save_state
from snnface.errors import InputError
from snnface.files import FULL, atomic_path, read_json, write_json


class Parts:
    """The folder ``TARGET.parts``: events by part, and the simulator's state after the last part that has one.

    ``pictures``: how many pictures are in the parts so far; ``extra``: JSON values stored with the state. At the end
    the folder goes where the run is ``finished`` or nothing in it is worth keeping.

    Raises
    ------
    InputError: an unfinished run is there and ``resume`` is not set, or it was made by another plan.
    """

    def __init__(self, target: Path, plan: dict[str, Any], simulator: object, resume: bool) -> None:
        self.folder = target.with_name(target.name + ".parts")
        self.pictures, self.extra, self.finished = 0, dict[str, Any](), False
        self._state, self._count = self.folder / "state.npz", 0
        if self._state.is_file():
            if read_json(self.folder / "plan.json") != plan:
                raise InputError(self.folder, "holds parts of another film, settings or code", "Remove it")
            if not resume:
                raise InputError(self.folder, "holds an unfinished run", "Add --resume to go on, or remove it")
            stored = load_state(self._state, simulator)
            self.pictures, self._count, self.extra = stored["pictures"], stored["parts"], stored["extra"]
        write_json(self.folder / "plan.json", plan)

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *error: object) -> None:
        if self.finished or not self._state.is_file():
            shutil.rmtree(self.folder, ignore_errors=True)

    def add(
        self,
        events: list[np.ndarray],
        simulator: object = None,
        pictures: int = 0,
        extra: dict[str, Any] | None = None,
    ) -> None:
        """Keep events ``[E]`` of one part more, and the state after them; without a simulator it is the last part."""
        try:
            with atomic_path(self._file(self._count)) as temporary:
                np.save(temporary, np.concatenate(events), allow_pickle=False)
            self._count += 1
            if simulator is not None:
                save_state(self._state, simulator, pictures=pictures, parts=self._count, extra=extra or {})
        except OSError as e:
            if e.errno in FULL or isinstance(e, InputError):
                raise
            raise InputError(self.folder, f"cannot be written: {e.strerror or e}", "Choose another disk") from e

    def events(self) -> Iterator[np.ndarray]:
        """Events of all parts, ``[E]``, in order, at most a part in memory."""
        return (np.load(self._file(number), allow_pickle=False) for number in range(self._count))

    def holds_events(self) -> bool:
        """Whether there is at least one event."""
        sizes = (len(np.load(self._file(n), mmap_mode="r", allow_pickle=False)) for n in range(self._count))
        return any(itertools.islice(filter(None, sizes), 1))

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:07d}.npy"

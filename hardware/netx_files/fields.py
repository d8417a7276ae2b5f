"""One layer's group of a netx file: its fields as integers, or a refusal that names layer, reason and fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snnface.errors import InputError

#: Lava keeps kernel sizes, strides, paddings and dilations in signed bytes.
SIZE_MAX = 127


class Fields:
    """Reads the fields of ``layer/INDEX``; ``warnings`` collects what its reader should know."""

    def __init__(self, path: str | Path, index: int, group: h5py.Group) -> None:
        self.path, self.index, self.group = path, index, group
        self.warnings: list[str] = []

    @property
    def where(self) -> str:
        """The layer, by file and number."""
        return f"{self.path} layer/{self.index}"

    def refuse(self, what: str, fix: str) -> InputError:
        """The refusal of this layer."""
        return InputError(self.where, what, fix)

    def warn(self, what: str) -> None:
        """Keep a sentence for the reader."""
        self.warnings.append(f"layer/{self.index} {what}")

    def __contains__(self, name: str) -> bool:
        return name in self.group

    def text(self, name: str) -> str:
        """A text of one element, as netx reads it."""
        value = self._value(name)
        first = value if value.shape == () else value.reshape(-1)[:1].reshape(())
        item = first.item() if value.size else b""
        return item.decode("ascii", "replace") if isinstance(item, bytes) else str(item)

    def integers(self, name: str) -> np.ndarray:
        """A field's values as int64, in the shape that it has in the file."""
        value = self._value(name)
        if value.dtype.kind not in "biuf":
            raise self.refuse(f"has '{name}' of type {value.dtype}", "Write it as integers or whole floats")
        if value.size == 0:
            raise self.refuse(f"has an empty '{name}'", "Write one value for each of them")
        with np.errstate(invalid="ignore"):
            whole = value.astype(np.int64)
        if not np.isfinite(value).all():
            raise self.refuse(f"has '{name}' that is not finite", "Train again: a weight has diverged")
        if not np.array_equal(whole, value):
            what = f"has values in '{name}' that are not integers, which netx would truncate"
            raise self.refuse(what, "Quantise the network, or multiply by its scale before writing")
        return whole

    def require_wide(self, name: str) -> None:
        """Refuse other types than int32 and int64: netx and Lava compute in a field's own type."""
        if name in self.group and (dtype := self.dtype(name)) not in (np.int32, np.int64):
            what = f"has '{name}' as {dtype}, on which Lava stands still, fails or wraps"
            raise self.refuse(what, "Store it as int64")

    def shape(self) -> tuple[int, ...]:
        """The layer's own shape."""
        self.require_wide("shape")
        return tuple(int(n) for n in np.atleast_1d(self.integers("shape")))

    def one(self, name: str) -> int:
        """A single number, stored without dimensions."""
        self.require_wide(name)
        value = self.integers(name)
        if value.shape != ():
            raise self.refuse(f"has '{name}' of shape {value.shape}, netx takes a scalar", "Store one plain number")
        return int(value)

    def pair(self, name: str, least: int) -> tuple[int, int]:
        """One number or (y, x), each ``least``..127."""
        self.require_wide(name)
        value = self.integers(name)
        if value.shape not in ((), (2,)):
            what = f"has '{name}' of shape {value.shape}; netx takes one number or (y, x)"
            raise self.refuse(what, f"Store '{name}' as a scalar or as two numbers")
        if value.min() < least or value.max() > SIZE_MAX:
            what = f"has '{name}' {value.tolist()} outside {least}..{SIZE_MAX}"
            raise self.refuse(what, "Use a size that fits Lava's signed byte")
        y, x = np.broadcast_to(value, 2)
        return int(y), int(x)

    def parameter(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """A neuron parameter, brought to a shape that broadcasts to ``shape`` (CHW or O).

        The file holds one number, one a channel ``[C]``, or one a neuron (``[O]``, or ``[W, H, C]`` for conv).
        """
        value = self.integers(name)
        if value.size == 1:
            return value.reshape(())
        if value.shape == shape[::-1]:
            return value.transpose()
        if len(shape) == 3 and value.shape == shape[:1]:
            return value.reshape(-1, 1, 1)
        what = f"has '{name}' of shape {value.shape}, which does not fit neurons {shape}"
        order = "one a channel, or [W, H, C]" if len(shape) == 3 else "or one a neuron"
        raise self.refuse(what, f"Store one number, {order}")

    def dtype(self, name: str) -> np.dtype:
        """The type that a field has in the file."""
        dtype: np.dtype = self.group[name].dtype
        return dtype

    def _value(self, name: str) -> np.ndarray:
        if name not in self.group:
            raise self.refuse(f"has no '{name}'", f"Write '{name}' too: netx needs it")
        found: Any = self.group[name]
        if not isinstance(found, h5py.Dataset):
            raise self.refuse(f"has a group where '{name}' should be values", "Write an array")
        return np.asarray(found[()])

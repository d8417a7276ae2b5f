"""What a model's shapes do to the vertices that are drawn, by channel of motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnface.faces.actions import CHANNEL_INDEX, CHANNELS
from snnface.faces.linear.bases import Bases
from snnface.faces.linear.topology import Topology

#: Channels beside the acted ones: lids by eye (0 right, 1 left), their last bit, and how they follow the gaze.
BLINK, SEAL = len(CHANNELS), len(CHANNELS) + 2
LOOK = len(CHANNELS) + 4
LOOKS = ("look_up", "look_down", "look_right", "look_left")
#: From here on come the components of a face that has no action map.
COUNT = LOOK + len(LOOKS)
#: Channels of the lids alone, which a blink overrules.
LID_CHANNELS = {e: [CHANNEL_INDEX[au, side] for au in (5, 7)] for e, side in enumerate((-1, 1))}
#: Displacements below this many cm are left out.
_LEAST = 1e-3


@dataclass(frozen=True)
class Fields:
    """Sparse channels as :class:`~snnface.faces.linear.kernels.LinearModel` has them: ``start`` [C + 1], ``vertex``
    and ``delta`` [N, 3] (cm)."""

    start: np.ndarray
    vertex: np.ndarray
    delta: np.ndarray

    def dense(self, channel: int, vertices: int) -> np.ndarray:
        """float64 ``[V, 3]``: one channel at its full."""
        out = np.zeros((vertices, 3))
        k = slice(self.start[channel], self.start[channel + 1])
        out[self.vertex[k]] = self.delta[k]
        return out

    def replaced(self, new: dict[int, np.ndarray]) -> Fields:
        """The same, with some channels set from ``[V, 3]``."""
        parts = []
        for c in range(len(self.start) - 1):
            k = slice(self.start[c], self.start[c + 1])
            parts.append(_sparse(new[c]) if c in new else (self.vertex[k], self.delta[k]))
        return _joined(parts)


def build_fields(bases: Bases, topology: Topology) -> Fields:
    """Channels from the model's actions; those it has none for move nothing."""
    scale, turn, shift = topology.frame
    source, count = topology.source, len(topology.s)
    # Sides of actions that the model moves as one.
    x = np.zeros(count)
    x[: len(source)] = (scale * bases.neutral @ turn[0] + shift[0])[source]
    right = 1 / (1 + np.exp(np.clip(x / 0.3, -30, 30)))

    def whole(shape: np.ndarray) -> np.ndarray:
        out = np.zeros((count, 3))
        out[: len(source)] = scale * shape[source] @ turn.T
        return out

    def mixed(name: str) -> np.ndarray | None:
        if name not in bases.actions:
            return None
        mix = bases.actions[name].items()
        return whole(np.sum([w * bases.shapes[bases.shape_names.index(s)] for s, w in mix], 0))

    def channel(name: str, side: int) -> np.ndarray:
        own = mixed(name if side == 0 else f"{name}_{'right' if side < 0 else 'left'}")
        both = mixed(name) if own is None else None
        if both is not None:
            own = both * (right if side < 0 else 1 - right)[:, None]
        return np.zeros((count, 3)) if own is None else own

    parts = [_sparse(channel(str(au), side)) for au, side in CHANNELS]
    parts += [_sparse(channel("blink", side)) for side in (-1, 1)]
    parts += [_sparse(np.zeros((count, 3)))] * 2
    parts += [_sparse(channel(name, 0)) for name in LOOKS]
    if not bases.actions:
        parts += [_sparse(whole(shape)) for shape in bases.shapes]
    return _joined(parts)


def _sparse(d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    vertex = np.flatnonzero(np.abs(d).max(1) > _LEAST)
    return vertex, d[vertex].astype(np.float32)


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> Fields:
    start = np.cumsum([0, *(len(v) for v, _ in parts)])
    return Fields(start, np.concatenate([v for v, _ in parts]), np.concatenate([d for _, d in parts]))

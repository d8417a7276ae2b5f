"""A linear face made ready once: everything its people share, in the frame of the head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnface.faces.atlas import in_disc
from snnface.faces.linear.bases import Bases
from snnface.faces.linear.fields import Fields, build_fields
from snnface.faces.linear.lids import LidMargins, find_margins
from snnface.faces.linear.topology import EYE_GRID, SKIN, Topology, build_topology, collar
from snnface.faces.mesh import MOUTH_Y


@dataclass(frozen=True)
class Head:
    """neutral ``[V, 3]`` and modes ``[K, V, 3]`` (float32) in cm; V as drawn.

    margins: of the right and the left lids, where the skin has holes for the eyes. mouth: vertices around the lips,
    where landmarks tell. eye_centres ``[2, 3]`` and their modes ``[K, 2, 3]``, with eyes only.
    """

    bases: Bases
    topology: Topology
    fields: Fields
    neutral: np.ndarray
    modes: np.ndarray
    margins: list[LidMargins] | None
    mouth: np.ndarray
    eye_centres: np.ndarray
    eye_modes: np.ndarray

    def rest(self, amplitude: np.ndarray) -> np.ndarray:
        """float64 ``[V, 3]``: the face of ``amplitude`` [K] at rest."""
        return self.neutral + np.tensordot(amplitude.astype(np.float32), self.modes, 1)

    def centres(self, amplitude: np.ndarray) -> np.ndarray:
        """``[2, 3]``: where the eyeballs of that face have their centres."""
        return np.asarray(self.eye_centres + np.tensordot(amplitude, self.eye_modes, 1))


def build_head(bases: Bases) -> Head:
    """Everything that does not depend on the person."""
    topology = build_topology(bases)
    scale, turn, shift = topology.frame
    source, mesh = topology.source, topology.mesh
    spare = np.zeros((len(mesh.eyes), 3))
    neutral = np.concatenate([scale * bases.neutral[source] @ turn.T + shift, spare])
    neutral[:, 1] += collar(topology, neutral)
    modes = np.zeros((len(bases.identity), *neutral.shape), np.float32)
    modes[:, : len(source)] = scale * bases.identity[:, source] @ turn.T
    # Margins are looked for where the texture has no seams: copies of a vertex count as one.
    skin = mesh.smooth[(topology.kind[mesh.smooth] == SKIN).all(1) & ~topology.folded[mesh.smooth].any(1)]
    eyes = "eye_right" in bases.parts
    mouth = (topology.kind == SKIN) & (np.abs(topology.s) < 3.5) & (np.abs(topology.y - MOUTH_Y) < 1.6)
    balls = [bases.parts[f"eye_{side}"] for side in ("right", "left")] if eyes else []
    return Head(
        bases=bases,
        topology=topology,
        fields=build_fields(bases, topology),
        neutral=neutral,
        modes=modes,
        margins=find_margins(neutral, skin, mesh.landmarks) if eyes else None,
        mouth=np.flatnonzero(mouth) if len(mesh.landmarks) else np.empty(0, np.int64),
        eye_centres=np.array([_ball(scale * bases.neutral[b] @ turn.T + shift) for b in balls]).reshape(-1, 3),
        eye_modes=np.stack([scale * bases.identity[:, b].mean(1) @ turn.T for b in balls], 1) if eyes else _NO_EYES,
    )


_NO_EYES = np.empty((0, 0, 3))


def eye_front() -> np.ndarray:
    """``[n², 3]``: the front of a ball of radius 1, by the grid that eyeballs are drawn with."""
    v, u = np.meshgrid(np.linspace(1, -1, EYE_GRID), np.linspace(-1, 1, EYE_GRID), indexing="ij")
    x, y = (0.985 * a for a in in_disc(u.ravel(), v.ravel()))
    return np.stack([x, y, np.sqrt(np.maximum(1 - x**2 - y**2, 0))], 1)


def _ball(p: np.ndarray) -> np.ndarray:
    """Centre ``[3]`` of the sphere that fits ``p`` [N, 3] best; the bulge of the cornea is left out."""
    p = p[p[:, 2] < np.quantile(p[:, 2], 0.6)]
    system = np.c_[2 * p, np.ones(len(p))]
    return np.asarray(np.linalg.lstsq(system, (p**2).sum(1), rcond=None)[0][:3])

"""Events that fade: each counts +1 (ON) or −1 (OFF) and decays exponentially, pixel by pixel."""

from __future__ import annotations

import numpy as np

from snnface.view.colours import STEPS


class Surface:
    """s(x, y, t) = Σ ±exp(−(t − tᵢ)/τ) over the events i ≤ t of a pixel, kept from picture to picture.

    The memory it takes is that of the sensor's pixels, however long the recording.
    """

    def __init__(self, width: int, height: int, tau_us: float) -> None:
        self.tau_us, self.t_us = tau_us, 0.0
        self.values = np.zeros((height, width), np.float32)

    def advance(self, events: np.ndarray, t_us: float) -> None:
        """Go on to a time ≥ the last, with the events since then (structured ``[E]``, t ≤ ``t_us``)."""
        self.values *= np.exp((self.t_us - t_us) / self.tau_us)
        self.t_us = t_us
        weight = np.exp((events["t"] - t_us) / self.tau_us) * np.where(events["p"], 1.0, -1.0)
        cell = events["y"].astype(np.int64) * self.values.shape[1] + events["x"]
        self.values += np.bincount(cell, weight, self.values.size).reshape(self.values.shape).astype(np.float32)

    def picture(self, table: np.ndarray) -> np.ndarray:
        """uint8 ``[H, W, 3]`` by a table of colours (:func:`snnface.view.colours.table`)."""
        index = np.rint(self.values * STEPS).clip(-2 * STEPS, 2 * STEPS).astype(np.int32)
        return table[index + 2 * STEPS]

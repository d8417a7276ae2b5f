"""Lava's integer neurons, in numpy.

A step of a neuron with synaptic sum a (integer mantissas, shifts as in :mod:`snnface.hardware.integers.network`)::

    u ← trunc(u·(4096 − iDecay) / 4096) + 64·a        modulo 2³², then wraps once beyond ±2²³
    v ← trunc(v·(4096 − vDecay) / 4096) + u + 64·bias    modulo 2³², then saturates at ±(2²³ − 1)
    spike where v > 64·vThMant, then v ← 0; u is kept

A current that has wrapped once may still lie beyond 24 bits, and grow from step to step until it leaves 32.
States are float64, and exact: products stay below 2⁴⁴.
"""

from __future__ import annotations

import numpy as np

from snnface.hardware.integers.network import DECAY_UNIT, STATE_LIMIT, STATE_SHIFT, IntegerLayer

_SHIFT = float(1 << STATE_SHIFT)
_WORD = float(1 << 32)


class Neurons:
    """The integer neurons of one layer for B clips; states are float64 arrays ``[B, *shape_out]`` of integers.

    ``peak_u``, ``peak_v``: largest magnitudes so far in the states' units (before wrapping and saturation);
    ``wraps``: how often a current wrapped.
    """

    def __init__(self, layer: IntegerLayer, batch: int) -> None:
        self.u = np.zeros((batch, *layer.shape_out))
        self.v = np.zeros_like(self.u)
        self.keep_u = (DECAY_UNIT - layer.i_decay) / DECAY_UNIT
        self.keep_v = (DECAY_UNIT - layer.v_decay) / DECAY_UNIT
        self.threshold = layer.threshold * _SHIFT
        self.bias = layer.bias * _SHIFT
        self.peak_u = self.peak_v = 0.0
        self.wraps = 0

    def reset(self) -> None:
        """Set currents and voltages to zero."""
        self.u[...] = 0
        self.v[...] = 0

    def step(self, sums: np.ndarray) -> np.ndarray:
        """One step on the synaptic sums ``[B, *shape_out]``; returns the spikes, bool of the same shape."""
        u, v = self.u, self.v
        u *= self.keep_u
        np.trunc(u, out=u)
        u += sums * sums.dtype.type(_SHIFT)
        low, high = u.min(), u.max()
        self.peak_u = max(self.peak_u, high, -low)
        if high > STATE_LIMIT or low <= -STATE_LIMIT:
            self.wraps += int((u > STATE_LIMIT).sum() + (u <= -STATE_LIMIT).sum())
            _wrap_32(u)
            over = u > STATE_LIMIT
            # Lava tests the lower edge on the value that is already wrapped at the upper one
            wrapped = u - 2.0 * STATE_LIMIT * over
            np.copyto(u, np.where(wrapped <= -STATE_LIMIT, u + 2.0 * STATE_LIMIT, wrapped))
        v *= self.keep_v
        np.trunc(v, out=v)
        v += u
        v += self.bias
        low, high = v.min(), v.max()
        self.peak_v = max(self.peak_v, high, -low)
        if high >= STATE_LIMIT or low <= -STATE_LIMIT:
            _wrap_32(v)
            np.clip(v, 1 - STATE_LIMIT, STATE_LIMIT - 1, out=v)
        spikes = v > self.threshold
        v[spikes] = 0
        return spikes


def _wrap_32(states: np.ndarray) -> None:
    """Brings integers into 32 bits, as Lava's arrays hold them."""
    if np.abs(states).max() >= _WORD / 2:
        states += _WORD / 2
        np.mod(states, _WORD, out=states)
        states -= _WORD / 2

"""The neurons of a layer in a netx file: decays, thresholds and biases, or a refusal."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnface.hardware.integers.network import BIAS_MAX, DECAY_UNIT
from snnface.hardware.netx_files.fields import Fields

#: netx's own default for a dense layer without a neuron group: no current decay, no membrane memory, no spikes.
_INTEGRATOR = {"iDecay": 0, "vDecay": DECAY_UNIT, "vThMant": 1 << 17}


def neurons(fields: Fields, shape: tuple[int, ...]) -> dict[str, Any]:
    """Decays, thresholds and biases."""
    if "neuron" in fields:
        kind = fields.text("neuron/type")
        if kind == "SDNN":
            raise fields.refuse("has sigma-delta neurons (SDNN), which are not simulated", "Use CUBA neurons")
        if kind not in ("CUBA", "LOIHI"):
            why = "which are not simulated" if "RF" in kind else "which netx does not know"
            raise fields.refuse(f"has neurons of type '{kind}', {why}", "Use CUBA neurons")
        if "neuron/messageBits" in fields:
            raise fields.refuse("has 'messageBits', on which netx fails", "Leave it out: CUBA neurons send spikes")
        for name, plain in (("refDelay", 1), ("gradedSpike", 0), ("wgtExp", 0), ("weight_exp", 0)):
            if f"neuron/{name}" in fields and (fields.integers(f"neuron/{name}") > plain).any():
                fields.warn(f"has a neuron field '{name}' that netx ignores; read as Lava computes")
        for name in _INTEGRATOR:
            fields.require_wide(f"neuron/{name}")
        i_decay, v_decay, threshold = (fields.parameter(f"neuron/{name}", shape) for name in _INTEGRATOR)
        if fields.dtype("neuron/vThMant") == np.int32 and np.abs(threshold).max() >= 1 << 25:
            raise fields.refuse("has a threshold that Lava shifts out of 32 bits", "Use 1..131071")
    else:
        i_decay, v_decay, threshold = (np.asarray(n) for n in _INTEGRATOR.values())
    if min(i_decay.min(), v_decay.min()) < 0 or max(i_decay.max(), v_decay.max()) > DECAY_UNIT:
        raise fields.refuse(f"has a decay outside 0..{DECAY_UNIT}", f"Store decays as parts of {DECAY_UNIT}")
    if threshold.min() < 0:
        fields.warn("has negative thresholds, which no chip can hold; read as Lava computes")
    return {"i_decay": i_decay, "v_decay": v_decay, "threshold": threshold, "bias": _bias(fields, shape)}


def _bias(fields: Fields, shape: tuple[int, ...]) -> np.ndarray:
    if "bias" not in fields:
        return np.zeros((), np.int64)
    if len(shape) == 3 and fields.integers("bias").shape in ((), (1,)) and fields.group["bias"].shape != shape[:1]:
        raise fields.refuse("has one bias for all channels, on which netx fails", "Store one bias a channel")
    bias = fields.parameter("bias", shape)
    if np.abs(bias).max() > np.iinfo(np.int16).max:
        raise fields.refuse("has a bias beyond 16 bits, which Lava wraps silently", "Use −4095..4095")
    if np.abs(bias).max() > BIAS_MAX:
        fields.warn(f"has biases up to {np.abs(bias).max()}, more than the 13 bits of a chip hold")
    return bias

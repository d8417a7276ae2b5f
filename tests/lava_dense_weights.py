"""Which dense weight matrices real Lava keeps as they are: W.npy [N, O, I] → KEPT.npy [N] (a process of its own)."""

import contextlib
import io
import sys

import numpy as np

from snnface.hardware.lava.shims import import_netx

netx, _ = import_netx()
from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights  # noqa: E402


def kept(weight: np.ndarray) -> bool:
    """Follow Lava's own functions, from netx to the sums of its synapse model."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            stored, bits, exponent, _ = netx.utils.optimize_weight_bits(weight.copy())
    except (OverflowError, ValueError):
        return False
    mode = determine_sign_mode(stored)
    stored = truncate_weights(clip_weights(stored, mode, num_bits=8), mode, bits)
    for spikes in np.ndindex(*(2,) * weight.shape[1]):
        total = stored @ np.array(spikes)
        total = total << exponent if exponent > 0 else total >> -exponent
        if (total != weight @ np.array(spikes)).any():
            return False
    return True


weights = np.load(sys.argv[1])
np.save(sys.argv[2], np.array([kept(w) for w in weights]))

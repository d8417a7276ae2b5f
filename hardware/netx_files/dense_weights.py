"""What Lava makes of dense weights before it computes with them.

netx shifts a matrix left until it fills 8 bits (``optimize_weight_bits``), Lava's synapse model clips it, drops low
bits (``clip_weights``, ``truncate_weights``) and shifts the sum back. Most matrices survive that as they are; some
are changed: all zero, beyond 8 bits, without a positive weight where the least is −2^k. Convolutions are spared.
"""

from __future__ import annotations

import math

import numpy as np

_BITS = 8


def lava_weights(weight: np.ndarray, recurrent: np.ndarray | None = None) -> tuple[np.ndarray, ...] | None:
    """The int64 weights ``[O, I]`` (and ``[O, O]``) with which Lava computes; None where it fails or rounds sums.

    netx chooses one shift and one number of bits for a layer's weights and its recurrent weights together.
    """
    parts = [weight] if recurrent is None else [weight, recurrent]
    low, high = _range(parts)
    if high == low == 0:
        return None  # a division by zero
    if (high > 254 and low < 0) or (low < -256 and high > 0):
        parts = [part.clip(-256, 254) for part in parts]
        low, high = _range(parts)
    signed = low < 0 <= high
    one_sign = 255 / high if high > 0 else -256 / low
    scale = min(127 / high if high else math.inf, -128 / low) if signed else one_sign
    shift = math.floor(math.log2(scale)) + signed
    if shift < 0:
        return None  # numpy's shift by a negative number gives zeros
    common = int(np.bitwise_or.reduce([np.bitwise_or.reduce(part.ravel()) for part in parts])) & 0xFF | 1 << _BITS
    zeros = (common & -common).bit_length() - 1
    bits = _BITS - shift - (zeros - signed)
    kept = [_stored(part << shift, bits) for part in parts]
    if any(part is None or (part % (1 << shift)).any() for part in kept):
        return None
    return tuple(part >> shift for part in kept if part is not None)


def dense_exact(weight: np.ndarray, recurrent: np.ndarray | None = None) -> bool:
    """Whether Lava computes with exactly these dense weights."""
    kept = lava_weights(weight, recurrent)
    parts = [weight] if recurrent is None else [weight, recurrent]
    return kept is not None and all(np.array_equal(a, b) for a, b in zip(kept, parts, strict=True))


def _range(parts: list[np.ndarray]) -> tuple[int, int]:
    return min(int(part.min()) for part in parts), max(int(part.max()) for part in parts)


def _stored(weight: np.ndarray, bits: int) -> np.ndarray | None:
    """A matrix as the synapse model holds it, by its own sign mode; None where it would drop less than nothing."""
    mixed = bool(weight.min() < 0 < weight.max())
    sign = -1 if weight.max() <= 0 and weight.min() < 0 else 1
    drop = _BITS - bits + mixed
    if drop < 0:
        return None
    return sign * ((sign * weight).clip(-256 if mixed else 0, 255) >> drop << drop)

"""Heads in JSON, as manifests and NIR files hold them."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnface.network import Head, Settling


def described(head: Head) -> dict[str, Any]:
    """Rows, scale and offset of a head, and what it is divided by while it settles, where there is such a thing."""
    said: dict[str, Any] = {"start": head.start, "stop": head.stop}
    said |= {"scale": np.ravel(head.scale).tolist(), "offset": np.ravel(head.offset).tolist()}
    if head.settling is not None:
        alpha, beta = (np.ravel(decay).tolist() for decay in (head.settling.alpha, head.settling.beta))
        said |= {"settling": {"alpha": alpha, "beta": beta, "prior": head.settling.prior}}
    return said


def head(said: dict[str, Any]) -> Head:
    """The head that :func:`described` described; KeyError, TypeError or ValueError for anything else."""
    settling = said.get("settling")
    if settling is not None:
        alpha, beta = (np.asarray(settling[name], np.float64) for name in ("alpha", "beta"))
        settling = Settling(alpha, beta, float(settling["prior"]))
    scale, offset = (np.asarray(said[name]) for name in ("scale", "offset"))
    return Head(int(said["start"]), int(said["stop"]), scale, offset, settling)

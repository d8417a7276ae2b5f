"""The compiled loops of :mod:`snnface.kernels`, loaded at first use: numba takes a second to import."""

from __future__ import annotations

from typing import Any

import torch


def compiled() -> Any:
    """The kernels, with as many threads as torch uses."""
    import numba

    from snnface import kernels

    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    return kernels

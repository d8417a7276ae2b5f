"""A CUDA device as the place of measurement: its settings, and what torch holds of its memory, in the terms of
:mod:`snnface.training.bench.process_memory`."""

from __future__ import annotations

import gc
from typing import Any

import torch
from torch import Tensor

from snnface.errors import InputError

_MB = 1 << 20


def check(device: str) -> None:
    """Raise InputError where ``device`` (cpu or cuda) is unknown or not there."""
    if device not in ("cpu", "cuda"):
        raise InputError(f"--device {device}", "is unknown", "Use cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda", "torch finds no CUDA device", "Use --device cpu, or a CUDA build of torch")


def full_precision() -> None:
    """The same for everybody: products and convolutions in full float32 (TF32 keeps 10 bits of a weight, too few for
    the same spikes), by the algorithm that cuDNN finds to be the fastest."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True


def finish(tensor: Tensor) -> None:
    """Wait until it is computed: a device works on after its call has returned."""
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)


def machine() -> dict[str, Any]:
    """The device, and what runs on it."""
    return {
        "device": torch.cuda.get_device_name(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def resident_mb() -> float:
    """Memory of all tensors now, MB (2²⁰ bytes)."""
    return torch.cuda.memory_allocated() / _MB


def peak_mb() -> float:
    """The most of it since :func:`forget_peak`."""
    return torch.cuda.max_memory_allocated() / _MB


def forget_peak() -> None:
    """Let the peak begin at what is there now."""
    torch.cuda.reset_peak_memory_stats()


def settle() -> None:
    """Hand freed memory back to the device."""
    gc.collect()
    torch.cuda.empty_cache()


def limit(gigabytes: float) -> None:
    """Let allocations fail beyond this."""
    there = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, gigabytes * (1 << 30) / there))

"""The encoder on another device than the CPU, and its Triton kernels: interpreted, compiled, and run where a GPU is.

Triton fixes when it is imported whether it interprets, so triton_cases.py runs in processes of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch
from packaging.version import Version
from small_networks import HEIGHT, WIDTH, batch, network

from snnface import backends
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig, HeadConfig, class_heads
from snnface.errors import InputError
from snnface.heads import clip_logits
from snnface.neuron import Lif

CASES = Path(__file__).with_name("triton_cases.py")
CUDA = torch.cuda.is_available()


def missing(since: str) -> str:
    """Why the kernels cannot be tested, for want of a Triton of that version."""
    try:
        import triton
    except ImportError:
        return "triton is not installed: its kernels were not run"
    old = Version(triton.__version__) < Version(since)
    return f"triton is older than {since}: its kernels were not run" if old else ""


installed = pytest.mark.skipif(bool(missing("3.6")), reason=missing("3.6"))
#: Older versions do not interpret with NumPy 2.4.
interprets = pytest.mark.skipif(bool(missing("3.7")), reason=missing("3.7"))


def run_cases(interpret: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CASES)],
        env={**os.environ, "TRITON_INTERPRET": interpret, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@interprets
def test_the_interpreted_kernels_are_the_reference() -> None:
    run_cases("1")


@installed
@pytest.mark.skipif(not CUDA, reason="no CUDA device: the compiled kernels were not run")
def test_the_compiled_kernels_are_the_reference() -> None:
    run_cases("0")


@installed
@pytest.mark.parametrize("readout", [False, True])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_the_kernels_compile_for_a_cuda_device(reset: str, readout: bool) -> None:
    """What interpretation does not show: the types of the kernels, for a device that need not be here."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from snnface.backends import triton

    numbers = {"steps": "i32", "size": "i32", "channels": "i32", "apart": "i32", "last": "i64", "truncate": "i32"}
    options = {"to_zero": reset == "zero", "detach_reset": False, "block": 256}
    absent = {"spikes": None, "threshold": None, "g_threshold": None} if readout else {}
    for kernel in (triton._forward, triton._backward):
        for surrogate in triton._SURROGATES:
            fixed = {k: v for k, v in {**options, **absent, "surrogate": surrogate}.items() if k in kernel.arg_names}
            types = {**dict.fromkeys(kernel.arg_names, "*fp32"), **numbers, "slope": "fp32"}
            signature = {k: "constexpr" if k in fixed else types[k] for k in kernel.arg_names}
            source = ASTSource(kernel, signature, {(kernel.arg_names.index(k),): v for k, v in fixed.items()})
            made = compile(source, target=GPUTarget("cuda", 80, 32), options={"enable_fp_fusion": False})
            assert "st.global" in made.asm["ptx"]
            assert "fma." not in made.asm["ptx"]


@installed
@pytest.mark.skipif(CUDA, reason="a CUDA device is here")
def test_a_missing_device_is_one_clear_error() -> None:
    with pytest.raises(InputError, match=r"backend triton: torch finds no CUDA device\. Use the backend native"):
        backends.get("triton")(network(), batch(8_000))
    from snnface.backends import triton

    with pytest.raises(InputError, match=r"computes in float32 on cuda, not in torch\.float32 on cpu\. Move the"):
        triton.neurons(torch.ones(3, 1, 4), Lif(0.5, 0.5))


def test_a_missing_triton_is_one_clear_error() -> None:
    with mock.patch.dict(sys.modules, {"triton": None}):
        sys.modules.pop("snnface.backends.triton", None)
        with pytest.raises(InputError, match=r"backend triton: cannot be imported .*pip install triton"):
            backends.get("triton")


def test_an_encoder_runs_on_the_device_of_its_weights() -> None:
    """A device of shapes without numbers stands for any: nothing may be made on the CPU and left there."""
    settling = HeadConfig(size=2, scale=[1.0, 1.0], offset=[0.0, 0.0], prior=0.1)
    config = EncoderConfig(
        width=WIDTH, height=HEIGHT, step_us=2_000, conv=[ConvConfig(channels=4)], dense=[DenseConfig(features=5)],
        heads={**class_heads(), "landmarks": settling}, learn_decays=True, learn_threshold=True,
    )  # fmt: skip
    clips, encoder = batch(20_000, 16_000), Encoder(config).to("meta")
    answers, trace = encoder(clips)
    logits = clip_logits(answers["expression"], clips.steps(2_000))
    assert logits.shape == (2, 7)
    assert {t.device.type for t in (logits, *answers.values(), *trace.spikes, *trace.rates)} == {"meta"}
    logits.sum().backward()
    assert {p.grad.device.type for p in encoder.parameters() if p.grad is not None} == {"meta"}

"""NeuroBench's harness on our networks: its figures are ours, and what differs is explained."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from integer_networks import clips, float_network

from snnface import checkpoint
from snnface.backends import get as get_backend
from snnface.batch import EventBatch, collate_events
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig, class_heads
from snnface.errors import InputError
from snnface.events import pack
from snnface.hardware.inputs import read_clips
from snnface.hardware.integers.network import IntegerNetwork
from snnface.hardware.netx_files import manifest
from snnface.hardware.neurobench.command import neurobench
from snnface.hardware.neurobench.harness import _frames, run
from snnface.hardware.neurobench.model import Chain, FloatNeurons, IntegerNeurons
from snnface.hardware.quantising.quantise import quantise


def single(batch: EventBatch) -> list[EventBatch]:
    """Every clip as a batch of its own, of different lengths."""
    found = []
    for b in range(batch.size):
        own = slice(int(batch.offsets[b]), int(batch.offsets[b + 1]))
        events = pack(*(getattr(batch, n)[own].numpy() for n in "txyp"))
        duration = int(batch.duration_us[b]) * (b + 1) // 2
        found.append(collate_events([events[events["t"] <= duration]], [duration], batch.width, batch.height))
    return found


@pytest.fixture(params=["float", "graded", "unary"])
def case(request):
    """A network and clips: in floating point, or in the chip's arithmetic with either input."""
    network = float_network()
    batch = clips(network, 2, 0.15)
    some = single(batch)
    return (network if request.param == "float" else quantise(network, batch, request.param)), some


def test_modules_spike_as_our_backends(case):
    """What NeuroBench's hooks see is what the package computes: every spike, and the readout."""
    network, some = case
    chain = Chain(network)
    found: dict[str, list] = {}
    for name, module in chain.named_children():
        if isinstance(module, (FloatNeurons, IntegerNeurons)):
            module.register_forward_hook(lambda _m, _i, out, name=name: found.setdefault(name, []).append(out[0]))
    for clip in some:
        found.clear()
        chain.reset()
        readout = torch.stack([chain(step[None])[0] for step in _frames(network, clip)])
        trace = get_backend("torch" if hasattr(network, "step_us") else "fixed")(network, clip).dense()
        for layer, spikes in zip(network.layers, trace.spikes, strict=False):
            assert torch.equal(torch.stack(found[layer.name]).bool(), spikes[:, 0].bool())
            assert spikes.sum() > 0
        assert torch.allclose(readout, trace.readout[:, 0], rtol=1e-4, atol=1e-5)


def test_its_figures_are_our_counts(case):
    pytest.importorskip("neurobench", reason="neurobench is not installed (docs/neurobench.md)")
    network, some = case
    integer = isinstance(network, IntegerNetwork)
    answer = run(network, some, [1, 3])
    assert set(answer["unexplained"].values()) == {0}
    found, ours = answer["neurobench"], answer["ours"]
    operations = found["SynapticOperations"]
    total = (operations["Effective_MACs"] + operations["Effective_ACs"]) * 2
    assert total == pytest.approx(ours["synops"] - ours["zero_weight_synops"], abs=1e-6)
    assert ours["synops"] > 1000
    # payloads and ages multiply, in the first layer; spikes only add up
    assert (operations["Effective_MACs"] > 0) == (not integer or network.host.input_mode == "graded")
    assert operations["Effective_ACs"] > 0
    assert 0 < found["ActivationSparsity"] < 1
    assert found["ClassificationAccuracy"] in (0.0, 0.5, 1.0)
    if integer:
        # weights of 8 bits; states u and v, decays, threshold and bias are 32-bit integers
        states = 8 * network.neurons
        assert found["Footprint"] == network.synapses + states + sum(_parameters(x) for x in network.layers)


def _parameters(layer) -> int:
    return 4 * sum(np.size(getattr(layer, n)) for n in ("i_decay", "v_decay", "threshold", "bias"))


def test_zero_weights_are_what_differs():
    pytest.importorskip("neurobench", reason="neurobench is not installed (docs/neurobench.md)")
    network = float_network()
    network.layers[1].weight[:, ::2] = 0
    network.layers[2].weight[::3] = 0
    answer = run(network, single(clips(network, 1, 0.2)), [-1])
    assert answer["ours"]["zero_weight_synops"] > 0
    assert set(answer["unexplained"].values()) == {0}
    assert answer["neurobench"]["ConnectionSparsity"] > 0.1
    assert "ClassificationAccuracy" not in answer["neurobench"]  # nobody said which action it is


def test_the_command(tiny_path, tmp_path):
    pytest.importorskip("neurobench", reason="neurobench is not installed (docs/neurobench.md)")
    torch.manual_seed(1)
    config = EncoderConfig(
        width=32, height=32, step_us=20_000, conv=[ConvConfig(channels=4, kernel=5)], dense=[DenseConfig(features=8)],
        heads=class_heads(),
    )  # fmt: skip
    encoder, batch = Encoder(config), read_clips(tiny_path, 6, split=0)
    with torch.no_grad():
        encoder.calibrate(batch, rate=0.08)
    checkpoint.save(tmp_path / "model", encoder, {})
    manifest.save(tmp_path / "model.net", quantise(encoder.to_network(), batch, "graded"))
    for name, arithmetic in (("model.safetensors", "float32"), ("model.net", "8 bit")):
        answer = neurobench(tmp_path / name, tiny_path, clips=2, out=tmp_path / "answer.json")
        assert answer == json.loads((tmp_path / "answer.json").read_text())
        assert (answer["clips"], answer["arithmetic"]) == (2, arithmetic)
        assert answer["unexplained"]["synops"] == 0
    with pytest.raises(InputError, match="is unknown"):
        neurobench(tmp_path / "model.net", tiny_path, split="all")


def test_without_neurobench_it_says_how_to_get_it(monkeypatch):
    network = float_network()
    monkeypatch.setitem(sys.modules, "neurobench.benchmarks", None)
    with pytest.raises(InputError, match="pip install --no-deps neurobench"):
        run(network, single(clips(network, 1, 0.1)), [-1])

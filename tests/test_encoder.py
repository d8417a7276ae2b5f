"""The encoder: folded weights, calibration, and its form on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from small_faces import batch_of

from snnface import checkpoint
from snnface.backends import torch as reference
from snnface.batch import EventBatch, collate_events
from snnface.datasets.store import Store
from snnface.encoder import (
    GAIN_MOST,
    GAIN_SPREAD,
    ConvConfig,
    DenseConfig,
    Encoder,
    EncoderConfig,
    HeadConfig,
    class_heads,
)
from snnface.errors import InputError
from snnface.events import EVENT_DTYPE
from snnface.forward import Layer, Trace, run_reference
from snnface.hardware.quantising.quantise import quantise, refusals
from snnface.heads import decode
from snnface.input import Coding


def config(**changes) -> EncoderConfig:
    settings = {
        "width": 32,
        "height": 32,
        "conv": [ConvConfig(channels=6, kernel=5), ConvConfig(channels=8)],
        "dense": [DenseConfig(features=16)],
        "heads": class_heads() | {"landmarks": HeadConfig(size=4, scale=[1, 2, 3, 4], offset=[5, 6, 7, 8])},
    }
    return EncoderConfig(**(settings | changes))


def made(seed: int = 0, **changes) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(config(**changes))


@pytest.fixture(scope="module")
def batch(tiny_faces: Store) -> EventBatch:
    return batch_of(tiny_faces, range(6))


@pytest.fixture(scope="module")
def calibrated(batch: EventBatch) -> Encoder:
    encoder = made()
    encoder.calibrate(batch, 0.05)
    return encoder


@pytest.mark.parametrize("mode", ["exact", "graded", "unary"])
def test_the_folded_network_is_the_encoder(mode: str, batch: EventBatch) -> None:
    encoder = made(input_mode=mode)
    encoder.calibrate(batch)
    answers, trace = encoder(batch, run_reference)
    network = encoder.to_network()
    folded = reference.run(network, batch)
    assert [layer.name for layer in network.layers] == ["conv1", "conv2", "dense1", "readout"]
    for one, other in zip(trace.spikes, folded.spikes, strict=True):
        assert one.sum() > 0
        assert torch.equal(one, other)
    assert torch.equal(trace.readout, folded.readout)
    for name, answer in decode(folded.readout, network.heads).items():
        assert torch.equal(answer, answers[name])
    rows = network.heads["landmarks"]
    assert (rows.start, rows.stop) == (31, 35)
    membrane = folded.readout[..., 31:35]
    torch.testing.assert_close(answers["landmarks"], membrane * torch.arange(1.0, 5) + torch.arange(5.0, 9))


def test_gain_is_the_norm_of_the_folded_weights() -> None:
    encoder = made()
    for synapses in encoder.synapses:
        torch.nn.init.uniform_(synapses.gain, 0.5, 2.0)
        torch.testing.assert_close(synapses.folded().flatten(1).norm(dim=1), synapses.gain)


def test_answers_do_not_depend_on_the_other_clips(calibrated: Encoder, batch: EventBatch, tiny_faces: Store) -> None:
    together = calibrated(batch)[0]
    for i in range(batch.size):
        alone = calibrated(batch_of(tiny_faces, [i]))[0]
        for name, answer in alone.items():
            torch.testing.assert_close(answer[:, 0], together[name][: len(answer), i], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rate", [0.02, 0.08])
def test_calibration_reaches_the_rate_in_every_layer(rate: float, batch: EventBatch) -> None:
    encoder = made()
    rates = encoder.calibrate(batch, rate)
    found = [float(rates.detach().mean()) for rates in encoder(batch)[1].rates]
    assert found == pytest.approx(rates, abs=1e-3)
    assert all(0.6 * rate < r < 1.1 * rate for r in rates)


def test_calibration_caps_the_gain_of_inhibited_channels(batch: EventBatch) -> None:
    encoder = made()
    with torch.no_grad():
        encoder.synapses[2].weight[:3] = -encoder.synapses[2].weight[:3].abs()
    encoder.calibrate(batch)
    for synapses in encoder.synapses:
        assert synapses.gain.max() <= GAIN_SPREAD * synapses.gain.median() * 1.0001
    assert (encoder.synapses[2].gain[:3] > 5 * encoder.synapses[2].gain.median()).all()
    network = encoder.to_network()
    assert refusals(network) == []
    quantised = quantise(network, batch)
    typical = np.median(np.abs(quantised.layers[2].weight).max(1))
    assert typical >= 254 / GAIN_SPREAD / 4


def test_calibration_on_rare_events_leaves_the_threshold_room_in_8_bits() -> None:
    rare = np.zeros(6, EVENT_DTYPE)
    rare["t"], rare["x"], rare["y"] = np.arange(1, 7) * 60_000, [3, 9, 28, 14, 20, 5], [4, 30, 2, 16, 11, 21]
    batch = collate_events([rare, rare], [400_000] * 2, 32, 32)
    encoder = made()
    rates = encoder.calibrate(batch, 0.05)
    assert 0 < rates[0] < 0.04
    assert all(synapses.gain.max() <= GAIN_MOST for synapses in encoder.synapses[:-1])
    for mode in ("graded", "unary"):
        assert all(layer.threshold >= 4 for layer in quantise(encoder.to_network(), batch, mode).layers)


def test_calibration_on_silence_is_refused() -> None:
    silent = collate_events([np.zeros(0, EVENT_DTYPE)] * 2, [400_000] * 2, 32, 32)
    with pytest.raises(InputError, match="calibration: layer 1 stays silent on these clips"):
        made().calibrate(silent)


def test_silence_stays_silent(calibrated: Encoder) -> None:
    silent = collate_events([np.zeros(0, EVENT_DTYPE)], [400_000], 32, 32)
    trace = calibrated(silent)[1]
    assert len(trace.readout) == 20
    assert not trace.readout.any()
    assert len(trace.rates) == 3
    assert not any(rates.any() for rates in trace.rates)


def test_a_checkpoint_comes_back_as_it_was(calibrated: Encoder, batch: EventBatch, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "model.safetensors", calibrated, {"note": [1, 2]})
    for name in ("model.safetensors", "model.json", "model"):
        loaded, meta = checkpoint.load(tmp_path / name)
        assert meta == {"note": [1, 2]}
        assert loaded.config == calibrated.config
        assert torch.equal(loaded(batch)[1].readout, calibrated(batch)[1].readout)


def learning(**changes) -> Encoder:
    """Decays and thresholds learned, and moved apart from channel to channel."""
    encoder = made(learn_decays=True, learn_threshold=True, **changes)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in encoder.named_parameters():
            if name.startswith("neurons."):
                p.copy_(torch.randn(p.shape, generator=generator))
    return encoder


def test_learned_parameters_begin_at_the_numbers_that_they_replace(batch: EventBatch) -> None:
    fixed, learned = made(), made(learn_decays=True, learn_threshold=True)
    assert {name.split(".")[0] for name, _ in fixed.named_parameters()} == {"synapses"}
    learned.load_state_dict(fixed.state_dict(), strict=False)
    for one, other in zip(fixed.layers(), learned.layers(), strict=True):
        for name in ("alpha", "beta", "threshold"):
            torch.testing.assert_close(
                torch.as_tensor(getattr(other.neuron, name)).expand(len(other.weight)),
                torch.full((len(one.weight),), getattr(one.neuron, name)),
            )
    first, *_, readout = learned.layers()
    assert isinstance(first.neuron.alpha, float), "the ages of the events hold for one time constant"
    assert isinstance(readout.neuron.threshold, float)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_everything_that_is_learned_has_a_gradient_and_keeps_its_range(reset: str, batch: EventBatch) -> None:
    encoder = learning(reset=reset)
    encoder.calibrate(batch)
    answers, _ = encoder(batch)
    sum(a.square().mean() for a in answers.values()).backward()
    assert len(dict(encoder.named_parameters())) == 2 * 4 + 4 + 3 + 3
    for name, p in encoder.named_parameters():
        assert p.grad is not None, name
        assert p.grad.abs().max() > 0, name
        if name.startswith("neurons."):
            p.data.copy_(torch.linspace(-9, 9, len(p)))
    for layer in encoder.layers():
        for decay in (layer.neuron.alpha, layer.neuron.beta):
            assert (torch.as_tensor(decay) > 0).all()
            assert (torch.as_tensor(decay) < 1).all()
        assert (torch.as_tensor(layer.neuron.threshold) > 0).all()


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_learned_parameters_fold_and_come_back_from_disk(reset: str, batch: EventBatch, tmp_path: Path) -> None:
    encoder = learning(reset=reset)
    encoder.calibrate(batch)
    trace = encoder(batch, run_reference)[1]
    network = encoder.to_network()
    folded = reference.run(network, batch)
    assert all(layer.beta.shape == layer.shape_out[:1] for layer in network.layers)
    assert {layer.reset for layer in network.layers} == {reset}
    assert torch.equal(trace.readout, folded.readout)
    for one, other in zip(trace.rates, folded.rates, strict=True):
        assert one.mean() > 0
        assert torch.equal(one, other)
    checkpoint.save(tmp_path / "model.safetensors", encoder, {})
    loaded, _ = checkpoint.load(tmp_path / "model.safetensors")
    assert torch.equal(loaded(batch, run_reference)[1].readout, trace.readout)
    if reset == "zero":
        assert refusals(network) == []
    else:
        found = refusals(network)
        assert [f["layer"] for f in found] == ["conv1", "conv2", "dense1"]
        with pytest.raises(InputError, match="layer conv1: its neurons reset by subtraction"):
            quantise(network, batch)


def test_truncation_changes_gradients_and_not_answers(batch: EventBatch) -> None:
    found = []
    for truncate in (None, 4):
        encoder = made(truncate_steps=truncate)
        encoder.calibrate(batch)
        trace = encoder(batch, run_reference)[1]
        trace.readout.square().mean().backward()
        found.append((trace.readout, encoder.synapses[0].weight.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert not torch.allclose(found[0][1], found[1][1], rtol=1e-2)


def test_another_run_takes_the_place_of_the_reference(calibrated: Encoder, batch: EventBatch) -> None:
    taken = []

    def run(given: EventBatch, coding: Coding, layers: Sequence[Layer]) -> Trace:
        taken.append((given, coding.step_us, coding.input_mode, len(layers)))
        return run_reference(given, coding, layers)

    assert torch.equal(calibrated(batch, run)[1].readout, calibrated(batch, run_reference)[1].readout)
    assert taken == [(batch, 20_000, "graded", 4)]


def test_a_checkpoint_without_the_new_fields_loads(calibrated: Encoder, batch: EventBatch, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "model.safetensors", calibrated, {})
    content = json.loads((tmp_path / "model.json").read_text())
    for field in ("reset", "learn_decays", "learn_threshold", "truncate_steps"):
        del content["encoder"][field]
    (tmp_path / "model.json").write_text(json.dumps(content))
    loaded, _ = checkpoint.load(tmp_path / "model.safetensors")
    assert torch.equal(loaded(batch)[1].readout, calibrated(batch)[1].readout)


def edit(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """Change the description."""

    def breaking(folder: Path) -> None:
        content = json.loads((folder / "model.json").read_text())
        changed = change(content)
        (folder / "model.json").write_text(json.dumps(content if changed is None else changed))

    return breaking


def cut(name: str, keep: float) -> Callable[[Path], None]:
    def breaking(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * keep)])

    return breaking


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "no weights": (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors: is missing"),
    "no description": (lambda f: (f / "model.json").unlink(), r"model\.json: is missing"),
    "cut weights": (cut("model.safetensors", 0.7), "does not hold the weights"),
    "empty weights": (cut("model.safetensors", 0), "does not hold the weights"),
    "cut description": (cut("model.json", 0.5), "is not valid JSON"),
    "binary description": (lambda f: (f / "model.json").write_bytes(b"\xff\xfe\x00"), "is not valid JSON"),
    "a list": (edit(lambda c: [1]), "field encoder"),
    "no encoder": (edit(lambda c: {"meta": {}}), "field encoder"),
    "no meta": (edit(lambda c: c.pop("meta") and None), "field encoder: KeyError"),
    "null encoder": (edit(lambda c: c | {"encoder": None}), "field encoder"),
    "negative size": (edit(lambda c: c["encoder"].update(width=-3)), "field width"),
    "unknown field": (edit(lambda c: c["encoder"].update(bias=True)), "field bias"),
    "short head": (edit(lambda c: c["encoder"]["heads"]["au"].update(scale=[1.0])), r"field heads\.au: .*24 numbers"),
    "other widths": (edit(lambda c: c["encoder"]["conv"][0].update(channels=7)), "does not hold the weights"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_checkpoint_is_one_clear_error(name: str, calibrated: Encoder, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "model.safetensors", calibrated, {})
    breaking, message = BROKEN[name]
    breaking(tmp_path)
    with pytest.raises(InputError, match=message):
        checkpoint.load(tmp_path / "model.safetensors")


def test_a_file_of_another_kind_is_no_checkpoint() -> None:
    with pytest.raises(InputError, match="is not a checkpoint"):
        checkpoint.load("model.net")


@pytest.mark.parametrize("changes", [{"conv": []}, {"step_us": 0}, {"input_mode": "frames"}, {"surrogate": "relu"}])
def test_an_impossible_architecture_is_refused(changes: dict) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        config(**changes)

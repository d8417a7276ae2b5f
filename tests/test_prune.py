"""Leaving out silent channels: the same answers from a smaller network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from integer_networks import clips

from snnface import checkpoint
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig, class_heads
from snnface.errors import InputError
from snnface.hardware.quantising.quantise import choose_grid, quantise
from snnface.training.clips import Clips
from snnface.training.prune import channel_rates, prune, without
from snnface.training.quantised import baked, rounding_run


def encoder_of(width: int = 16, height: int = 12) -> Encoder:
    torch.manual_seed(0)
    config = EncoderConfig(
        width=width,
        height=height,
        step_us=5000,
        conv=[ConvConfig(channels=6, kernel=5), ConvConfig(channels=8)],
        dense=[DenseConfig(features=16), DenseConfig(features=10)],
        heads=class_heads(),
        learn_decays=True,
        learn_threshold=True,
    )
    encoder = Encoder(config)
    for parameter in encoder.neurons.parameters():
        parameter.data = 0.2 * torch.randn_like(parameter)
    return encoder


def silence(encoder: Encoder) -> list[torch.Tensor]:
    """Make some channels of every layer inhibited, and so silent; returns which still live."""
    live = []
    for layer, (synapses, channels) in enumerate(
        zip(encoder.synapses, ((1, 4), (0, 7), (2, 3, 11), (9,)), strict=False)
    ):
        mask = torch.ones(len(synapses.gain), dtype=torch.bool)
        mask[list(channels)] = False
        synapses.weight.data[~mask] = -synapses.weight.data[~mask].abs()
        live.append(mask)
        assert layer < 4
    return live


@pytest.mark.parametrize("bits", [None, 4])
def test_a_network_without_its_silent_channels_answers_the_same(bits: int | None) -> None:
    encoder = encoder_of()
    batch = clips(encoder.to_network(), 3)
    encoder.calibrate(batch, 0.1)
    live = silence(encoder)
    smaller = without(encoder, live)
    run = rounding_run(choose_grid(encoder.to_network(), batch, bits=bits)) if bits else None
    with torch.no_grad():
        whole, trace = encoder(batch, run)
        for rate, mask in zip(trace.rates, live, strict=True):
            assert (rate.sum(0) == 0)[~mask].all()
        part, fewer = smaller(batch)
        whole, trace = encoder(batch)
    for a, b, mask in zip(trace.dense().spikes, fewer.dense().spikes, live, strict=True):
        assert b.sum() > 0
        assert torch.equal(a[:, :, mask], b)
    for name in whole:
        torch.testing.assert_close(whole[name], part[name], rtol=1e-4, atol=1e-4)


def test_pruning_a_checkpoint_keeps_its_grid(tiny_path: Path, tmp_path: Path) -> None:
    encoder = encoder_of(32, 32)
    taken = Clips(tiny_path, "train")
    batch = taken.events_batch(list(range(6)))
    encoder.calibrate(batch, 0.1)
    live = silence(encoder)
    grid = choose_grid(encoder.to_network(), batch, bits=4)
    encoder = baked(encoder, grid)
    checkpoint.save(tmp_path / "a", encoder, {"quantise": grid.as_json()})
    answer = prune(tmp_path / "a.safetensors", tiny_path, tmp_path / "b.safetensors")
    rates = channel_rates(encoder, taken, grid)
    assert answer["channels"] == [6, 8, 16, 10]
    assert answer["kept"] == [int((rate > 0).sum()) for rate in rates]
    assert all(kept <= int(mask.sum()) for kept, mask in zip(answer["kept"], live, strict=True))
    assert answer["neurons"][1] < answer["neurons"][0]
    smaller, meta = checkpoint.load(tmp_path / "b")
    nets = []
    for one, content in ((encoder, grid.as_json()), (smaller, meta["quantise"])):
        nets.append(quantise(one.to_network(), bits=4, trained=type(grid).from_json(content, "test")))
    kept = (rates[0] > 0).numpy()
    assert (nets[1].layers[0].weight == nets[0].layers[0].weight[kept]).all()
    assert (nets[1].layers[-1].weight == nets[0].layers[-1].weight[:, (rates[3] > 0).numpy()]).all()
    with pytest.raises(InputError, match="no channel above the rate"):
        prune(tmp_path / "a.safetensors", tiny_path, tmp_path / "c.safetensors", rate=1.0)
    assert not (tmp_path / "c.safetensors").exists()

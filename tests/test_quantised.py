"""Training in the chip's numbers: what is trained is what the export writes, and gradients pass the rounding."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import clips
from small_training import log, same, weights
from small_training import settings as recipe_of

import snnface
from snnface import checkpoint
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig, class_heads
from snnface.errors import InputError
from snnface.hardware.integers.fixed_point import run as run_fixed
from snnface.hardware.lava import process
from snnface.hardware.netx_files import manifest
from snnface.hardware.quantising.grid import Grid, top
from snnface.hardware.quantising.quantise import choose_grid, quantise, settled
from snnface.hardware.quantising.rounded import as_it_runs, on_grid
from snnface.training import recipe as recipes
from snnface.training import trainer
from snnface.training.clips import Clips
from snnface.training.evaluate import answer, measure
from snnface.training.predictors import open_predictor
from snnface.training.quantised import baked, rounded_layers, rounding_run


def encoder_of(seed: int, mode: str = "graded", learned: bool = True) -> Encoder:
    """Two convolutions, dense, readout on 16×12 pixels; decays and thresholds away from where they began."""
    torch.manual_seed(seed)
    config = EncoderConfig(
        width=16,
        height=12,
        step_us=5000,
        input_mode=mode,
        payload_max=15,
        conv=[ConvConfig(channels=6, kernel=5), ConvConfig(channels=8)],
        dense=[DenseConfig(features=16, tau_mem_us=20_000)],
        heads=class_heads(),
        learn_decays=learned,
        learn_threshold=learned,
    )
    encoder = Encoder(config)
    for synapses, gain in zip(encoder.synapses, (0.8, 0.7, 0.6, 1.0), strict=True):
        synapses.gain.data = gain * torch.exp(0.5 * torch.randn(len(synapses.gain)))
    for parameter in encoder.neurons.parameters():
        parameter.data = 0.3 * torch.randn_like(parameter)
    return encoder


@given(
    seed=st.integers(0, 10_000), bits=st.sampled_from([8, 6, 4, 3, 2]), mode=st.sampled_from(["graded", "unary"]),
    learned=st.booleans(), calibrated=st.booleans(),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_what_is_trained_is_what_the_export_writes(
    seed: int, bits: int, mode: str, learned: bool, calibrated: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("exact")
    encoder = encoder_of(seed, mode, learned)
    network = encoder.to_network()
    grid = choose_grid(network, clips(network) if calibrated else None, bits=bits)
    checkpoint.save(folder / "model", baked(encoder, grid), {"quantise": grid.as_json()})
    snnface.export(folder / "model.safetensors", folder / "model.net")
    exported = manifest.load(folder / "model.net")
    one = 8 if mode == "graded" else 1
    with torch.no_grad():
        trained = rounded_layers(encoder.layers(), grid, one)
    for i, (layer, chip, scale, step) in enumerate(
        zip(trained, exported.layers, grid.scales, grid.steps, strict=True)
    ):
        unit = np.float32(step / scale).reshape(-1, *[1] * (chip.weight.ndim - 1))
        level, rest = np.divmod(chip.weight, step)
        assert not rest.any()
        assert np.abs(level).max() <= top(bits)
        assert np.array_equal(layer.weight.numpy(), level.astype(np.float32) * unit)
        for name, decay in (("alpha", chip.i_decay), ("beta", chip.v_decay)):
            assert np.array_equal(
                as_array(getattr(layer.neuron, name)), np.squeeze(1 - decay / 4096).astype(np.float32)
            )
        if layer.spiking:
            wanted = np.squeeze(chip.threshold.reshape(-1) / (scale * (1 if i else one))).astype(np.float32)
            assert np.array_equal(as_array(layer.neuron.threshold), wanted)


def as_array(value: float | torch.Tensor) -> np.ndarray:
    return np.squeeze(value.numpy() if isinstance(value, torch.Tensor) else np.float32(value))


@pytest.mark.parametrize("bits", [8, 4])
def test_the_trained_network_spikes_as_the_chip_does(bits: int) -> None:
    encoder = encoder_of(3)
    batch = clips(encoder.to_network(), 4)
    grid = choose_grid(encoder.to_network(), batch, bits=bits)
    with torch.no_grad():
        trained = encoder(batch, rounding_run(grid))[1].dense()
        plain = encoder(batch)[1].dense()
    chip = run_fixed(on_grid(encoder.to_network(), grid), batch)

    def differing(spikes: list[torch.Tensor]) -> int:
        return sum(int((a.bool() != b.bool()).sum()) for a, b in zip(spikes, chip.spikes, strict=True))

    assert all(float(s.mean()) > 0.005 for s in trained.spikes)
    # what is left are the states, which the chip truncates in 64ths of a unit at every step
    assert differing(trained.spikes) < 0.1 * differing(plain.spikes)
    torch.testing.assert_close(trained.readout, chip.readout, rtol=0, atol=0.05 * float(chip.readout.abs().max()))


def test_gradients_pass_the_rounding_but_not_the_range() -> None:
    encoder = encoder_of(1)
    grid = choose_grid(encoder.to_network(), bits=4)
    layers = encoder.layers()
    for layer in layers:
        layer.weight.retain_grad()
    pull = [torch.randn_like(layer.weight) for layer in layers]
    chip = rounded_layers(layers, grid, 8)
    total = sum((layer.weight * p).sum() for layer, p in zip(chip, pull, strict=True))
    total = total + sum((layer.neuron.beta * 3).sum() for layer in chip)
    total.backward()
    for layer, p, scale, step in zip(layers, pull, grid.scales, grid.steps, strict=True):
        level = layer.weight.detach() * torch.as_tensor(scale).float().view(-1, *[1] * (p.dim() - 1)) / step
        inside = level.abs() <= 7.5
        assert inside.float().mean() > 0.9
        assert torch.equal(layer.weight.grad, p * inside)
    assert any(not torch.equal(layer.weight.grad, p) for layer, p in zip(layers, pull, strict=True))
    assert all(n.beta.grad.abs().min() > 0 for n in encoder.neurons)


def test_a_grid_is_read_back_exactly_and_a_garbled_one_refused() -> None:
    network = encoder_of(2).to_network()
    grid = choose_grid(network, bits=4)
    back = Grid.from_json(json.loads(json.dumps(grid.as_json())), "model.json")
    assert (back.bits, back.input_mode, back.steps) == (grid.bits, grid.input_mode, grid.steps)
    assert all(np.array_equal(a, b) for a, b in zip(back.scales, grid.scales, strict=True))
    good = grid.as_json()
    for wrong in ({"bits": 9}, {"steps": [2]}, {"scales": [[0.0]] * 4}, {"scales": 3}, {"steps": ["x"] * 4}):
        with pytest.raises(InputError, match=r"model\.json"):
            Grid.from_json(good | wrong, "model.json")
    with pytest.raises(InputError, match="other layers"):
        on_grid(network, Grid(4, "graded", grid.steps[1:], grid.scales[1:]))


def test_four_bits_are_multiples_of_a_step_and_lava_finds_them() -> None:
    integer = on_grid(encoder_of(4).to_network(), choose_grid(encoder_of(4).to_network(), bits=4))
    for layer in integer.layers:
        (step,) = {1 << k for k in range(1, 6) if (layer.weight % (1 << k) == 0).all()} & {
            int(np.gcd.reduce(layer.weight, axis=None))
        }
        assert np.abs(layer.weight).max() <= 7 * step <= 224
        # netx: bits = 8 − scale_bits − (trailing zeros − 1), for weights of both signs
        high, low = int(layer.weight.max()), int(layer.weight.min())
        scale_bits = math.floor(math.log2(min(127 / high, -128 / low))) + 1
        assert 8 - scale_bits - (int(math.log2(step)) - 1) <= 4


def test_a_channel_of_few_bits_has_its_own_scale_and_threshold() -> None:
    network = encoder_of(5, learned=False).to_network()
    integer = on_grid(network, choose_grid(network, bits=4))
    for layer in integer.layers:
        assert len(np.unique(layer.threshold)) == (1 if layer.name == "readout" else layer.shape_out[0])
        # small channels use their levels as large ones do
        assert np.abs(layer.weight.reshape(len(layer.weight), -1)).max(1).min() >= 4 * np.gcd.reduce(
            layer.weight, axis=None
        )


@pytest.mark.parametrize("bits", [8, 4])
def test_a_first_layer_that_has_grown_settles_below_its_wrap(bits: int) -> None:
    encoder = encoder_of(6)
    grid = choose_grid(encoder.to_network(), bits=bits)
    assert settled(encoder.to_network(), grid).as_json() == grid.as_json()
    encoder.synapses[0].weight.data.abs_()
    encoder.neurons[0].start["alpha"] = 0.97
    with pytest.raises(InputError, match="could wrap"):
        on_grid(encoder.to_network(), grid)
    on_grid(encoder.to_network(), settled(encoder.to_network(), grid))


@pytest.mark.parametrize("bits", [8, 4])
def test_the_unary_variant_has_the_trained_levels_and_finer_thresholds(bits: int) -> None:
    encoder = encoder_of(7)
    network, grid = encoder.to_network(), choose_grid(encoder.to_network(), clips(encoder.to_network()), bits=bits)
    graded, unary = (quantise(network, None, mode, bits, grid) for mode in ("graded", "unary"))
    assert (graded.host.input_mode, unary.host.input_mode) == ("graded", "unary")
    for a, b in zip(graded.layers[1:], unary.layers[1:], strict=True):
        assert np.array_equal(a.weight, b.weight)
    times = unary.layers[0].weight.max() // graded.layers[0].weight.max()
    assert np.array_equal(unary.layers[0].weight, times * graded.layers[0].weight)
    assert times == (1 if bits == 8 else 2)


#: A run in few bits from the second pass on.
FEW_BITS = ("quantise.bits=4", "quantise.from_epoch=1", "quantise.clips=6", "network.learn_decays=true")


@pytest.fixture(scope="module")
def finished(tiny_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An uninterrupted run of three passes, two of them in 4 bits."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    return run, trainer.train(recipe_of(tiny_path, *FEW_BITS), run)


def test_a_run_in_the_chips_numbers_measures_what_its_export_is(
    finished: tuple[Path, dict[str, Any]], tiny_path: Path, tmp_path: Path
) -> None:
    run, found = finished
    lines = log(run)
    assert [line.get("bits") for line in lines] == [None, 4, 4]
    best = max(lines[1:], key=lambda line: line["score"])
    assert found["metrics"]["epoch"] == best["epoch"]
    answer_of_export = snnface.export(run / "best.safetensors", tmp_path / "a.net", calibration=tiny_path, clips=6)
    assert answer_of_export["refused"] == []
    source = json.loads((tmp_path / "a.net.json").read_text())["source"]
    assert (source["bits"], source["trained_in_chip_numbers"]) == (4, True)
    encoder, meta = checkpoint.load(run / "best.safetensors")
    grid = Grid.from_json(meta["quantise"], "best")
    exported = manifest.load(tmp_path / "a.net")
    assert exported.host is not None
    for scale, one, trained in zip(exported.host.scales, (8, 1, 1, 1), grid.scales, strict=True):
        assert np.array_equal(scale, trained * one)
    # the checkpoint is the rounded network already, whatever reads it
    for plain, runs in zip(encoder.to_network().layers, as_it_runs(encoder.to_network(), grid).layers, strict=True):
        np.testing.assert_allclose(plain.weight, runs.weight, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(plain.beta, runs.beta, atol=1.3e-4)
    opened = open_predictor(run / "best.safetensors")
    clips_ = Clips(tiny_path, "validation")
    again = measure(answer(opened.predict, opened.step_us, clips_), clips_, torch.tensor(meta["mean_shape"]))
    for key in ("au_top1", "nme"):
        assert again[key] == pytest.approx(found["metrics"][key], rel=1e-4)


def test_an_interrupted_run_in_the_chips_numbers_goes_on_to_the_same_weights(
    finished: tuple[Path, dict[str, Any]], tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms, done = trainer.loss_terms, 0

    def interrupted(*arguments: Any) -> Any:
        nonlocal done
        done += 1
        if done > 7:  # in the third pass
            raise KeyboardInterrupt
        return terms(*arguments)

    monkeypatch.setattr(trainer, "loss_terms", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(recipe_of(tiny_path, *FEW_BITS), tmp_path)
    monkeypatch.undo()
    assert trainer.train(recipe_of(tiny_path, *FEW_BITS), tmp_path, resume=True)["metrics"] | {"seconds": 0} == (
        finished[1]["metrics"] | {"seconds": 0}
    )
    trainer.train(recipe_of(tiny_path, *FEW_BITS), tmp_path, resume=True)
    for name in ("best", "last"):
        assert same(weights(tmp_path, name), weights(finished[0], name))
        assert checkpoint.load(tmp_path / name)[1]["quantise"] == checkpoint.load(finished[0] / name)[1]["quantise"]


def test_other_bits_than_the_trained_ones_are_calibrated(
    finished: tuple[Path, dict[str, Any]], tiny_path: Path, tmp_path: Path
) -> None:
    snnface.export(finished[0] / "best.safetensors", tmp_path / "a.net", bits=8)
    assert json.loads((tmp_path / "a.net.json").read_text())["source"]["trained_in_chip_numbers"] is False
    for wrong in (1, 9):
        with pytest.raises(InputError, match="--bits"):
            snnface.export(finished[0] / "best.safetensors", tmp_path / "b.net", bits=wrong)
    assert not (tmp_path / "b.net").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("quantise.bits=9",), r"quantise\.bits: .*less than or equal to 8"),
        (("quantise.bits=4", "network.input_mode=exact"), "quantise needs"),
        (("quantise.bits=4", "network.reset=subtract"), "quantise needs"),
        (("quantise.from_epoch=20",), "leaves none"),
    ],
)
def test_what_cannot_be_trained_for_a_chip_is_refused(changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        recipes.load("student", changes)


@pytest.mark.skipif(None in process.installed().values(), reason="Lava is not installed: snnface lava install")
def test_few_bits_and_a_threshold_for_each_channel_equal_real_lava(
    finished: tuple[Path, dict[str, Any]], tiny_path: Path, tmp_path: Path
) -> None:
    snnface.export(finished[0] / "best.safetensors", tmp_path / "a.net")
    certificate = snnface.verify(tmp_path / "a.net", against="lava", data=tiny_path, clips=1)
    assert certificate["passed"]
    assert all(layer["spikes"] > 0 for layer in certificate["layers"] if layer["spiking"])
    for layer in manifest.load(tmp_path / "a.net").layers[:-1]:
        assert len(np.unique(layer.threshold)) > 1

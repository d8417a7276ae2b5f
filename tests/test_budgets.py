"""Budgets of the loss: they count what the profiler counts, and training keeps to them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from integer_networks import clips
from small_training import log, settings

from snnface.batch import EventBatch
from snnface.counts import count
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig, class_heads
from snnface.errors import InputError
from snnface.forward import Trace
from snnface.training import recipe as recipes
from snnface.training import trainer
from snnface.training.budgets import HALF_ALIVE, Budgets
from snnface.training.recipe import Losses


def run_of(kernel: int = 3, stride: int = 2) -> tuple[Encoder, EventBatch, Trace]:
    """An encoder on 16×12 pixels, clips, and what it makes of them."""
    torch.manual_seed(0)
    encoder = Encoder(
        EncoderConfig(
            width=16,
            height=12,
            step_us=5000,
            conv=[ConvConfig(channels=6, kernel=5), ConvConfig(channels=8, kernel=kernel, stride=stride)],
            dense=[DenseConfig(features=16)],
            heads=class_heads(),
        )
    )
    batch = clips(encoder.to_network(), 3)
    encoder.calibrate(batch, 0.1)
    return encoder, batch, encoder(batch)[1]


def test_spikes_and_synaptic_operations_are_those_that_the_profiler_counts() -> None:
    # kernels of 1 at stride 1: a spike reaches as many neurons wherever it is
    for kernel, stride, allowed in ((1, 1, 1e-5), (3, 2, 0.1)):
        encoder, batch, trace = run_of(kernel, stride)
        network = encoder.to_network()
        counts = count(network, [(batch, trace.dense())])
        budgets = Budgets(network, Losses())
        spikes = float(budgets.spikes(trace.rates, batch).detach())
        synops = float(budgets.synops(trace.rates, batch).detach())
        assert spikes * counts.seconds == pytest.approx(counts.total("spikes"), rel=1e-5)
        assert synops * counts.seconds == pytest.approx(counts.total("synops"), rel=allowed)


def test_cores_are_shared_out_to_live_channels() -> None:
    network = run_of()[0].to_network()
    budgets = Budgets(network, Losses(cores=1.0))
    budgets._cores = [3, 5, 7, 11]
    rates = [torch.full((2, n), HALF_ALIVE) for n in (6, 8, 16)]
    total = float(budgets.cores(rates, clips(network)))
    assert total == pytest.approx(3 / 2 + 5 / 2 + 7 / 4 + 11 / 2)
    rates[1][:, :4] = 0
    fewer = float(budgets.cores(rates, clips(network)))
    assert fewer == pytest.approx(3 / 2 + 5 / 4 + 7 / 8 + 11 / 2)


@pytest.mark.parametrize("name", ["synops", "spikes", "cores"])
def test_what_is_above_the_target_costs_and_its_gradient_lowers_it(name: str) -> None:
    encoder, batch, trace = run_of()
    total = getattr(Budgets(encoder.to_network(), Losses(cores=1.0)), name)(trace.rates, batch)

    def terms(target: float) -> dict[str, torch.Tensor]:
        losses = Losses(**{name: 2.0, f"{name}_target": target})
        return Budgets(encoder.to_network(), losses).terms(trace.rates, batch)

    above = terms(float(total.detach()) / 1.5)
    assert set(above) == {name}
    assert float(above[name].detach()) == pytest.approx(2 * 0.5, rel=1e-4)
    below = terms(2 * float(total.detach()))
    assert float(below[name].detach()) == 0
    above[name].backward()
    gradients = [s.gain.grad for s in encoder.synapses][:-1]
    assert all(g.abs().sum() > 0 for g in gradients)
    with torch.no_grad():
        for synapses in list(encoder.synapses)[:-1]:
            synapses.gain -= 0.1 * synapses.gain.grad / synapses.gain.grad.abs().max()
    lower = getattr(Budgets(encoder.to_network(), Losses(cores=1.0)), name)(encoder(batch)[1].rates, batch)
    assert float(lower.detach()) < float(total.detach())


def test_nothing_is_counted_without_a_weight() -> None:
    encoder, batch, trace = run_of()
    assert Budgets(encoder.to_network(), Losses()).terms(trace.rates, batch) == {}


def test_a_chip_without_cores_is_refused() -> None:
    with pytest.raises(InputError, match="cmos45: has no cores"):
        Budgets(run_of()[0].to_network(), Losses(cores=1.0, cores_chip="cmos45"))


def test_a_budget_of_spikes_needs_spikes() -> None:
    with pytest.raises(InputError, match="need kind spiking"):
        recipes.load("matched_cnn", ["losses.spikes=1.0"])


def test_training_keeps_to_a_budget(tiny_path: Path, tmp_path: Path) -> None:
    rates = {}
    for name, weight in (("free", 0.0), ("tight", 20.0)):
        changes = (f"losses.spikes={weight}", "losses.spikes_target=1e3", "training.lr=1e-2", "training.epochs=2")
        trainer.train(settings(tiny_path, *changes), tmp_path / name)
        last = log(tmp_path / name)[-1]
        rates[name] = sum(last["spike_rates"])
        assert ("spikes" in last["loss"]) == (name == "tight")
    assert rates["tight"] < 0.8 * rates["free"]

"""The hand-written gradients: against finite differences of the smooth network, and against plain autograd."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from plain_neuron import currents, plain
from small_networks import batch
from torch import Tensor

from snnface.errors import InputError
from snnface.forward import Layer, propagate
from snnface.input import input_spikes
from snnface.neuron import Lif, LifState, integrate, lif
from snnface.surrogate import SURROGATES, Surrogate
from snnface.synapse import Conv

RESETS = ("zero", "subtract")
#: Three channels, all of their own.
ALPHA, BETA, THRESHOLD = (0.2, 0.7, 0.9), (0.5, 0.95, 0.8), (0.6, 1.3, 1.0)


def leaf(values: Tensor | tuple[float, ...]) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64).detach().clone().requires_grad_()


def parameters() -> list[Tensor]:
    return [leaf(p) for p in (ALPHA, BETA, THRESHOLD)]


def gradients(run, x: Tensor, neuron: Lif, state: LifState | None = None) -> tuple[Tensor, list[Tensor]]:
    """Output, and the gradients of a random projection of it to input, decays and threshold, one a channel."""
    leaves = [leaf(x), *parameters()]
    alpha, beta, threshold = leaves[1:]
    out = run(leaves[0], replace(neuron, alpha=alpha, beta=beta, threshold=threshold), state)[0]
    found = torch.autograd.grad((out * currents(*out.shape, seed=1)).sum(), leaves, allow_unused=True)
    return out.detach(), [g for g in found if g is not None]


def neuron(surrogate: str = "fast_sigmoid", slope: float = 2.0, **more) -> Lif:
    return Lif(0.7, 0.85, 1.3, Surrogate(surrogate, slope), **more)


def assert_same(found: list[Tensor], wanted: list[Tensor]) -> None:
    for ours, theirs in zip(found, wanted, strict=True):
        assert theirs.abs().max() > 0
        assert (ours - theirs).abs().max() < 1e-9 * theirs.abs().max()


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("surrogate", SURROGATES)
def test_gradients_of_the_smooth_neuron_are_finite_differences(surrogate: str, reset: str) -> None:
    """The reset in the graph: detached or truncated gradients are no function's, see the next test."""
    x = leaf(currents(7, 2, 3, 2, 1))

    def run(x: Tensor, alpha: Tensor, beta: Tensor, threshold: Tensor) -> Tensor:
        own = Lif(alpha, beta, threshold, Surrogate(surrogate, 1.5), False, reset, smooth=True)
        return lif(x, own)[0]

    assert torch.autograd.gradcheck(run, (x, *parameters()), eps=1e-6, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize(("reset", "detach_reset"), itertools.product(RESETS, [True, False]))
@pytest.mark.parametrize("slope", [1.0, 2.5])
@pytest.mark.parametrize("surrogate", SURROGATES)
def test_outputs_and_gradients_are_those_of_plain_autograd(
    surrogate: str, slope: float, reset: str, detach_reset: bool, smooth: bool
) -> None:
    own = neuron(surrogate, slope, reset=reset, detach_reset=detach_reset, smooth=smooth)
    x, state = currents(40, 4, 3, 5, 2), LifState(currents(4, 3, 5, 2, seed=2), currents(4, 3, 5, 2, seed=3))
    for truncate in (None, 1, 7):
        wanted, wanted_gradients = gradients(plain, x, replace(own, truncate=truncate), state)
        found, found_gradients = gradients(lif, x, replace(own, truncate=truncate), state)
        if smooth:
            torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
        else:
            assert 0.05 < wanted.mean() < 0.5
            assert torch.equal(found, wanted)
        assert_same(found_gradients, wanted_gradients)


@pytest.mark.parametrize("reset", RESETS)
def test_one_number_is_the_same_number_for_every_channel(reset: str) -> None:
    x, own = currents(30, 2, 3, 4, dtype=torch.float32), neuron(reset=reset, detach_reset=False)
    each = replace(own, alpha=torch.full((3,), 0.7), beta=torch.full((3,), 0.85), threshold=torch.full((3,), 1.3))
    outs = []
    for chosen in (own, each):
        given = x.clone().requires_grad_()
        spikes, state = lif(given, chosen)
        outs.append((spikes, *state, *torch.autograd.grad((spikes * x).sum(), given)))
    assert all(torch.equal(one, other) for one, other in zip(*outs, strict=True))


def test_truncated_gradients_are_those_of_pieces_with_the_state_carried_over() -> None:
    x, own = currents(20, 2, 3, 4), neuron(detach_reset=False)
    projection = currents(*x.shape, seed=1)

    def gradient(x: Tensor, weight: Tensor, own: Lif, state: LifState | None) -> tuple[Tensor, LifState]:
        given = leaf(x)
        spikes, state = lif(given, own, state)
        return torch.autograd.grad((spikes * weight).sum(), given)[0], state

    pieces, state = [], None
    for piece, weight in zip(x.split(8), projection.split(8), strict=True):
        found, state = gradient(piece, weight, own, state)
        pieces.append(found)
    truncated = gradient(x, projection, replace(own, truncate=8), None)[0]
    whole = gradient(x, projection, own, None)[0]
    assert torch.equal(truncated, torch.cat(pieces))
    assert (truncated - whole).abs().max() > 0.01 * whole.abs().max()


@pytest.mark.parametrize("truncate", [None, 3])
def test_gradients_of_the_readout_are_those_of_its_equations(truncate: int | None) -> None:
    own = Lif(0.4, 0.9, truncate=truncate)
    silent = replace(own, threshold=float("inf"))
    x = leaf(currents(12, 2, 3))

    def membranes(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        return integrate(x, Lif(alpha, beta))[0]

    assert torch.autograd.gradcheck(membranes, (x, *parameters()[:2]))
    projection, parts, state = currents(*x.shape, seed=1), [], None
    for piece, weight in zip(x.detach().split(truncate or 12), projection.split(truncate or 12), strict=True):
        given = leaf(piece)
        _, after = integrate(piece, own, state)
        membrane = integrate(given, own, state)[0]
        parts.append(torch.autograd.grad((membrane * weight).sum(), given)[0])
        assert torch.equal(after.v, plain(piece, silent, state)[1].v)
        state = after
    (found,) = torch.autograd.grad((integrate(x, own)[0] * projection).sum(), x)
    assert torch.equal(found, torch.cat(parts))


def layers(weights: tuple[Tensor, ...], own: Lif) -> list[Layer]:
    """Two convolutions, a dense layer and a readout."""
    convs = (Conv((2, 2), (1, 1)), Conv((1, 2), (1, 0), (1, 1), 2), None, None)
    return [Layer(w, own, c, i < 3) for i, (w, c) in enumerate(zip(weights, convs, strict=True))]


def test_gradients_of_a_whole_smooth_network_are_finite_differences() -> None:
    """From the events to readout and rates, in all weights."""
    inputs = input_spikes(batch(12_000, events=40), 2_000, 5_000.0, dtype=torch.float64)
    shapes = ((4, 2, 3, 3), (2, 2, 3, 2), (3, 30), (2, 3))
    weights = tuple(leaf(currents(*shape, seed=i)) for i, shape in enumerate(shapes))
    own = Lif(0.7, 0.9, 0.5, Surrogate("atan", 2.0), False, "subtract", smooth=True)

    def run(*weights: Tensor) -> tuple[Tensor, ...]:
        trace = propagate(inputs, layers(weights, own))
        return trace.readout, *trace.rates

    assert torch.autograd.gradcheck(run, weights, eps=1e-6, atol=1e-6, rtol=1e-5)


def test_rates_are_the_mean_of_each_channels_spikes_and_so_are_their_gradients() -> None:
    inputs = input_spikes(batch(12_000, 8_000, events=300), 2_000, 5_000.0, dtype=torch.float64)
    weights = tuple(leaf(currents(*shape, seed=i)) for i, shape in enumerate(((4, 2, 3, 3), (2, 2, 3, 2), (3, 30))))
    trace = propagate(inputs, layers((*weights, leaf(currents(2, 3))), Lif(0.7, 0.9, 0.5))[:3])
    assert [r.shape for r in trace.rates] == [(2, 4), (2, 2), (2, 3)]
    for spikes, rates in zip(trace.spikes, trace.rates, strict=True):
        assert 0 < rates.mean() < 1
        torch.testing.assert_close(rates[1, 1], spikes[:, 1, 1].mean(), rtol=1e-12, atol=0)
        by_rates = torch.autograd.grad(rates.mean(), weights, retain_graph=True, allow_unused=True)
        by_spikes = torch.autograd.grad(spikes.mean(), weights, retain_graph=True, allow_unused=True)
        assert_same([g for g in by_rates if g is not None], [g for g in by_spikes if g is not None])


@pytest.mark.parametrize("wrong", [torch.ones(2), torch.ones(3, 1)])
def test_parameters_that_fit_no_channels_are_refused(wrong: Tensor) -> None:
    with pytest.raises(InputError, match=r"neuron: has a parameter of shape .* on input \[5, 2, 3, 4\]"):
        lif(currents(5, 2, 3, 4), Lif(0.5, wrong))

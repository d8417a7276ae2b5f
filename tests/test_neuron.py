"""The neuron: spikes, states and gradients against a plain autograd loop; surrogates against their definitions."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from snnface.neuron import Lif, LifState, integrate, lif
from snnface.surrogate import SURROGATES, Surrogate

#: Written again from their definitions, so that a change of either side shows.
DERIVATIVES = {
    "fast_sigmoid": lambda d: 1 / (1 + d.abs()) ** 2,
    "atan": lambda d: 1 / (1 + (math.pi / 2 * d) ** 2),
    "triangle": lambda d: torch.relu(1 - d.abs()),
}
LAYOUTS = ("contiguous", "channels-last", "time inside", "strided", "expanded", "one step", "one pixel")


class Spike(torch.autograd.Function):
    """A step with the surrogate as its derivative."""

    @staticmethod
    def forward(ctx, d: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(d)
        ctx.surrogate = surrogate
        return (d > 0).to(d.dtype)

    @staticmethod
    def backward(ctx, g: Tensor) -> tuple[Tensor, None]:
        (d,) = ctx.saved_tensors
        return g * DERIVATIVES[ctx.surrogate.name](d * ctx.surrogate.slope), None


def plain(x: Tensor, neuron: Lif, state: LifState | None = None) -> tuple[Tensor, LifState]:
    """The neuron's equations step by step, differentiated by autograd."""
    u, v = state if state is not None else (torch.zeros_like(x[0]), torch.zeros_like(x[0]))
    spikes = []
    for step in x:
        u = neuron.alpha * u + step
        v = neuron.beta * v + u
        s = Spike.apply(v - neuron.threshold, neuron.surrogate)
        v = v * (1 - (s.detach() if neuron.detach_reset else s))
        spikes.append(s)
    return torch.stack(spikes), LifState(u, v)


def currents(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Input that makes about every fifth neuron-step spike."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype) * 0.7


def gradient(run, x: Tensor, neuron: Lif) -> tuple[Tensor, Tensor, LifState]:
    """Spikes, gradient of a random projection of them, and the last state."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    spikes, state = run(x, neuron)
    (spikes * currents(*spikes.shape, seed=1)).sum().backward()
    assert x.grad is not None
    return spikes.detach(), x.grad, state


def neuron(surrogate: str = "fast_sigmoid", slope: float = 2.0, detach_reset: bool = True) -> Lif:
    return Lif(0.7, 0.85, 1.3, Surrogate(surrogate, slope), detach_reset)


@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("slope", [1.0, 2.5])
@pytest.mark.parametrize("surrogate", SURROGATES)
def test_spikes_and_gradients_are_those_of_plain_autograd(surrogate: str, slope: float, detach_reset: bool) -> None:
    x, own = currents(40, 3, 50), neuron(surrogate, slope, detach_reset)
    wanted, wanted_gradient, wanted_state = gradient(plain, x, own)
    assert 0.05 < wanted.mean() < 0.5
    spikes, found, state = gradient(lif, x, own)
    assert torch.equal(spikes, wanted)
    assert (found - wanted_gradient).abs().max() < 1e-9 * wanted_gradient.abs().max()
    torch.testing.assert_close(state, LifState(*(s.detach() for s in wanted_state)), rtol=0, atol=1e-12)


def test_the_reset_in_the_graph_changes_the_gradient() -> None:
    x = currents(40, 3, 50)
    _, detached, _ = gradient(lif, x, neuron())
    _, attached, _ = gradient(lif, x, neuron(detach_reset=False))
    assert (detached - attached).abs().max() > 0.1 * detached.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout_gives_the_same(layout: str, dtype: torch.dtype) -> None:
    base = currents(7, 2, 3, 4, 5, dtype=dtype)
    x = {
        "contiguous": base,
        "channels-last": base.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (7, 2)),
        "time inside": base.permute(1, 2, 3, 4, 0).contiguous().permute(4, 0, 1, 2, 3),
        "strided": base[:, :, :, ::2],
        "expanded": base[:, :, :1].expand(-1, -1, 3, -1, -1),
        "one step": base[:1].permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3),
        "one pixel": base[..., :1, :1],
    }[layout]
    wanted, wanted_gradient, wanted_state = gradient(lif, x.contiguous(), neuron(detach_reset=False))
    leaf = x.detach().requires_grad_()
    spikes, state = lif(leaf, neuron(detach_reset=False))
    (found,) = torch.autograd.grad((spikes * currents(*spikes.shape, seed=1)).sum(), leaf)
    assert torch.equal(spikes, wanted)
    assert torch.equal(found, wanted_gradient)
    for ours, theirs in zip(state, wanted_state, strict=True):
        assert torch.equal(ours, theirs)


def test_float32_is_the_plain_loop_in_float32() -> None:
    x = currents(60, 4, 300, dtype=torch.float32)
    wanted, wanted_state = plain(x, neuron())
    spikes, state = lif(x, neuron())
    assert spikes.dtype == torch.float32
    assert torch.equal(spikes, wanted)
    assert torch.equal(state.u, wanted_state.u)
    assert torch.equal(state.v, wanted_state.v)


@pytest.mark.parametrize("pieces", [[1] * 30, [7, 20, 3], [29, 1]])
def test_state_carried_over_pieces_equals_one_run(pieces: list[int]) -> None:
    x = currents(30, 2, 3, 4, 5)
    whole, last = lif(x, neuron())
    parts, state = [], None
    for piece in x.split(pieces):
        spikes, state = lif(piece, neuron(), state)
        parts.append(spikes)
    assert state is not None
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(state.u, last.u)
    assert torch.equal(state.v, last.v)


def test_the_callers_state_is_left_as_it_was() -> None:
    state = LifState(currents(2, 9), currents(2, 9, seed=2))
    before = [s.clone() for s in state]
    lif(currents(5, 2, 9), neuron(), state)
    assert all(torch.equal(s, b) for s, b in zip(state, before, strict=True))


def test_a_second_derivative_is_refused_and_not_wrong() -> None:
    x = currents(5, 10).requires_grad_()
    (g,) = torch.autograd.grad((lif(x, neuron())[0] * x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


@pytest.mark.parametrize("name", SURROGATES)
def test_surrogates_are_even_and_one_at_the_threshold(name: str) -> None:
    d = torch.arange(-30, 31, dtype=torch.float64) / 10
    for slope in (1.0, 4.0):
        values = Surrogate(name, slope)(d)
        torch.testing.assert_close(values, DERIVATIVES[name](slope * d), rtol=1e-12, atol=1e-15)
        torch.testing.assert_close(values, values.flip(0), rtol=1e-12, atol=1e-15)
        assert values[30] == 1
        assert values.min() >= 0


def test_an_unknown_surrogate_is_named() -> None:
    with pytest.raises(ValueError, match="'relu' is unknown; use one of fast_sigmoid, atan, triangle"):
        Surrogate("relu")


def test_the_readout_integrates_and_never_resets() -> None:
    x = currents(25, 2, 6)
    silent = dataclasses.replace(neuron(), threshold=float("inf"))
    membrane, state = integrate(x, silent)
    _, wanted = plain(x, silent)
    torch.testing.assert_close(membrane[-1], wanted.v)
    torch.testing.assert_close(state, wanted)
    first, between = integrate(x[:11], silent)
    second, _ = integrate(x[11:], silent, between)
    assert torch.equal(torch.cat([first, second]), membrane)


def test_the_gradient_through_the_readout_is_the_filter_backwards() -> None:
    x = currents(25, 2, 6).requires_grad_()
    projection = torch.randn(25, 2, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    integrate(x, Lif(0.4, 0.9))[0].mul(projection).sum().backward()
    again = x.detach().clone().requires_grad_()
    u, v, total = torch.zeros(2, 6, dtype=torch.float64), torch.zeros(2, 6, dtype=torch.float64), 0.0
    for step, row in zip(again, projection, strict=True):
        u = 0.4 * u + step
        v = 0.9 * v + u
        total = total + (v * row).sum()
    total.backward()
    torch.testing.assert_close(x.grad, again.grad, rtol=1e-12, atol=1e-12)

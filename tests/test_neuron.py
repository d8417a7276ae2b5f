"""The neuron: spikes, states and gradients against a plain autograd loop; surrogates against their definitions."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from plain_neuron import DERIVATIVES, PRIMITIVES, currents, plain
from torch import Tensor

from snnface.errors import InputError
from snnface.neuron import Lif, LifState, integrate, lif
from snnface.surrogate import SURROGATES, Surrogate

LAYOUTS = ("contiguous", "channels-last", "time inside", "strided", "expanded", "one step", "one pixel")


def gradient(run, x: Tensor, neuron: Lif) -> tuple[Tensor, Tensor, LifState]:
    """Spikes, gradient of a random projection of them, and the last state."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    spikes, state = run(x, neuron)
    (spikes * currents(*spikes.shape, seed=1)).sum().backward()
    assert x.grad is not None
    return spikes.detach(), x.grad, state


def neuron(surrogate: str = "fast_sigmoid", slope: float = 2.0, detach_reset: bool = True) -> Lif:
    return Lif(0.7, 0.85, 1.3, Surrogate(surrogate, slope), detach_reset)


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
@pytest.mark.parametrize("slope", [1.0, 4.0])
def test_surrogates_are_even_and_one_at_the_threshold(name: str, slope: float) -> None:
    d = torch.arange(-30, 31, dtype=torch.float64) / 10
    before = d.clone()
    values = Surrogate(name, slope)(d)
    torch.testing.assert_close(values, DERIVATIVES[name](slope * d), rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(values, values.flip(0), rtol=1e-12, atol=1e-15)
    assert values[30] == 1
    assert values.min() >= 0
    assert torch.equal(d, before)


@pytest.mark.parametrize("name", SURROGATES)
@pytest.mark.parametrize("slope", [1.0, 4.0])
def test_primitives_have_the_surrogate_as_their_derivative(name: str, slope: float) -> None:
    own = Surrogate(name, slope)
    d = (torch.arange(-30, 31, dtype=torch.float64) / 10).requires_grad_()
    smooth = own.primitive(d)
    assert smooth[30] == 0.5
    torch.testing.assert_close(smooth, 0.5 + PRIMITIVES[name](slope * d) / slope, rtol=1e-12, atol=1e-15)
    (found,) = torch.autograd.grad(smooth.sum(), d)
    inside = d.detach().abs() < 0.999 * own.support  # at the very edge one of two one-sided derivatives is as good
    torch.testing.assert_close(found[inside], own(d.detach())[inside], rtol=1e-12, atol=1e-15)


def test_only_compact_surrogates_vanish_and_where_they_say() -> None:
    d = torch.linspace(-3, 3, 601, dtype=torch.float64)
    for name in SURROGATES:
        own = Surrogate(name, 2.0)
        assert torch.equal(own(d) == 0, d.abs() >= own.support)
    assert {name for name in SURROGATES if Surrogate(name, 2.0).support == 0.5} == {"triangle"}


def test_an_unknown_surrogate_is_named() -> None:
    with pytest.raises(ValueError, match="'relu' is unknown; use one of fast_sigmoid, atan, triangle"):
        Surrogate("relu")


@pytest.mark.parametrize(
    ("wrong", "message"), [({"reset": "soft"}, "reset 'soft' is unknown"), ({"truncate": 0}, "every 0 steps")]
)
def test_impossible_neurons_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Lif(0.5, 0.5, **wrong)


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

"""What Triton's kernels compute, against the reference: run by test_triton.py, in the interpreter or on a device."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_neuron import currents
from small_networks import HEIGHT, WIDTH, batch, network
from torch import Tensor

from snnface import backends, forward
from snnface.backends import torch as reference
from snnface.backends import triton
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig, class_heads
from snnface.errors import InputError
from snnface.forward import Neurons, membranes, network_layers, run_reference
from snnface.input import coded
from snnface.neuron import Lif
from snnface.surrogate import SURROGATES, Shape, Surrogate

#: Of a tensor's largest element.
CLOSE = 1e-5
#: Gradients of parameters, of the sum of the input's: they are sums over all neurons and steps, and may cancel.
ROUNDING = 1e-6
PARAMETERS = ("alpha", "beta", "threshold")
#: How ``x [T, B, C, H, W]`` may lie in memory.
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "channels last": lambda x: x.transpose(2, 4).contiguous().transpose(2, 4),
    "clips outside": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "gaps": lambda x: torch.stack([x, -x], -1)[..., 0],
    "expanded": lambda x: x[:, :, :1].expand_as(x),
    "dense": lambda x: x.flatten(3)[..., 0],
}


@pytest.fixture(autouse=True, scope="module")
def _all_digits() -> Iterator[None]:
    """Convolutions in float32 on a device too."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@st.composite
def neurons(draw: st.DrawFn, channels: int) -> Lif:
    """Each parameter a number, or one a channel, learned or not."""
    values = {}
    for name, low, high in zip(
        PARAMETERS, (0.0, 0.2, draw(st.sampled_from((0.5, -0.4)))), (0.9, 1.0, 1.5), strict=True
    ):
        seed = draw(st.integers(0, 1000))
        each = torch.rand(channels, generator=torch.Generator().manual_seed(seed)) * (high - low) + low
        kind = draw(st.sampled_from(("number", "tensor", "channels", "learned", "learned")))
        number = each[0].clone() if kind == "tensor" else float(each[0])
        values[name] = each.requires_grad_(kind == "learned") if kind in ("channels", "learned") else number
    return Lif(
        **values,
        surrogate=Surrogate(draw(st.sampled_from(sorted(SURROGATES))), draw(st.sampled_from((0.5, 1.0, 4.0)))),
        detach_reset=draw(st.booleans()),
        reset=draw(st.sampled_from(("zero", "subtract"))),
        truncate=draw(st.sampled_from((None, None, 1, 3, 16))),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Tensor, Lif]:
    """Input of up to four blocks, and its neurons."""
    sizes = [draw(st.integers(1, n)) for n in (18, 3, 5, 8, 8)]
    x = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](currents(*sizes, dtype=torch.float32, seed=sizes[0]))
    return x, draw(neurons(sizes[2]))


def outcome(run: Neurons, x: Tensor, neuron: Lif) -> tuple[Tensor, list[Tensor]]:
    """Output, and the gradients of a random projection of it to input and to what is learned."""

    def leaf(p: float | Tensor) -> float | Tensor:
        return p.detach().to(triton.device()).requires_grad_(p.requires_grad) if isinstance(p, Tensor) else p

    own = replace(neuron, **{name: leaf(getattr(neuron, name)) for name in PARAMETERS})
    x = x.to(triton.device()).requires_grad_()
    learned = [x, *(p for p in (own.alpha, own.beta, own.threshold) if isinstance(p, Tensor) and p.requires_grad)]
    out = run(x, own)
    projection = currents(*out.shape, dtype=torch.float32, seed=1).to(out.device)
    found = torch.autograd.grad((out * projection).sum(), learned, allow_unused=True)
    return out.detach(), [torch.zeros_like(p) if g is None else g for p, g in zip(learned, found, strict=True)]


def assert_close(found: list[Tensor], wanted: list[Tensor]) -> None:
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, rtol=CLOSE, atol=CLOSE * float(theirs.detach().abs().max()))


def assert_same_gradients(found: list[Tensor], wanted: list[Tensor]) -> None:
    """Of the input, and of what is learned."""
    assert_close(found[:1], wanted[:1])
    for ours, theirs in zip(found[1:], wanted[1:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=CLOSE, atol=ROUNDING * float(wanted[0].abs().sum()))


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(cases())
def test_random_neurons_are_the_references(case: tuple[Tensor, Lif]) -> None:
    x, neuron = case
    for run, theirs in ((triton.neurons, reference.neurons), (triton.membranes, membranes)):
        (found, found_gradients), (wanted, wanted_gradients) = outcome(run, x, neuron), outcome(theirs, x, neuron)
        assert torch.equal(found, wanted)
        assert_same_gradients(found_gradients, wanted_gradients)


@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("surrogate", SURROGATES)
def test_every_option_is_the_references(surrogate: str, reset: str, detach_reset: bool) -> None:
    """Many spikes in several blocks, everything learned."""
    each = (torch.tensor(p).requires_grad_() for p in ((0.2, 0.7, 0.9), (0.5, 0.95, 0.8), (0.6, 1.3, 1.0)))
    own = Lif(*each, Surrogate(surrogate, 2.0), detach_reset, reset, truncate=7)
    x = LAYOUTS["channels last"](currents(20, 4, 3, 7, 5, dtype=torch.float32))
    (found, found_gradients), (wanted, wanted_gradients) = (
        outcome(run, x, own) for run in (triton.neurons, reference.neurons)
    )
    assert 0.05 < wanted.mean() < 0.5
    assert torch.equal(found, wanted)
    assert all(g.abs().max() > 0 for g in wanted_gradients)
    assert_same_gradients(found_gradients, wanted_gradients)


def test_images_stay_channels_last() -> None:
    x = LAYOUTS["channels last"](torch.ones(3, 2, 4, 5, 6)).to(triton.device())
    assert triton.neurons(x, Lif(0.5, 0.5)).stride() == x.stride()


def test_a_second_derivative_is_refused_and_not_wrong() -> None:
    x = currents(5, 1, 10, dtype=torch.float32).to(triton.device()).requires_grad_()
    (g,) = torch.autograd.grad((triton.neurons(x, Lif(0.7, 0.8)) * x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_a_network_is_the_references() -> None:
    """Grouped, dilated and strided convolutions, and a dense layer. A batch on the CPU."""
    clips = batch(40_000, 26_000, events=900)
    wanted = reference.run(network(), clips)
    with mock.patch.object(forward, "integrate") as step_by_step:
        found = triton.run_network(network(), clips)
    assert not step_by_step.called
    assert found.readout.device.type == triton.device()
    for ours, theirs in zip(found.spikes, wanted.spikes, strict=True):
        assert 0 < theirs.mean() < 1
        assert (ours.cpu() != theirs).sum() <= (0 if triton.device() == "cpu" else 1e-4 * theirs.numel())
    if triton.device() == "cpu":
        torch.testing.assert_close(found.readout, wanted.readout, rtol=0, atol=0)
    assert triton.run_network(network(), clips, steps=7).readout.shape == (7, 2, 5)


def test_events_become_the_same_input_on_the_device() -> None:
    clips = batch(40_000, 26_000, events=900)
    wanted, found = (coded(b, network()) for b in (clips, clips.to(triton.device())))
    assert found.value.device.type == triton.device()
    assert found.shape == wanted.shape
    assert torch.equal(found.index.cpu(), wanted.index)
    torch.testing.assert_close(found.value.cpu(), wanted.value)


def test_an_encoder_trains_on_it_as_on_the_reference() -> None:
    torch.manual_seed(0)
    config = EncoderConfig(
        width=WIDTH, height=HEIGHT, step_us=2_000, conv=[ConvConfig(channels=5, stride=1), ConvConfig(channels=6)],
        dense=[DenseConfig(features=7)], heads=class_heads(), truncate_steps=8,
        learn_decays=True, learn_threshold=True,
    )  # fmt: skip
    clips, encoder = batch(40_000, 26_000, events=900), Encoder(config).to(triton.device())
    encoder.calibrate(clips, 0.1)
    found = []
    for run in (triton.run, run_reference):
        encoder.zero_grad(set_to_none=True)
        answers, trace = encoder(clips, run)
        (sum(a.square().mean() for a in answers.values()) + sum(r.mean() for r in trace.rates)).backward()
        found.append((trace, [p.grad for p in encoder.parameters()]))
    (ours, our_gradients), (theirs, their_gradients) = found
    assert all(torch.equal(one, other) for one, other in zip(ours.spikes, theirs.spikes, strict=True))
    assert sum(spikes.sum() for spikes in ours.spikes) > 100
    assert_close([ours.readout, *ours.rates], [theirs.readout, *theirs.rates])
    for one, other in zip(our_gradients, their_gradients, strict=True):
        assert (one - other).norm() <= 1e-4 * other.norm()


def test_layers_on_cuda_run_on_it_by_themselves() -> None:
    """In the interpreter a tensor that only says that it is there."""
    layers = network_layers(network(), torch.float32, device=triton.device())
    if triton.device() == "cpu":
        said = type("Said", (Tensor,), {"is_cuda": True})
        layers[0] = replace(layers[0], weight=layers[0].weight.as_subclass(said))
    clips = batch(8_000)
    with mock.patch.object(triton, "run", wraps=triton.run) as used:
        trace = backends.run_fastest(clips, network(), layers)
        assert used.call_count == 1
        smooth = [replace(layer, neuron=replace(layer.neuron, smooth=True)) for layer in layers]
        backends.run_fastest(clips, network(), smooth)
        assert used.call_count == 1
    assert torch.equal(trace.spikes[0], run_reference(clips, network(), layers).spikes[0])


def test_what_the_kernels_do_not_know_is_refused() -> None:
    x = torch.ones(3, 1, 4, device=triton.device())
    with pytest.raises(InputError, match=r"backend triton: .*smooth primitive"):
        triton.neurons(x, Lif(0.5, 0.5, smooth=True))
    with pytest.raises(InputError, match=r"backend triton: it computes in float32 .*not in torch\.float64"):
        triton.membranes(x.double(), Lif(0.5, 0.5))
    with pytest.raises(InputError, match=r"not in torch\.float32 on meta"):
        triton.neurons(x.to("meta"), Lif(0.5, 0.5))
    flat = Shape(torch.ones_like, torch.ones_like, math.inf)  # type: ignore[arg-type]
    with mock.patch.dict(SURROGATES, flat=flat), pytest.raises(InputError, match="surrogate flat"):
        triton.neurons(x, Lif(0.5, 0.5, surrogate=Surrogate("flat")))
    with pytest.raises(InputError, match="parameter of shape"):
        triton.neurons(x, Lif(0.5, torch.ones(3)))

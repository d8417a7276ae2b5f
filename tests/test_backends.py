"""Three implementations of one neuron: our reference, snnTorch and Norse on a calibrated encoder."""

from __future__ import annotations

import dataclasses
import functools

import pytest
import torch
from small_faces import batch_of
from torch import Tensor

from snnface import backends
from snnface.backends import norse, snntorch
from snnface.backends import torch as reference
from snnface.batch import EventBatch
from snnface.datasets.store import Store
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig, class_heads
from snnface.errors import InputError
from snnface.forward import Layer, Neurons, network_layers, run_reference
from snnface.neuron import Lif
from snnface.surrogate import Surrogate
from snnface.synapse import from_events, from_spikes

PEERS: dict[str, Neurons] = {"snntorch": snntorch.neurons, "norse": norse.neurons}


pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(scope="module")
def batch(tiny_faces: Store) -> EventBatch:
    """Two synthetic faces: more than a million neuron-steps."""
    return batch_of(tiny_faces, range(2))


@pytest.fixture(scope="module")
def encoder(batch: EventBatch) -> Encoder:
    """Three convolutions and a dense layer at a step of 10 ms, calibrated on the batch."""
    torch.manual_seed(0)
    made = Encoder(
        EncoderConfig(
            width=batch.width,
            height=batch.height,
            step_us=10_000,
            conv=[ConvConfig(channels=12, stride=1), ConvConfig(channels=16), ConvConfig(channels=16)],
            dense=[DenseConfig(features=32)],
            heads=class_heads(),
            slope=1.0,
            detach_reset=False,
        )
    ).double()
    made.calibrate(batch, 0.05)
    return made


def layer_inputs(encoder: Encoder, batch: EventBatch, dtype: torch.dtype) -> list[tuple[Layer, Tensor]]:
    """Each spiking layer of the folded network with its synaptic input ``[T, B, ...]`` in ``dtype``, the spikes
    before it being those of the float64 reference."""
    network = encoder.to_network()
    trace = reference.run(network, batch, dtype=torch.float64)
    inputs = encoder.inputs(batch)
    inputs = dataclasses.replace(inputs, value=inputs.value.to(dtype))
    found = []
    for i, layer in enumerate(network_layers(network, dtype)[:-1]):
        if i == 0:
            x = from_events(inputs, layer.weight, layer.conv)
        else:
            x = from_spikes(trace.spikes[i - 1].to(dtype), layer.weight, layer.conv)
        found.append((layer, x))
    return found


def membrane(x: Tensor, neuron: Lif) -> Tensor:
    """The membrane before reset of every step, from the equations."""
    u = v = torch.zeros_like(x[0])
    found = []
    for step in x:
        u = neuron.alpha * u + step
        v = neuron.beta * v + u
        found.append(v)
        v = torch.where(v > neuron.threshold, 0.0, v)
    return torch.stack(found)


@pytest.mark.parametrize("peer", PEERS)
def test_float64_spikes_are_the_same(peer: str, encoder: Encoder, batch: EventBatch) -> None:
    network = encoder.to_network()
    ours = backends.get("torch")(network, batch, dtype=torch.float64)
    theirs = backends.get(peer)(network, batch, dtype=torch.float64)
    assert sum(spikes.numel() for spikes in ours.spikes) >= 1_000_000
    for one, other in zip(ours.spikes, theirs.spikes, strict=True):
        assert 0.005 < one.mean() < 0.2
        assert int((one != other).sum()) == 0
    torch.testing.assert_close(theirs.readout, ours.readout, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", ["torch", *PEERS])
def test_float32_differs_only_at_the_threshold(backend: str, encoder: Encoder, batch: EventBatch) -> None:
    neurons = PEERS.get(backend, reference.neurons)
    exact = layer_inputs(encoder, batch, torch.float64)
    rounded = layer_inputs(encoder, batch, torch.float32)
    for (layer, x64), (_, x32) in zip(exact, rounded, strict=True):
        before_reset = membrane(x64, layer.neuron)
        wanted = before_reset > layer.neuron.threshold
        differs = (neurons(x32, layer.neuron) > 0.5) != wanted
        # After a neuron's first difference it has another history: the first is what counts.
        first = differs & (differs.cumsum(0) == 1)
        gap = (before_reset - layer.neuron.threshold).abs()
        assert differs.sum() < 1e-4 * differs.numel()
        assert gap[first].max() < 1e-5 if first.any() else not differs.any()


def parameter_gradient(encoder: Encoder, batch: EventBatch, neurons: Neurons) -> Tensor:
    """Gradient of a random projection of all answers, all parameters in one vector."""
    encoder.zero_grad(set_to_none=True)
    trace = encoder(batch, functools.partial(run_reference, neurons=neurons))[1]
    weight = torch.randn(trace.readout.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    (trace.readout * weight).mean().backward()
    return torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None])


def with_surrogate(encoder: Encoder, slope: float, detach_reset: bool) -> Encoder:
    changed = Encoder(encoder.config.model_copy(update={"slope": slope, "detach_reset": detach_reset})).double()
    changed.load_state_dict(encoder.state_dict())
    return changed


@pytest.mark.parametrize("peer", PEERS)
def test_gradients_of_the_whole_network_agree_under_the_stated_rule(
    peer: str, encoder: Encoder, batch: EventBatch
) -> None:
    """Fast sigmoid of slope 1, the reset in the graph."""
    ours = parameter_gradient(encoder, batch, reference.neurons)
    theirs = parameter_gradient(encoder, batch, PEERS[peer])
    assert len(ours) == sum(p.numel() for p in encoder.parameters())
    assert torch.cosine_similarity(ours, theirs, dim=0) > 0.999
    torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-6 * float(ours.abs().max()))


def test_gradients_differ_outside_the_stated_rule(encoder: Encoder, batch: EventBatch) -> None:
    steep = with_surrogate(encoder, 25.0, False)
    detached = with_surrogate(encoder, 1.0, True)
    for changed, peer in ((steep, "norse"), (detached, "snntorch")):
        ours = parameter_gradient(changed, batch, reference.neurons)
        theirs = parameter_gradient(changed, batch, PEERS[peer])
        assert torch.cosine_similarity(ours, theirs, dim=0) < 0.99


@pytest.mark.parametrize("peer", PEERS)
def test_parameters_of_each_channel_give_the_same_spikes(peer: str) -> None:
    x = torch.randn(50, 2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    own = Lif(*(torch.tensor(p, dtype=torch.float64) for p in ((0.2, 0.7, 0.9), (0.5, 0.95, 0.8), (0.6, 1.3, 1.0))))
    spikes = PEERS[peer](x, own)
    assert 0.1 < spikes.mean() < 0.9
    assert torch.equal(spikes, reference.neurons(x, own))


@pytest.mark.parametrize("peer", PEERS)
def test_truncated_gradients_agree(peer: str) -> None:
    own = Lif(0.7, 0.8, 1.0, Surrogate("fast_sigmoid", 1.0), detach_reset=False, truncate=5)
    found = []
    for neurons in (reference.neurons, PEERS[peer]):
        x = torch.randn(12, 1, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
        found.append(torch.autograd.grad(neurons(x, own)[5:].sum(), x)[0])
    assert not found[0][:5].any()
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("peer", PEERS)
def test_peers_refuse_the_reset_by_subtraction(peer: str) -> None:
    with pytest.raises(InputError, match=rf"backend {peer}: .*subtraction"):
        PEERS[peer](torch.zeros(3, 1, 4), Lif(0.5, 0.5, 1.0, Surrogate(), reset="subtract"))


def test_norse_refuses_a_membrane_without_leak() -> None:
    with pytest.raises(InputError, match="backend norse: cannot express a membrane without leak"):
        norse.neurons(torch.zeros(3, 1, 4), Lif(0.5, 1.0, 1.0, Surrogate()))
    assert snntorch.neurons(torch.ones(3, 1, 4), Lif(0.5, 1.0, 1.0, Surrogate())).sum() == 8


def test_an_unknown_backend_is_named() -> None:
    assert {"torch", "native", "snntorch", "norse", "fixed"} <= set(backends.names())
    with pytest.raises(InputError, match=r"backend cuda: is unknown\. Use one of fixed, native, norse"):
        backends.get("cuda")

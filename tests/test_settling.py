"""How answers begin: membranes divided by what of a constant input has reached them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from integer_networks import float_network
from small_networks import HEIGHT, WIDTH, batch

from snnface.encoder import ConvConfig, Encoder, EncoderConfig, HeadConfig
from snnface.hardware.netx_files import manifest
from snnface.hardware.quantising.quantise import quantise
from snnface.heads import decode, settled
from snnface.network import Settling
from snnface.neuron import Lif, integrate

decays = st.floats(0, 0.999)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(alpha=decays, beta=decays, prior=st.floats(0.01, 1))
@example(alpha=0.8, beta=0.8, prior=0.1)
@example(alpha=0.8, beta=0.8 + 1e-7, prior=0.1)
@example(alpha=0.0, beta=0.0, prior=0.1)
def test_it_is_the_response_of_the_readout_to_a_constant_input(alpha: float, beta: float, prior: float) -> None:
    x = torch.full((40, 1, 1), (1 - alpha) * (1 - beta), dtype=torch.float64)
    response = integrate(x, Lif(alpha, beta))[0][:, 0]
    found = settled(Settling(np.array([alpha]), np.array([beta]), prior), torch.arange(1, 41)[:, None])
    torch.testing.assert_close(found, prior + (1 - prior) * response, rtol=1e-5, atol=1e-9)


def test_gradients_reach_the_decays_where_they_are_equal_too() -> None:
    alpha = torch.tensor([0.5, 0.9, 0.3], dtype=torch.float64, requires_grad=True)
    beta = torch.tensor([0.9, 0.9, 0.3001], dtype=torch.float64, requires_grad=True)
    steps = torch.arange(1, 12)[:, None]
    assert torch.autograd.gradcheck(lambda a, b: settled(Settling(a, b, 0.1), steps)[:, [0, 2]], (alpha, beta))
    settled(Settling(alpha, beta, 0.1), steps).sum().backward()
    assert alpha.grad is not None
    assert torch.isfinite(alpha.grad).all()


def test_an_encoder_divides_the_rows_of_its_head_alone() -> None:
    def head(prior: float | None) -> HeadConfig:
        return HeadConfig(size=2, scale=[2.0, 3.0], offset=[5.0, 4.0], prior=prior)

    config = EncoderConfig(
        width=WIDTH, height=HEIGHT, conv=[ConvConfig(channels=4)], learn_decays=True, step_us=2_000,
        heads={"expression": head(None), "landmarks": head(0.25)},
    )  # fmt: skip
    encoder = Encoder(config)
    with torch.no_grad():
        encoder.neurons[-1].beta.copy_(torch.tensor([0.3, -0.2, 1.0, -1.0]))
        answers, trace = encoder(batch(30_000, 20_000))
    network = encoder.to_network()
    readout = network.layers[-1]
    for row, (alpha, beta) in enumerate(zip(readout.alpha[2:], readout.beta[2:], strict=True)):
        response = integrate(torch.ones(15, 1, 1, dtype=torch.float64), Lif(float(alpha), float(beta)))[0][:, 0]
        share = 0.25 + 0.75 * response * (1 - alpha) * (1 - beta)
        expected = trace.readout[:, :, 2 + row] / share * (2.0, 3.0)[row] + (5.0, 4.0)[row]
        torch.testing.assert_close(answers["landmarks"][:, :, row], expected.float(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        answers["expression"], trace.readout[:, :, :2] * torch.tensor([2.0, 3.0]) + torch.tensor([5.0, 4.0])
    )
    for name, found in decode(trace.readout, network.heads).items():
        torch.testing.assert_close(found, answers[name], rtol=1e-4, atol=1e-4)


def test_the_manifest_keeps_it(tmp_path: Path) -> None:
    network = float_network()
    manifest.save(tmp_path / "m.net", quantise(network))
    host = manifest.load(tmp_path / "m.net").host
    assert host is not None
    assert host.heads["au"].settling is None
    found, expected = host.heads["expression"].settling, network.heads["expression"].settling
    assert found is not None
    assert expected is not None
    assert found.prior == expected.prior
    np.testing.assert_array_equal(found.alpha, expected.alpha)
    np.testing.assert_array_equal(found.beta, expected.beta)

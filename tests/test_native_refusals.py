"""What the native kernels refuse, each with its reason, before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from unittest import mock

import pytest
import small_networks as small
import torch
from native_cases import (
    CODING,
    Case,
    Plan,
    built,
    in_float64,
)

from snnface.backends import native
from snnface.engine import library
from snnface.errors import InputError
from snnface.forward import Layer
from snnface.input import InputSpikes
from snnface.neuron import Lif
from snnface.surrogate import SURROGATES, Shape, Surrogate
from snnface.synapse import Conv


def refused(layers: Sequence[Layer]) -> str:
    case = Case((3, 1, 2, 5, 5), ())
    with pytest.raises(InputError) as caught:
        native.run(case.inputs(), CODING, layers)
    return str(caught.value)


@built
def test_what_the_engine_cannot_do_is_refused(monkeypatch) -> None:
    case = Case((3, 1, 2, 5, 5), (Plan(4, (3, 3)),))
    (layer,) = case.layers()
    assert "not in torch.float64 on cpu" in refused(in_float64([layer]))
    assert "not in torch.float32 on meta" in refused([replace(layer, weight=layer.weight.to("meta"))])
    assert "smooth primitive" in refused([replace(layer, neuron=replace(layer.neuron, smooth=True))])
    monkeypatch.setitem(SURROGATES, "box", Shape(lambda d, k: (d.abs() < 1 / k).to(d), lambda d, k: d, 1.0))
    refusal = refused([layer, replace(layer, neuron=replace(layer.neuron, surrogate=Surrogate("box")))])
    assert refusal == "backend native: it does not know the surrogate box. Use the backend torch for it."


@built
def test_layers_that_cut_gradients_at_different_steps_are_refused() -> None:
    layers = Case((3, 1, 2, 5, 5), (Plan(4, (3, 3)), Plan(3, (2, 2)))).layers()
    layers[1] = replace(layers[1], neuron=replace(layers[1].neuron, truncate=2))
    assert "at the same steps" in refused(layers)


@built
@pytest.mark.parametrize(
    ("shape", "conv"), [((4, 3, 3, 3), Conv()), ((4, 2, 3, 3), Conv(groups=2)), ((3, 1, 3, 3), Conv(groups=2)),
                        ((5, 49), None), ((5, 2, 5, 5), None)]
)  # fmt: skip
def test_weights_that_do_not_fit_are_refused_before_anything_is_read(
    shape: tuple[int, ...], conv: Conv | None
) -> None:
    assert "layer 0: has weights" in refused([Layer(torch.zeros(shape), Lif(0.5, 0.5), conv)])


@built
@pytest.mark.parametrize("length", [1, 3, 5])
def test_parameters_of_another_length_than_the_channels_are_refused(length: int) -> None:
    neuron = Lif(0.5, torch.full((length,), 0.5))
    assert "for 4 channels" in refused([Layer(torch.zeros(4, 2, 3, 3), neuron, Conv())])


@built
@pytest.mark.parametrize(("x", "y", "p"), [(11, 0, 0), (-1, 0, 0), (0, 9, 0), (0, -1, 1), (0, 0, 2), (0, 0, -1)])
def test_events_outside_the_sensor_are_refused(x: int, y: int, p: int) -> None:
    inside = small.batch(20_000)
    columns = {name: getattr(inside, name).clone() for name in "xyp"}
    for name, value in (("x", x), ("y", y), ("p", p)):
        columns[name][5] = value
    with pytest.raises(InputError, match="the sensor ends at"):
        native.run_network(small.network(), replace(inside, **columns))


@built
@pytest.mark.parametrize("shape", [(1, 1, 2, 1, 1 << 16), (1, 1, 1 << 16, 1, 1)])
def test_inputs_of_more_columns_or_channels_than_16_bits_count_are_refused(shape: tuple[int, ...]) -> None:
    inputs = InputSpikes(torch.zeros(0, dtype=torch.int64), torch.zeros(0), shape)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the engine counts to 65535"):
        native.run(inputs, CODING, [Layer(torch.zeros(3, shape[2], 1, 1), Lif(0.5, 0.5), Conv())])


def test_without_an_engine_the_reason_is_told(monkeypatch) -> None:
    layers = Case((3, 1, 2, 5, 5), (Plan(4, (3, 3)),)).layers()
    monkeypatch.setenv(library.VARIABLE, "none")
    assert "The native engine is switched off" in refused(layers)
    monkeypatch.delenv(library.VARIABLE)
    monkeypatch.setattr(library, "available", lambda: ())
    monkeypatch.setattr(library, "_path", lambda level: mock.Mock(is_file=lambda: False))
    assert "The native engine is not built" in refused(layers)

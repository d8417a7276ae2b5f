"""Counts against independent counts, energies and cores against numbers worked out by hand."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import small_networks as small
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from snnface import checkpoint
from snnface.backends import get
from snnface.batch import collate_events
from snnface.cli import main
from snnface.counts import Counts, LayerCounts, count, fan_out
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig, class_heads
from snnface.hardware.netx_files import manifest
from snnface.hardware.placing.chip import chip_names, load_chip
from snnface.hardware.profiling.baseline_macs import baselines, count_macs
from snnface.hardware.profiling.energy import energy, energy_uj_per_s
from snnface.hardware.profiling.latency import latency_us
from snnface.hardware.profiling.profile import profile
from snnface.hardware.quantising.quantise import quantise
from snnface.input import input_spikes
from snnface.network import SynapticLayer, conv_shape


def _synapses(layer: SynapticLayer) -> np.ndarray:
    """Synapses of every source neuron, by walking over every synapse of the layer."""
    reached = np.zeros(layer.shape_in, np.int64)
    if layer.kind == "dense":
        for _, flat in itertools.product(range(layer.shape_out[0]), range(reached.size)):
            reached[np.unravel_index(flat, reached.shape)] += 1
        return reached
    outputs, inputs, kernel_y, kernel_x = layer.weight.shape
    _, height, width = layer.shape_in
    neurons = itertools.product(*(range(n) for n in layer.shape_out))
    for (o, oy, ox), c, ky, kx in itertools.product(neurons, range(inputs), range(kernel_y), range(kernel_x)):
        y = oy * layer.stride[0] - layer.padding[0] + ky * layer.dilation[0]
        x = ox * layer.stride[1] - layer.padding[1] + kx * layer.dilation[1]
        if 0 <= y < height and 0 <= x < width:
            reached[o // (outputs // layer.groups) * inputs + c, y, x] += 1
    return reached


def _sources(network, batch, trace):
    """Spikes into every layer, ``[T, B, *shape_in]``."""
    cells = input_spikes(batch, network.step_us, network.tau_syn_us, "unary").dense()
    return [cells, *trace.spikes][: len(network.layers)]


def test_synops_equal_a_walk_over_all_synapses():
    network, batch = small.network(), small.batch(60_000, 60_000)
    trace = get("torch")(network, batch)
    counts = count(network, [(batch, trace)])
    for layer, counted, source in zip(network.layers, counts.layers, _sources(network, batch, trace), strict=True):
        spikes_in = source.sum((0, 1)).numpy().reshape(layer.shape_in)
        assert counted.synops == int((spikes_in * _synapses(layer)).sum()) > 0


def test_synops_equal_the_fan_out_sums_of_snntorch_spikes():
    """What a user of snnTorch would count: the spikes sent through the same layers with weights of one."""
    network, batch = small.network(), small.batch(60_000, 60_000)
    trace = get("snntorch")(network, batch)
    counts = count(network, [(batch, trace)])
    for layer, counted, source in zip(network.layers, counts.layers, _sources(network, batch, trace), strict=True):
        ones = torch.ones(layer.weight.shape, dtype=torch.float64)
        flat = source.flatten(0, 1).double()
        if layer.kind == "conv":
            reached = F.conv2d(flat, ones, None, layer.stride, layer.padding, layer.dilation, layer.groups)
        else:
            reached = flat.flatten(1) @ ones.T
        assert counted.synops == int(reached.sum())
        assert counted.busiest_synops == int(reached.flatten(1).sum(1).max())


@given(
    size=st.tuples(st.integers(5, 12), st.integers(5, 12)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.sampled_from([1, 2]),
)
@settings(max_examples=60, deadline=None)
def test_fan_out_is_the_transposed_convolution_of_ones(size, kernel, stride, padding, dilation, groups):
    shape_in = (4, *size)
    weight = np.ones((6, 4 // groups, *kernel))
    shape_out = conv_shape(shape_in, weight.shape, stride, padding, dilation)
    if min(shape_out[1:]) < 1:
        return
    layer = SynapticLayer(
        "c", "conv", weight, shape_in, shape_out, 0.5, 0.5,
        stride=stride, padding=padding, dilation=dilation, groups=groups,
    )  # fmt: skip
    ones = torch.ones(shape_in, dtype=torch.float64, requires_grad=True)
    F.conv2d(ones[None], torch.from_numpy(weight), None, stride, padding, dilation, groups).sum().backward()
    assert np.array_equal(fan_out(layer), ones.grad.numpy())


def test_every_neuron_is_updated_at_every_step_of_its_own_clip():
    network = small.network()
    ragged, short = small.batch(60_000, 21_000, seed=3), small.batch(21_000, seed=4)
    run = get("torch")
    counts = count(network, [(ragged, run(network, ragged))])
    assert counts.steps == 30 + 11
    assert counts.total("updates") == network.neurons * 41
    assert counts.total("neurons") == 80 + 60 + 8 + 5
    assert counts.total("parameters") == 4 * 2 * 15 + 6 * 2 * 6 + 8 * 60 + 5 * 8
    assert counts.seconds == pytest.approx(0.081)
    alone = small.batch(60_000, seed=3)
    parts = [count(network, [(b, run(network, b))]) for b in (alone, short)]
    for field in ("synops", "spikes", "updates"):
        assert counts.total(field) == sum(part.total(field) for part in parts) > 0


def test_a_batch_counts_as_its_clips_one_by_one():
    network, both = small.network("graded"), small.batch(40_000, 40_000)
    run = get("torch")
    one_by_one = [small.batch(40_000, seed=i) for i in range(2)]
    together = count(network, [(both, run(network, both))])
    assert together == count(network, ((b, run(network, b)) for b in one_by_one))
    assert together.input_spikes <= together.input_events == 800


def _counts() -> Counts:
    layers = (
        LayerCounts("first", 100, 10, synops=1_000, busiest_synops=50, spikes=20, updates=10_000),
        LayerCounts("second", 10, 20, synops=3_000, busiest_synops=900, spikes=0, updates=1_000),
    )
    return Counts(layers, clips=1, steps=100, seconds=2.0, input_events=500, input_spikes=400)


def test_energies_by_hand():
    counts = _counts()
    loihi = 4_000 * 23.6 + 11_000 * 52 + 20 * (81 - 52 + 1.7)
    assert energy_uj_per_s(counts, load_chip("loihi1"), True) == pytest.approx(loihi / 2 * 1e-6)
    unary = 4_000 * 0.9 + 11_000 * 2 * 4.6
    weighted = 1_000 * 4.6 + 3_000 * 0.9 + 11_000 * 2 * 4.6
    assert energy_uj_per_s(counts, load_chip("cmos45"), False) == pytest.approx(unary / 2 * 1e-6)
    assert energy_uj_per_s(counts, load_chip("cmos45"), True) == pytest.approx(weighted / 2 * 1e-6)


def test_the_range_of_an_energy_takes_every_figure_s_ends_and_messages_cost_each():
    spent = energy(_counts(), load_chip("loihi1"), True, messages=100)
    assert spent.value == pytest.approx((4_000 * 23.6 + 10_980 * 52 + 20 * 81 + 100 * 1.7) / 2 * 1e-6)
    assert spent.low == pytest.approx((4_000 * 23.6 + 10_980 * 51.2 + 20 * 72.8 + 100 * 1.7) / 2 * 1e-6)
    assert spent.high == pytest.approx((4_000 * 35.5 + 10_980 * 52 + 20 * 81 + 100 * 76.8) / 2 * 1e-6)


def test_what_is_not_published_is_named_and_never_a_number():
    network, batch = small.network("unary"), small.batch(60_000)
    runs = [(batch, get("torch")(network, batch))]
    rows = {row["name"]: row for row in profile(network, runs, chip_names())["chips"]}
    assert rows["speck"]["energy_uj_per_s"] is None
    assert "energy_pj.synop: not published" in rows["speck"]["missing"]
    assert rows["spinnaker2"]["energy_uj_per_s"] > 0
    assert rows["spinnaker2"]["cores"] is None
    assert rows["spinnaker2"]["fits"] is None
    assert "core: not published" in rows["spinnaker2"]["missing"]
    assert rows["loihi2"]["missing"] == []
    with pytest.raises(ValueError, match=r"energy_pj\.synop is not published"):
        energy(count(network, runs), load_chip("xylo"), False)


def test_latency_by_hand():
    network = small.network()
    parts = latency_us(network, _counts(), load_chip("loihi1"), [2, 1])
    assert parts["step"] == 2_000
    assert parts["lag"] == 4 * 2_000
    assert parts["processing"] == pytest.approx(max(100 * 8.4 + 50 * 3.5, 2 * (10 * 8.4 + 900 * 3.5)) / 2e3)


def test_macs_equal_the_products_of_a_convolution_of_ones():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Sequential(
                nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), groups=2), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten()
            )
            self.linear = nn.Linear(6 * 5 * 13, 7)
            self.lstm = nn.LSTM(7, 3, num_layers=2, bidirectional=True)

        def forward(self, x):
            return self.lstm(self.linear(self.conv(x)))

    frames = torch.rand(5, 4, 9, 10)
    products = F.conv2d(torch.ones_like(frames), torch.ones(6, 2, 3, 2), None, (2, 1), (1, 2), groups=2).sum()
    gates = 2 * 4 * 3 * (7 + 3) + 2 * 4 * 3 * (2 * 3 + 3)
    expected = int(products) + 5 * 7 * 6 * 5 * 13 + 5 * gates
    assert count_macs(Model(), frames) == expected


def test_a_module_that_cannot_be_counted_is_not_left_out():
    with pytest.raises(NotImplementedError, match="ConvTranspose2d"):
        count_macs(nn.ConvTranspose2d(1, 1, 3), torch.rand(1, 1, 4, 4))
    with pytest.raises(NotImplementedError, match="Embedding"):
        count_macs(nn.Sequential(nn.Embedding(3, 4)), torch.tensor([1]))


def test_the_answer_of_profile():
    network, batch = small.network(), small.batch(60_000)
    macs = {"matched": 10**6}
    answer = profile(network, [(batch, get("torch")(network, batch))], baselines=macs)
    assert {"synops", "spikes", "updates", "neurons", "steps", "parameters"} <= answer.keys()
    rows = {row["name"]: row for row in answer["chips"]}
    assert rows["cmos45"]["cores"] is None
    assert rows["loihi2"]["fits"] is True
    parts = [rows["loihi2"][f"latency_{name}_us"] for name in ("step", "lag", "processing")]
    assert rows["loihi2"]["latency_us"] == pytest.approx(sum(parts))
    assert rows["loihi1"]["fits"] is False  # spikes with payloads
    assert "unary" in rows["loihi1"]["model"]
    (cnn,) = answer["baselines"]
    assert cnn["energy_uj_per_s"] == pytest.approx(4.6)
    assert cnn["times_spiking"] == pytest.approx(4.6 / rows["cmos45"]["energy_uj_per_s"])
    moved = {row["name"]: row["accesses_per_s"] for row in answer["memory"]}
    assert moved["matched"] == 2e6
    assert moved["spiking"] == pytest.approx((3 * answer["synops"] + 4 * answer["updates"]) / 0.06)
    assert math.isfinite(answer["synops_per_s"])


def test_unary_input_fits_a_chip_without_payloads():
    network, batch = small.network("unary"), small.batch(60_000)
    (row,) = profile(network, [(batch, get("torch")(network, batch))], ["loihi1"])["chips"]
    assert row["fits"] is True


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[Path, Path, Path]:
    """A checkpoint, the same network for the chip with unary input, and a data set of three clips."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("profile")
    config = EncoderConfig(
        width=16, height=12, conv=[ConvConfig(channels=4)], dense=[DenseConfig(features=8)], heads=class_heads()
    )
    encoder = Encoder(config)
    checkpoint.save(folder / "m.safetensors", encoder, {})
    clips = [small.clip(100_000, 2_000, seed, 16, 12) for seed in range(3)]
    calibration = collate_events(clips, [100_000] * 3, 16, 12)
    manifest.save(folder / "m.net", quantise(encoder.to_network(), calibration, "unary"))
    return folder / "m.safetensors", folder / "m.net", small.write_dataset(folder / "d.h5", clips, 100_000, 16, 12)


def call(capsys, *arguments: object) -> tuple[int, dict | None, str]:
    """Exit code, JSON answer and standard error of ``snnface profile``."""
    with pytest.raises(SystemExit) as end:
        main(["profile", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), json.loads(out) if out else None, err


def test_the_command_on_checkpoint_and_network(exported, capsys):
    model, net, data = exported
    answers = []
    for path in (model, net):
        code, answer, _ = call(capsys, path, "--data", data)
        assert code == 0
        assert answer is not None
        answers.append(answer)
        assert answer["clips"] == 3
        assert [row["name"] for row in answer["chips"]] == ["loihi2", "loihi1", "cmos45"]
        assert [row["name"] for row in answer["baselines"]] == ["matched", "resnet18_lstm"]
        assert [row["name"] for row in answer["memory"]] == ["spiking", "matched", "resnet18_lstm"]
    for name in ("neurons", "parameters", "updates", "steps", "input_events", "input_spikes"):
        assert answers[0][name] == answers[1][name]
    assert [r["macs_per_s"] for r in answers[0]["baselines"]] == [r["macs_per_s"] for r in answers[1]["baselines"]]
    assert answers[0]["layers"][0]["synops"] == answers[1]["layers"][0]["synops"], "the same events come in"
    assert [a["chips"][1]["fits"] for a in answers] == [False, True]


def test_the_matched_cnn_has_the_encoder_s_own_products(exported):
    """The convolution's ones through ones, and the dense sizes by hand, times 30 frames."""
    network = checkpoint.load(exported[0])[0].to_network()
    conv = F.conv2d(torch.ones(1, 2, 12, 16), torch.ones(4, 2, 3, 3), None, 2, 1).sum()
    lstm = 4 * 8 * (8 + 8)
    assert baselines(network)["matched"] == 30 * (int(conv) + 4 * 6 * 8 * 8 + lstm + 8 * 31)


def test_the_page_holds_map_and_bill(exported, tmp_path, capsys):
    page = tmp_path / "p.html"
    code, answer, _ = call(capsys, exported[1], "--data", exported[2], "--chip", "all", "--out", page)
    assert (code, answer["out"]) == (0, str(page))
    assert len(answer["chips"]) == len(chip_names())
    assert {row["on"] for row in answer["processors"]} == {"cpu", "gpu", "cortex_a"}
    text = page.read_text(encoding="utf-8")
    for row in answer["chips"]:
        assert row["source"].split(":")[0].replace("'", "&#x27;") in text
    assert text.count("not published") > 3
    assert call(capsys, exported[1], "--data", exported[2], "--chip", "cmos45", "--out", page)[0] == 2


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_one_split(exported, capsys, split):
    _, answer, _ = call(capsys, exported[0], "--data", exported[2], "--split", split, "--chip", "cmos45")
    assert answer is not None
    assert answer["clips"] == 1
    assert len(answer["chips"]) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--chip", "loihi9"], ["--split", "exam"], ["--data", "absent.h5"], ["--data", "{model}"],
        ["--data", "{large}"],
    ],
)  # fmt: skip
def test_bad_use_is_one_line(exported, arguments, tmp_path, capsys):
    model, _, data = exported
    names = {"model": model, "large": small.write_dataset(tmp_path / "l.h5", [small.clip(9, 9)], 9)}
    code, answer, error = call(capsys, model, "--data", data, *(a.format(**names) for a in arguments))
    assert (code, answer) == (2, None)
    assert error.splitlines()[-1].startswith("error: ")

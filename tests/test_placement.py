"""Cores: printed mappings, limits that bind, messages, proposals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import small_networks as small
from hypothesis import given, settings
from hypothesis import strategies as st

from snnface import checkpoint
from snnface.backends import get
from snnface.counts import count
from snnface.encoder import ConvConfig, Encoder, EncoderConfig, class_heads
from snnface.errors import InputError
from snnface.hardware.placing import command as chips_command
from snnface.hardware.placing import published_mappings as printed
from snnface.hardware.placing.chip import load_chip
from snnface.hardware.placing.cores import Unplaceable, conv_cut, dense_cut, least_dense_cores, network_cores
from snnface.hardware.placing.page import chip_page
from snnface.hardware.placing.placement import place
from snnface.hardware.placing.proposals import narrowed, proposals, resized, strided
from snnface.hardware.placing.traffic import cores_reached, messages
from snnface.hardware.profiling.profile import weight_bits
from snnface.network import Network, SynapticLayer, conv_shape
from snnface.report.html import escape

LOIHI2 = load_chip("loihi2")


@pytest.mark.parametrize("c", printed.CONVOLUTIONS, ids=lambda c: f"{c.network} {c.width}x{c.height}x{c.channels}")
def test_convolutions_equal_the_mapping_that_intel_printed(c):
    for bits in (8, c.bits):
        assert conv_cut(c.width, c.height, c.channels, c.entries, LOIHI2.core, bits).cores == c.cores


def test_tiles_equal_those_that_were_printed_but_for_one():
    differing = [
        c for c in printed.CONVOLUTIONS
        if conv_cut(c.width, c.height, c.channels, c.entries, LOIHI2.core, c.bits).tile != c.tile
    ]  # fmt: skip
    assert [c.channels for c in differing] == [48]


@pytest.mark.parametrize("d", printed.DENSE, ids=lambda d: f"{d.network} {d.inputs}-{d.outputs}")
def test_dense_layers_are_within_the_stated_factor(d):
    cores = dense_cut(d.inputs, d.outputs, LOIHI2.core).cores
    assert max(cores / d.cores, d.cores / cores) <= printed.DENSE_FACTOR
    assert cores == d.cores or (d.inputs, d.outputs) == (200, 256)


def test_the_table_says_so():
    table = printed.compare()
    assert table["passed"] is True
    assert table["conv_exact"] == "16 of 16"
    assert table["dense_exact"] == "8 of 9"
    assert table["dense_worst_factor"] == pytest.approx(1.5)
    assert len(table["layers"]) == 25


@given(
    width=st.integers(1, 160), height=st.integers(1, 160), channels=st.integers(1, 96), entries=st.integers(1, 1200),
    bits=st.integers(2, 8),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_every_cut_covers_the_layer_and_no_core_holds_too_much(width, height, channels, entries, bits):
    core = LOIHI2.core
    cut = conv_cut(width, height, channels, entries, core, bits)
    for size, parts, tile in zip((width, height, channels), cut.parts, cut.tile, strict=True):
        assert parts * tile >= size
        assert (parts - 1) * tile < size or parts == 1 or size <= parts
    assert np.prod(cut.tile) <= core.neurons.value
    assert cut.load.words <= core.synapse_words.value
    assert cut.cores >= width * height * channels / core.neurons.value
    fewer = conv_cut(width, height, channels, entries, core, max(1, bits - 1))
    assert fewer.cores <= cut.cores, "smaller weights never need more cores"


@given(inputs=st.integers(1, 6000), outputs=st.integers(1, 600))
@settings(max_examples=80, deadline=None)
def test_dense_shares_cover_the_outputs_and_fit(inputs, outputs):
    cut = dense_cut(inputs, outputs, LOIHI2.core)
    assert cut.cores * cut.tile[2] >= outputs
    assert cut.load.words <= LOIHI2.core.synapse_words.value
    assert 1 <= least_dense_cores(inputs, outputs, LOIHI2.core) <= cut.cores
    assert cut.load.axons_in == inputs


def _network(*layers: SynapticLayer, mode: str = "unary") -> Network:
    first = layers[0].shape_in
    return Network(first if len(first) == 3 else (*first, 1, 1), 1000, 1000.0, mode, layers)


def _conv(shape_in, channels, kernel=3, stride=1, padding=1, groups=1) -> SynapticLayer:
    weight = np.zeros((channels, shape_in[0] // groups, kernel, kernel))
    out = conv_shape(shape_in, weight.shape, (stride, stride), (padding, padding), (1, 1))
    return SynapticLayer(
        f"c{channels}", "conv", weight, shape_in, out, 0.5, 0.5,
        stride=(stride, stride), padding=(padding, padding), groups=groups,
    )  # fmt: skip


def _dense(inputs, outputs) -> SynapticLayer:
    return SynapticLayer(f"d{outputs}", "dense", np.zeros((outputs, inputs)), (inputs,), (outputs,), 0.5, 0.5)


def test_the_limit_that_binds_is_named():
    conv = _conv((2, 32, 32), 16)
    placement = place(_network(conv, _dense(16 * 32 * 32, 4)), LOIHI2)
    assert placement.layers[0].cut.load.binds == "neurons"
    assert placement.layers[1].cut is None
    assert "axons in of a core: 16,384 needed at the least, 16,000 there" in placement.problems[0]
    assert placement.cores is None
    assert placement.fits is False
    with pytest.raises(InputError, match=r"d4.*axons in.*proposals"):
        network_cores(_network(conv, _dense(16 * 32 * 32, 4)), LOIHI2.core)
    dense = place(_network(_dense(2048, 300)), LOIHI2).layers[0]
    assert dense.cut.load.binds == "synapse memory"
    wide = place(_network(_dense(13_000, 2)), LOIHI2).layers[0]
    assert "synapse memory" in wide.problem
    with pytest.raises(Unplaceable, match="synapse memory of a core: 15,000 needed at the least, 12,000 there"):
        conv_cut(4, 4, 1, 60_000, LOIHI2.core)


def test_more_cores_than_a_chip_are_counted_in_chips_and_split():
    network = _network(_conv((2, 128, 128), 64))
    placement = place(network, LOIHI2)
    assert placement.cores == 128 * 128 * 64 // 2048, "4,096 neurons are one more than a core holds"
    assert placement.chips == 5
    assert placement.fits is False
    assert placement.problems == ("512 cores needed, a chip has 120",)
    rows = {row["change"]: row for row in proposals(network, placement)}
    assert rows["split over 5 chips"]["synops"] == 1.0
    assert "0.5 × the channels and features" not in rows, "the last layer keeps its channels: nothing is saved"


def test_chips_refuse_what_they_cannot_hold_with_the_limit():
    graded = replace(small.network(), input_mode="graded")
    problems = {name: place(graded, load_chip(name)).problems for name in ("loihi1", "speck", "xylo", "akida")}
    assert any("unary input" in p for p in problems["loihi1"])
    assert any("integrate-and-fire" in p for p in problems["speck"])
    assert any("198 inputs, at most 16" in p for p in problems["xylo"])
    assert any("quantised ReLU" in p for p in problems["akida"])
    assert place(graded, load_chip("spinnaker2")).fits is None
    assert "not published" in place(graded, load_chip("spinnaker2")).counted


def test_speck_gives_every_layer_a_core_that_holds_it():
    """The example of the documentation: 16 to 32 channels of 3×3 take 8 Ki entries of kernel memory."""
    first = _conv((2, 32, 32), 16)
    second = _conv((16, 32, 32), 32)
    placed = place(_network(first, second), load_chip("speck")).layers
    assert [p.cores for p in placed] == [1, 1]
    assert placed[1].cut.load.words * 64 / 8 == 16 * 16 * 32
    too_large = place(_network(_conv((2, 64, 64), 32)), load_chip("speck"))
    assert "131,072 neurons" in too_large.problems[-1]


def test_a_spike_goes_to_every_core_that_holds_a_target():
    layer = _conv((2, 32, 32), 64)
    cut = conv_cut(32, 32, 64, 18, LOIHI2.core)
    x, y, channels = cut.parts
    rows, columns = np.zeros(32, int), np.zeros(32, int)
    for size, counted, parts, tile in ((32, rows, y, cut.tile[1]), (32, columns, x, cut.tile[0])):
        for source in range(size):
            targets = {out // tile for out in range(size) if abs(out - source) <= 1}
            counted[source] = len(targets)
            assert max(targets) < parts
    assert cores_reached(layer, cut) == pytest.approx(np.outer(rows, columns).mean() * channels)
    assert (
        cores_reached(_dense(100, 300), dense_cut(4000, 300, LOIHI2.core)) == dense_cut(4000, 300, LOIHI2.core).cores
    )


def test_messages_are_spikes_where_every_layer_has_one_core():
    network, batch = small.network("unary"), small.batch(60_000)
    counts = count(network, [(batch, get("torch")(network, batch))])
    sent = messages(place(network, LOIHI2), counts)
    assert sent == pytest.approx([counts.input_spikes, *(layer.spikes for layer in counts.layers[:-1])])
    assert messages(place(network, load_chip("spinnaker2")), counts) is None


def test_proposals_only_where_something_is_in_the_way_and_sorted_by_what_they_keep():
    network = small.network()
    assert proposals(network, place(network, LOIHI2)) == []
    assert proposals(network, place(network, load_chip("spinnaker2"))) == []
    rows = proposals(network, place(replace(network, input_mode="graded"), load_chip("loihi1")))
    assert rows == [] or rows[0]["fits"]
    large = _network(_conv((2, 128, 128), 64, stride=2), _conv((64, 64, 64), 64))
    rows = proposals(large, place(large, LOIHI2))
    fitting = [row for row in rows if row["fits"]]
    assert fitting
    assert [row["synops"] for row in fitting] == sorted((row["synops"] for row in fitting), reverse=True)
    assert all(row["cost"] for row in rows)
    budget = proposals(large, place(large, LOIHI2), budget=10)
    assert all(row["cores"] <= 10 for row in budget if row["fits"])


def test_changed_shapes_hold_together():
    network = small.network()
    assert [layer.weight.shape[0] for layer in narrowed(network, 0.5).layers] == [2, 4, 4, 5]
    half = resized(network, 2)
    assert half.input_shape == (2, 5, 6)
    assert half.layers[-1].neurons == network.layers[-1].neurons
    assert strided(network, 0).layers[0].stride == (4, 6)


@pytest.mark.parametrize(
    ("weights", "bits"),
    [
        ([-254, 254], 8),
        ([-128, 126], 7),
        ([-112, 96], 4),
        ([0, 0], 2),
        ([3, -3], 3),
        ([-32, 32], 2),
        ([-8, 7], 4),
        ([500, 1], 8),
    ],
)
def test_bits_that_integer_weights_need(weights, bits):
    layer = replace(_dense(2, 1), weight=np.array([weights]))
    assert weight_bits(_network(layer)) == bits
    assert weight_bits(_network(_dense(2, 1))) == 8


def test_the_map_has_a_square_for_every_core_and_loads_nothing():
    network = _network(_conv((2, 128, 128), 32, stride=2), _conv((32, 64, 64), 64, stride=2))
    placement = place(network, LOIHI2)
    page = chip_page("two <layers>", placement, proposals(network, placement, budget=40), None)
    assert page.count('class="core"') == placement.cores == 96
    assert page.count('class="free" x=') == 120 - 96
    assert "two &lt;layers&gt; on Loihi 2" in page
    assert "http:" not in page
    assert "https:" not in page
    assert "of the resolution" in page
    assert all(escape(figure.source) in page for _, figure in LOIHI2.figures())
    several = _network(_conv((2, 128, 128), 64))
    assert chip_page("n", place(several, LOIHI2), [], None).count("<svg") == 5
    unknown = chip_page("n", place(small.network(), load_chip("spinnaker2")), [], None)
    assert "Whether it fits cannot be told: not published" in unknown


def test_the_commands_answer(tmp_path):
    encoder = Encoder(EncoderConfig(width=16, height=12, conv=[ConvConfig(channels=4)], heads=class_heads()))
    checkpoint.save(tmp_path / "m.safetensors", encoder, {})
    answer = chips_command.place_network(tmp_path / "m.safetensors", out=tmp_path / "map.html")
    assert answer["fits"] is True
    assert answer["cores"] == sum(layer["cores"] for layer in answer["layers"])
    assert all(0 < layer["neurons_share"] <= 1 for layer in answer["layers"])
    assert (tmp_path / "map.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    rows = {row["name"]: row for row in chips_command.list_chips()["chips"]}
    assert rows["akida"]["synop_pj"] == "not published"
    assert rows["loihi1"]["cores"] == 128
    shown = chips_command.show("loihi2")
    assert any(row["field"] == "core.synapse_words" and row["value"] == 12_000 for row in shown["figures"])
    assert chips_command.check()["mappings"]["passed"] is True

"""Event-level down-scaling: what each pixel of the small sensor sees, and where its points lie on the large one."""

from __future__ import annotations

import numpy as np
import pytest
import small_networks as small
from hypothesis import given, settings
from hypothesis import strategies as st

from snnface.downscale import Downscale
from snnface.events import pack

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.integers(1, 12))


@given(size=sizes, fit=st.sampled_from(["crop", "letterbox"]), seed=st.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_a_pixel_fires_when_all_pixels_under_it_did(size, fit, seed):
    width, height, to_width, to_height = size
    scaling = Downscale(width, height, to_width, to_height, fit)
    y, x = (a.ravel() for a in np.mgrid[:height, :width])
    order = np.random.default_rng(seed).permutation(len(x))
    brighter = pack(np.arange(len(x)), x[order], y[order], np.ones(len(x)))
    fired = scaling(brighter)
    cells = set(zip(fired["x"].tolist(), fired["y"].tolist(), strict=True))
    assert len(cells) == len(fired) > 0, "once each"
    assert fired["p"].all()
    assert fired["x"].max() < to_width
    assert fired["y"].max() < to_height
    assert not scaling.sums.any()
    assert len(scaling(brighter[:0])) == 0
    if fit == "crop" and width >= to_width and height >= to_height:
        assert len(cells) == to_width * to_height


@given(size=sizes, seed=st.integers(0, 9), cut=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_down_scaling_keeps_the_sum_of_signs_and_does_not_see_the_cuts(size, seed, cut):
    width, height, to_width, to_height = size
    events = small.clip(1_000, 300, seed, width, height)
    whole, parts = (Downscale(width, height, to_width, to_height) for _ in range(2))
    every = Downscale(width, height, to_width, to_height, rule="all")
    fired, passed = whole(events), every(events)
    at = int(cut * len(events))
    np.testing.assert_array_equal(fired, np.concatenate([parts(events[:at]), parts(events[at:])]))
    np.testing.assert_array_equal(whole.sums, parts.sums)
    signs = np.zeros((2, to_height, to_width), np.int64)
    for i, e in enumerate((passed, fired)):
        np.add.at(signs[i], (e["y"], e["x"]), np.where(e["p"], 1, -1))
    y, x = (a.ravel() for a in np.mgrid[:height, :width])
    under = np.zeros_like(signs[0])
    seen = Downscale(width, height, to_width, to_height, rule="all")(pack(np.zeros(len(x)), x, y, np.ones(len(x))))
    np.add.at(under, (seen["y"], seen["x"]), 1)
    np.testing.assert_array_equal(signs[0], signs[1] * under + whole.sums)
    assert (np.diff(fired["t"]) >= 0).all()
    assert np.isin(fired["t"], events["t"]).all()


def test_equal_sizes_change_nothing():
    events = small.clip(1_000, 300)
    same = Downscale(small.WIDTH, small.HEIGHT, small.WIDTH, small.HEIGHT)
    np.testing.assert_array_equal(same(events), events)


@pytest.mark.parametrize(
    ("fit", "corner", "last"),
    [("crop", (285.125, 5.125), (993.875, 713.875)), ("letterbox", (9.5, -270.5), (1269.5, 989.5))],
)
def test_points_go_back_to_the_middle_of_their_sensor_pixels(fit, corner, last):
    scaling = Downscale(1280, 720, 64, 64, fit)
    np.testing.assert_allclose(scaling.to_sensor(np.array([[0, 0], [63, 63]])), [corner, last])
    probe = Downscale(1280, 720, 64, 64, fit, rule="all")
    x, y = np.arange(280, 1000, 7), np.linspace(0, 719, 103).astype(int)
    fallen = probe(pack(np.zeros(103), x, y, np.ones(103)))
    back = probe.to_sensor(np.stack([fallen["x"], fallen["y"]], 1).astype(float))
    pixel = 11.25 if fit == "crop" else 20
    assert np.abs(back - np.stack([x, y], 1)).max() <= (pixel + 1) / 2

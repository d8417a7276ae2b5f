"""The procedural face: acts what it is told, gives nothing else away, and moves smoothly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from snnface.errors import InputError
from snnface.faces import COEFFICIENT_NAMES, ClipSpec, FaceClip, images, render, scene, shape
from snnface.faces.actions import CHANNEL_INDEX, CHANNELS
from snnface.faces.landmarks import landmark_vertices
from snnface.faces.mesh import template
from snnface.faces.picture import luminance, srgb
from snnface.faces.sheet import apex_time, contact_sheet
from snnface.faces.texture import noise
from snnface.facs import AU_INDEX, AUS, EXPRESSIONS, LANDMARK_MIRROR_68, coefficient_mirror

SIZE = 48


def clip(
    au: int = -1, expression: int = -1, identity: int = 1, seed: int = 3, seconds: float = 1.2, **kw
) -> FaceClip:
    return FaceClip(ClipSpec(identity, au, expression, seconds, SIZE, SIZE, seed), **kw)


def without_blinks(c: FaceClip) -> FaceClip:
    c.motion.stray.clear()
    return c


def interocular(marks: np.ndarray) -> float:
    return float(np.linalg.norm(marks[36] - marks[45]))


def test_same_spec_same_clip_and_other_seed_another() -> None:
    times = (0, 300_000, 900_000)
    a, b, c = clip(12), clip(12), clip(12, seed=4)
    assert all(np.array_equal(a.luminance(t), b.luminance(t)) for t in times)
    assert np.array_equal(a.rgb(500_000), b.rgb(500_000))
    assert not np.allclose(a.luminance(0), c.luminance(0))


def test_order_of_frames_does_not_change_them() -> None:
    forward, backward = clip(9, intensity=1.0), clip(9, intensity=1.0)
    times = list(range(0, 1_200_000, 200_000))
    ahead = [forward.luminance(t) for t in times]
    back = [backward.luminance(t) for t in reversed(times)][::-1]
    assert all(np.array_equal(x, y) for x, y in zip(ahead, back, strict=True))


def test_pictures_have_the_promised_form() -> None:
    c = FaceClip(ClipSpec(0, 1, -1, 0.5, 70, 40, 1))
    light, picture = c.luminance(100), c.rgb(100)
    assert light.shape == (40, 70)
    assert light.dtype == np.float32
    assert light.min() > 0
    assert light.max() < 3
    assert picture.shape == (40, 70, 3)
    assert picture.dtype == np.uint8
    assert c.duration_us == 500_000


@pytest.mark.parametrize("au", AUS)
def test_every_action_starts_from_rest_and_is_labelled_and_seen(au: int) -> None:
    c = without_blinks(clip(au, intensity=1.0, seed=au))
    apex = apex_time(c)
    labels = c.labels(np.array([0, apex]))
    amount = labels["au_intensity"]
    assert np.all(amount[0] == 0)
    assert amount[1, AU_INDEX[au]] > 0.95
    assert np.count_nonzero(amount[1]) == 1
    assert np.abs(labels["coefficients"][0]).max() == 0
    assert np.abs(labels["coefficients"][1]).max() > 0.7
    quiet = without_blinks(clip(-1, seed=au))
    change = np.abs(np.log(c.luminance(apex)) - np.log(quiet.luminance(apex)))
    assert np.count_nonzero(change > 0.15) >= 6


@pytest.mark.parametrize("expression", range(len(EXPRESSIONS)))
def test_expressions_move_several_actions(expression: int) -> None:
    c = without_blinks(clip(-1, expression, intensity=1.0))
    labels = c.labels(np.array([0, apex_time(c)]))
    assert np.all(labels["au_intensity"][0] == 0)
    assert np.count_nonzero(labels["au_intensity"][1] > 0.3) >= 2


def test_contempt_is_one_sided_and_happiness_is_not() -> None:
    for name, sided in (("contempt", True), ("happiness", False)):
        c = clip(-1, EXPRESSIONS.index(name), intensity=1.0)
        right, left = (c.motion.channel_gain[CHANNEL_INDEX[12, s]] for s in (-1, 1))
        assert (min(right, left) == 0) == sided
        assert max(right, left) > 0.3


@pytest.mark.parametrize(
    ("au", "axis", "sign"), [(51, 0, 1), (52, 0, -1), (53, 1, 1), (54, 1, -1), (55, 2, 1), (56, 2, -1)]
)
def test_head_actions_turn_the_head_their_way(au: int, axis: int, sign: int) -> None:
    c = clip(au, intensity=1.0)
    labels = c.labels(np.array([0, apex_time(c)]))
    turn = labels["pose"][1] - labels["pose"][0]
    assert 12 < sign * turn[axis] < 30
    assert np.abs(np.delete(turn, axis)).max() < 4
    nose = labels["landmarks"][1, 30] - labels["landmarks"][1, [0, 16]].mean(0)
    before = labels["landmarks"][0, 30] - labels["landmarks"][0, [0, 16]].mean(0)
    if axis == 0:  # the subject's left is right in the picture
        assert sign * (nose - before)[0] > 1
    if axis == 1:  # up in the picture is a smaller y
        assert sign * (nose - before)[1] < -1
    if axis == 2:
        eyes = labels["landmarks"][1, 45] - labels["landmarks"][1, 36]
        assert sign * (eyes[1] / eyes[0] - np.tan(np.deg2rad(labels["pose"][0, 2]))) > 0.1


def test_lips_and_lids_meet_by_construction() -> None:
    for identity in range(4):
        marks = clip(identity=identity).labels(np.array([0]))["landmarks"][0]
        assert np.abs(marks[[61, 62, 63]] - marks[[67, 66, 65]]).max() < 0.05
        assert np.abs(marks[[37, 38]] - marks[[41, 40]]).max() > 0.8
        shut = without_blinks(clip(43, identity=identity, intensity=1.0))
        closed = shut.labels(np.array([apex_time(shut)]))["landmarks"][0]
        assert np.abs(closed[[37, 38, 43, 44]] - closed[[41, 40, 47, 46]]).max() < 0.05


def test_closed_eyes_stay_closed_and_blinks_reopen() -> None:
    for seed in range(12):
        for au, least, most in ((43, 0.5, np.inf), (45, 0.03, 0.35)):
            c = without_blinks(clip(au, seed=seed, seconds=2.0))
            times = np.arange(0, 2_000_000, 4000)
            shut = c.state(times).closure[:, 0] > 0.5 * c.motion.lid_gain
            seconds = shut.sum() * 0.004
            assert shut[0] == 0
            assert least <= seconds <= most or (au == 43 and shut[-1])
            assert au == 43 or not shut[-1]


def test_mouth_opens_in_order() -> None:
    opening = {}
    for au in (24, 25, 26, 27):
        c = clip(au, intensity=1.0)
        m = c.labels(np.array([apex_time(c)]))["landmarks"][0]
        opening[au] = np.linalg.norm(m[62] - m[66]) / interocular(m)
    assert opening[24] < 0.02 < opening[25] < opening[26] < opening[27]


def test_smile_and_depressor_move_the_corners_apart() -> None:
    lifts = {}
    for au in (12, 15):
        c = clip(au, intensity=1.0)
        m = c.labels(np.array([0, apex_time(c)]))["landmarks"]
        corners = m[:, [48, 54], 1].mean(1) - m[:, [30], 1].mean(1)
        lifts[au] = corners[1] - corners[0]
    assert lifts[12] < -0.5
    assert lifts[15] > 0.5


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(AUS), st.sampled_from(AUS))
def test_nothing_but_the_action_depends_on_the_label(seed: int, one: int, other: int) -> None:
    a, b = clip(one, seed=seed), clip(other, seed=seed)
    assert a.motion.course == b.motion.course
    assert a.motion.intensity == b.motion.intensity
    assert a.motion.stray == b.motion.stray
    assert np.array_equal(a.motion.rest_head, b.motion.rest_head)
    assert a.scene.key == b.scene.key
    assert np.array_equal(a.scene.direction, b.scene.direction)
    assert np.array_equal(a.state(0).head, b.state(0).head)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 100_000), st.floats(0.3, 4.0))
def test_the_draws_keep_their_ranges(seed: int, seconds: float) -> None:
    c = clip(1, seed=seed, seconds=seconds)
    yaw, pitch, roll = np.abs(c.motion.rest_head)
    assert yaw <= 20
    assert pitch <= 12
    assert roll <= 10
    assert 0.3 <= c.motion.intensity <= 1
    course = c.motion.course
    assert course.start > 0
    assert course.start + course.rise < seconds
    box = c.labels(np.array([0]))["box"][0]
    assert box[0] < box[2]
    assert box[1] < box[3]
    assert 0.55 * SIZE < box[3] - box[1] < 1.1 * SIZE


def test_light_is_smooth_in_time() -> None:
    c = clip(51, intensity=1.0)
    middle = int((c.motion.course.start + c.motion.course.rise / 2) * 1e6)
    frames = np.stack([c.luminance(middle + 200 * k) for k in range(40)])
    contrast = frames.max() - frames.min()
    steps = np.abs(np.diff(frames, axis=0)).max()
    assert np.abs(frames[-1] - frames[0]).max() > 0.1
    # An edge that crosses a pixel changes it in many small steps, never at once.
    assert steps < 0.2 * contrast


def test_from_one_sample_to_the_next_nothing_moves_more_than_half_a_pixel() -> None:
    c = clip(52, intensity=1.0)
    stops = np.array([7, 33_340, 600_001, c.duration_us])
    times = c.sampling_times(stops)
    assert (times[0], times[-1]) == (7, c.duration_us)
    assert set(stops) <= set(times.tolist())
    gaps = np.diff(times)
    assert 300 < gaps.min() < 10_000
    assert 30_000 < gaps.max() <= 33_335
    marks = c.labels(times)["landmarks"]
    assert 0.3 < np.abs(np.diff(marks, axis=0)).max() <= 0.55


def test_sampling_sees_every_blink() -> None:
    for seed in range(12):
        c = clip(45, intensity=1.0, seed=seed)
        shut = c.state(c.sampling_times(np.array([0, c.duration_us]))).closure[:, 0]
        assert shut.max() > 0.9 * c.state(np.arange(0, c.duration_us, 1000)).closure.max()
        assert np.abs(np.diff(shut)).max() < 0.5


def test_a_film_is_its_pictures() -> None:
    c = clip(12, intensity=1.0)
    times = np.array([0, 400_000, 5000])
    film = list(c.film(times))
    assert all(f.shape == (SIZE, SIZE, 3) and f.dtype == np.float32 for f in film)
    for t, seen in zip(times.tolist(), film, strict=True):
        assert np.array_equal(luminance(seen), c.luminance(t))
        assert np.array_equal(srgb(seen), c.rgb(t))
    assert luminance(film[0]) == pytest.approx(film[0] @ np.array([0.2126, 0.7152, 0.0722]), abs=1e-6)


def test_srgb_follows_its_curve() -> None:
    linear = np.linspace(-0.1, 1.2, 3 * 4001, dtype=np.float32).reshape(1, -1, 3)
    x = np.clip(linear.astype(float), 0, 1)
    exact = 255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    assert np.abs(srgb(linear) - exact).max() < 0.53


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), samples=st.sampled_from([2, 3]), width=st.integers(5, 40))
def test_a_sample_shows_the_nearest_triangle_that_holds_it(seed: int, samples: int, width: int) -> None:
    height, count, rng = 9, 40, np.random.default_rng(seed)
    screen = rng.uniform((-3, -3, 0.5), (width + 3, height + 3, 1.0), (3 * count, 3)).astype(np.float32)
    triangles = np.arange(3 * count, dtype=np.int32).reshape(count, 3)
    depth = np.empty((height * samples, width * samples + render.LANES), np.float32)
    owner, slant = np.empty(depth.shape, np.int32), render.slants(depth.shape[1])
    planes, flat = np.zeros((count, 11), np.float32), np.zeros((3 * count, 2), np.float32)
    render.find_visible(screen, triangles, flat, flat[:, 0], samples, slant, planes, depth, owner)
    rows, cols = depth.shape[0], width * samples
    x = (np.arange(cols)[None] + slant[:rows, None] + 0.5) / samples
    y = (np.arange(rows)[:, None] - slant[None, :cols] + 0.5) / samples
    nearest, sure = np.zeros((rows, cols)), np.ones((rows, cols), bool)
    expected = np.full((rows, cols), -1)
    for i, (a, b, c) in enumerate(screen.astype(float).reshape(count, 3, 3)):
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area >= 0:
            continue
        wa = ((b[1] - c[1]) * (x - c[0]) + (c[0] - b[0]) * (y - c[1])) / area
        wb = ((c[1] - a[1]) * (x - c[0]) + (a[0] - c[0]) * (y - c[1])) / area
        inside = np.minimum(np.minimum(wa, wb), 1 - wa - wb)
        near = wa * a[2] + wb * b[2] + (1 - wa - wb) * c[2]
        wins = (inside >= 0) & (near > nearest)
        sure &= (np.abs(inside) > 1e-4) & ((inside < 0) | (np.abs(near - nearest) > 1e-5))
        nearest, expected = np.where(wins, near, nearest), np.where(wins, i, expected)
    assert (expected >= 0).any()
    assert np.array_equal(owner[:, :cols][sure], expected[sure])


@pytest.mark.parametrize("n", [2, 3])
def test_pixels_gather_their_samples_and_a_little_of_their_neighbours(n: int) -> None:
    random = np.random.default_rng(n).random((4 * n, 5 * n, 3)).astype(np.float32)
    out, weights = np.empty((4, 5, 3), np.float32), images.window(n)
    row = np.empty(3 * (5 * n + len(weights) - n), np.float32)
    images.gather(random.reshape(4 * n, -1), n, weights, np.float32(0.25), row, out)
    edge = (len(weights) - n) // 2
    padded = np.pad(random, ((edge, edge), (edge, edge), (0, 0)), "edge")
    for y, x in np.ndindex(4, 5):
        seen = padded[y * n : y * n + len(weights), x * n : x * n + len(weights)]
        expected = 0.25 + (weights[:, None, None] * weights[None, :, None] * seen).sum((0, 1))
        assert out[y, x] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("sigma", [1.5, (12.0, 1.3)])
def test_noise_is_as_smooth_as_its_gaussian(sigma) -> None:
    n = noise(np.random.default_rng(0), (512, 512), sigma)
    assert n.dtype == np.float32
    assert n.std() == pytest.approx(1, abs=1e-4)
    for axis, width in enumerate(np.broadcast_to(sigma, 2)):
        # White noise after a Gaussian correlates as a Gaussian √2 as wide.
        likeness = (n * np.roll(n, 2, axis)).mean()
        assert likeness == pytest.approx(math.exp(-0.5 * (2 / (math.sqrt(2) * width)) ** 2), abs=0.03)


def test_the_skull_follows_its_profile_without_overshoot() -> None:
    heights = shape.PROFILE[:, 0]
    assert np.array(shape._profile(heights)) == pytest.approx(shape.PROFILE[:, 1:].T)
    fine = np.array(shape._profile(np.linspace(heights[0], heights[-1], 999)))
    parts = np.searchsorted(heights, np.linspace(heights[0], heights[-1], 999)[1:-1], "right") - 1
    low = np.minimum(shape.PROFILE[:-1, 1:], shape.PROFILE[1:, 1:]).T[:, parts]
    high = np.maximum(shape.PROFILE[:-1, 1:], shape.PROFILE[1:, 1:]).T[:, parts]
    assert ((fine[:, 1:-1] >= low - 1e-9) & (fine[:, 1:-1] <= high + 1e-9)).all()


def test_clouds_pass_through_their_values() -> None:
    values = np.random.default_rng(1).normal(size=7)
    assert scene._spline(7, 25)[::4] @ values == pytest.approx(values, abs=1e-5)
    assert scene._spline(7, 25).sum(1) == pytest.approx(np.ones(25), abs=1e-5)


def test_labels_have_the_promised_form() -> None:
    times = np.array([0, 100_000, 600_000])
    labels = clip(-1, 4).labels(times)
    shapes = {
        "au_intensity": (3, 24), "landmarks": (3, 68, 2), "visible": (3, 68),
        "landmarks98": (3, 98, 2), "visible98": (3, 98),
        "coefficients": (3, len(COEFFICIENT_NAMES)),
        "pose": (3, 3), "gaze": (3, 2), "box": (3, 4),
    }  # fmt: skip
    assert {k: v.shape for k, v in labels.items()} == shapes
    assert labels["visible"].dtype == labels["visible98"].dtype == bool
    assert all(v.dtype == np.float32 for k, v in labels.items() if not k.startswith("visible"))


def test_a_turned_head_hides_the_far_cheek() -> None:
    c = clip(51, intensity=1.0, seed=9)
    c.motion.rest_head[:] = (20, 0, 0)
    visible = c.labels(np.array([apex_time(c)]))["visible"][0]
    assert visible[:4].all()
    assert not visible[13:17].any()
    assert visible[27:31].all()


def test_landmarks_and_coefficients_mirror() -> None:
    t, marks = template(), landmark_vertices()
    assert len(set(marks.tolist())) == 68
    mirror = list(LANDMARK_MIRROR_68)
    assert np.allclose(t.s[marks], -t.s[marks][mirror])
    assert np.allclose(t.y[marks], t.y[marks][mirror])
    index, sign = coefficient_mirror(COEFFICIENT_NAMES)
    assert [index[i] for i in index] == list(range(len(index)))
    assert [COEFFICIENT_NAMES[i] for i, s in enumerate(sign) if s < 0] == ["head_yaw", "head_roll"]
    assert sum(i != j for i, j in enumerate(index)) == 4


def test_fields_are_mirror_images() -> None:
    c = clip()
    t = template()
    left, right = (c.model.basis[CHANNEL_INDEX[12, s]] for s in (1, -1))
    skin = np.flatnonzero(t.skin & (t.side == 0) & (np.abs(t.s) < 20))
    where = {(round(s, 4), round(y, 4)): v for v, s, y in zip(skin, t.s[skin], t.y[skin], strict=True)}
    twins = np.array([where[(round(-t.s[v], 4) + 0.0, round(t.y[v], 4))] for v in skin])
    assert np.allclose(left[skin] * (-1, 1, 1), right[twins], atol=1e-5)
    assert len(CHANNELS) == c.model.basis.shape[0]


@pytest.mark.parametrize(
    "bad",
    [
        {"au": 3}, {"expression": 7}, {"au": 1, "expression": 2}, {"seconds": 0.1}, {"width": 8}, {"identity": -1},
        {"seed": -2},
    ],
)  # fmt: skip
def test_impossible_specs_are_refused(bad: dict) -> None:
    good = {"identity": 0, "au": -1, "expression": -1, "seconds": 1.0, "width": 64, "height": 64, "seed": 0}
    with pytest.raises(InputError):
        ClipSpec(**{**good, **bad})


def test_contact_sheet(tmp_path) -> None:
    seen = []

    def events(frames, times):
        seen.append(len(frames))
        assert len(frames) == len(times)
        return np.zeros((24, 24, 3), np.uint8)

    contact_sheet(tmp_path / "sheet.png", [0, 1], seed=5, size=24, events=events, expressions=True)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 2 * 3 * 24
        assert sheet.height >= 7 * 24
    assert len(seen) == 14
    assert min(seen) > 3

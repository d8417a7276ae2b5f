"""What scenes add to a face: pose, small doings, light, background, glasses, things in front; and more labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snnface.errors import InputError
from snnface.faces import ClipSpec, FaceClip
from snnface.faces.gestures import Pulse, draw_speech, draw_twitches
from snnface.faces.identity import draw_identity
from snnface.faces.marks98 import wflw
from snnface.faces.picture import luminance
from snnface.faces.props import draw_occluder
from snnface.faces.sheet import apex_time
from snnface.faces.stage import Stage
from snnface.faces.variation import PLAIN, SCENES, Variation
from snnface.facs import AU_INDEX, LANDMARK_MIRROR_98, LANDMARKS_5_OF_98

SIZE = 40


def clip(variation: Variation, seed: int = 5, au: int = -1, identity: int = 1, seconds: float = 1.2) -> FaceClip:
    made = FaceClip(ClipSpec(identity, au, -1, seconds, SIZE, SIZE, seed), 1.0, variation=variation)
    made.motion.stray.clear()
    return made


def test_people_are_of_all_ages_sexes_and_tones_and_beards_are_mens() -> None:
    people = [draw_identity(n) for n in range(300)]
    years = np.array([p.years for p in people])
    assert (years < 14).any()
    assert (years > 70).any()
    assert 0.35 < np.mean([p.sex > 0 for p in people]) < 0.65
    tones = np.array([p.skin[1] for p in people])
    assert tones.max() > 5 * tones.min()
    bearded = [p for p in people if p.beard > 0]
    assert len(bearded) > 10
    assert all(p.sex > 0 and p.years > 17 for p in bearded)
    jaw = {side: np.mean([p.shape["jaw_width"] for p in people if p.sex * side > 0.5]) for side in (-1, 1)}
    assert jaw[1] > jaw[-1] + 0.5
    for n in range(60):
        few, many = draw_identity(n, 0.2), draw_identity(n, 0.9)
        assert few.beard == 0 or many.beard == few.beard
        assert np.array_equal(few.skin, many.skin)


@pytest.mark.parametrize(("name", "value"), [("glasses", 1.2), ("yaw", 90.0), ("flicker", -0.1), ("micro", np.nan)])
def test_impossible_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        replace(PLAIN, **{name: value})


def test_one_setting_leaves_the_others_as_they_are() -> None:
    base = Variation(moving_light=1.0, micro=1.0, flicker=1.0)
    times = np.linspace(0, 1.2, 13)
    for more in ({"occluders": 1.0}, {"moving_background": 1.0}, {"glasses": 1.0}, {"speech": 1.0}):
        one, other = clip(base), clip(replace(base, **more))
        assert np.array_equal(one.around.lamp(times), other.around.lamp(times))
        assert np.array_equal(one.around.mains(1e6 * times), other.around.mains(1e6 * times))
        assert np.array_equal(one.state(0).head, other.state(0).head)
        assert one.motion.course == other.motion.course
        assert len(other.motion.gestures) >= len(one.motion.gestures)
    plain, varied = (c.state(600_000).head - c.motion.rest_head for c in (clip(PLAIN), clip(SCENES["varied"])))
    assert plain == pytest.approx(varied)


def test_a_plain_scene_stands_still_around_the_face() -> None:
    c = clip(PLAIN)
    assert not c.stage.props
    assert np.ptp(c.around.lamp(np.linspace(0, 1, 9))) == 0
    a, b = (luminance(next(c.film(np.array([t])))) for t in (0, 1_100_000))
    assert np.array_equal(a[:3, :3], b[:3, :3])


def test_heads_turn_as_far_as_they_are_told() -> None:
    wide = [FaceClip(ClipSpec(0, -1, -1, 1.0, 16, 16, s), variation=SCENES["varied"]) for s in range(60)]
    yaw = np.array([c.motion.rest_head[0] for c in wide])
    assert np.abs(yaw).max() <= 40
    assert yaw.max() > 30
    assert yaw.min() < -30


def test_a_pulse_sinks_to_its_sustain() -> None:
    pulse = Pulse(0.1, 0.1, 0.6, 0.2, 0.7)
    assert pulse(np.array([0.0, 0.2, 0.6, 0.8, 1.0])) == pytest.approx([0, 1, 0.7, 0, 0])
    assert np.abs(np.diff(pulse(np.linspace(0, 1, 1001)))).max() < 0.03


def test_twitches_are_short_and_faint_and_labelled() -> None:
    for seed in range(30):
        for g in draw_twitches(np.random.default_rng(seed), 3.0, 2.0):
            on = g.pulse(np.linspace(0, 4, 4001)) > 0
            assert 0.078 <= on.sum() / 1000 <= 0.51
            assert g.channels.max() <= 0.4
    c = clip(Variation(micro=4.0))
    assert c.motion.gestures
    g = c.motion.gestures[0]
    labels = c.labels(np.array([round(1e6 * (g.pulse.start + g.pulse.rise))]))
    assert (labels["au_intensity"][0] >= 0.9 * g.au).all()
    assert np.abs(labels["coefficients"]).max() > 0.05


def test_speech_opens_and_closes_the_jaw_a_few_times_a_second() -> None:
    counts = []
    for seed in range(20):
        spoken = draw_speech(np.random.default_rng(seed), 3.0)
        starts = np.array([g.pulse.start for g in spoken])
        counts.append(1 / np.diff(starts).mean())
        assert sum(g.au[AU_INDEX[26]] > 0 for g in spoken) >= 1 or len(spoken) < 4
    assert min(counts) >= 2.9
    assert max(counts) <= 6.1


def test_a_lamp_that_moves_changes_the_light_and_no_label() -> None:
    still, moving = clip(PLAIN), clip(Variation(moving_light=1.0))
    times = np.array([0, 600_000, 1_100_000])
    for name, value in still.labels(times).items():
        assert np.array_equal(value, moving.labels(times)[name], equal_nan=True), name
    ratio = np.stack(
        [luminance(b) / luminance(a) for a, b in zip(still.film(times), moving.film(times), strict=True)]
    )
    assert ratio.max() > 1.05 or ratio.min() < 0.95


@pytest.mark.parametrize("seed", range(4))
def test_light_on_mains_swings_at_twice_its_frequency(seed: int) -> None:
    c = clip(Variation(flicker=1.0), seed)
    times = np.array([0, 30_000, 61_000, 90_000, 120_000])
    moments, means, pictures = [], [], 0
    for t, light, seen in c.light(times):
        moments.append(t)
        means.append(light.mean())
        pictures += seen is not None
        if seen is not None:
            steady = luminance(seen)
            assert light == pytest.approx(steady * c.around.mains(t), rel=1e-5)
    assert pictures == len(times)
    assert set(times.tolist()) <= set(moments)
    assert min(np.diff(moments)) > 0
    assert max(np.diff(moments)) <= 1000
    t = np.array(moments) * 1e-6
    wave = np.array(means) - np.mean(means)
    strength = [np.abs((wave * np.exp(-2j * np.pi * f * t)).sum()) for f in range(20, 200)]
    assert 20 + int(np.argmax(strength)) == pytest.approx(round(2e6 * c.around._rate / 2), abs=3)
    assert round(1e6 * c.around._rate) in (100, 120)


def test_steady_light_is_the_film() -> None:
    c = clip(PLAIN)
    times = np.array([0, 200_000, 500_000])
    for (t, light, seen), expected, at in zip(c.light(times), c.film(times), times.tolist(), strict=True):
        assert t == at
        assert np.array_equal(seen, expected)
        assert np.array_equal(light, luminance(expected))


def test_a_background_drifts_smoothly_behind_the_same_face() -> None:
    seeds = [s for s in range(12) if clip(Variation(moving_background=1.0), s).around.margin]
    assert 2 < len(seeds) < 10
    still, moving = clip(PLAIN, seeds[0]), clip(Variation(moving_background=1.0), seeds[0])
    times = np.array([0, 600_000])
    a, b = moving.film(times)
    assert np.abs(a[:4] - b[:4]).max() > 0.005
    assert np.array_equal(still.labels(times)["landmarks"], moving.labels(times)["landmarks"])
    near = [luminance(f)[:4] for f in moving.film(np.arange(600_000, 604_000, 1000))]
    assert np.abs(np.diff(near, axis=0)).max() < 0.02


@pytest.mark.parametrize("seed", [1, 2, 6])
def test_what_passes_hides_landmarks_and_is_sampled_finely(seed: int) -> None:
    free, covered = clip(PLAIN, seed), clip(Variation(occluders=1.0), seed)
    times = np.arange(0, 1_200_000, 40_000)
    a, b = free.labels(times), covered.labels(times)
    assert np.array_equal(a["landmarks"], b["landmarks"])
    hidden = a["visible"] & ~b["visible"]
    assert hidden.any()
    assert not (b["visible"] & ~a["visible"]).any()
    assert not (b["visible98"] & ~a["visible98"]).any()
    frame = int(hidden.sum(1).argmax())
    x, y = np.rint(a["landmarks"][frame][hidden[frame]]).astype(int).T
    inside = (x >= 0) & (x < SIZE) & (y >= 0) & (y < SIZE)
    seen, bare = (luminance(next(c.film(times[frame : frame + 1]))) for c in (covered, free))
    assert (np.abs(np.log(seen / bare))[y[inside], x[inside]] > 0.02).mean() > 0.6
    t = covered.sampling_times(np.array([0, covered.duration_us]))
    where = covered.stage.seen(t * 1e-6, covered.person.pose(covered.state(t), covered.scene), covered._camera)
    where = np.clip(where[..., :2], 0, SIZE)
    slow = np.diff(t) > 520
    assert np.abs(np.diff(where, axis=0))[slow].max() <= 0.56


def test_occluders_hide_what_is_behind_them_only() -> None:
    stage = Stage([draw_occluder(np.random.default_rng(0), 1.0)])
    seen = np.array([[(0, 0, 0.02), (10, 0, 0.02), (0, 10, 0.02)]], float)
    stage.hiding = np.array([[0, 1, 2]])
    marks = np.array([[(2, 2, 0.01), (2, 2, 0.03), (9, 9, 0.01), (np.nan, 0, 0.01)]])
    assert stage.hidden(seen, marks).tolist() == [[True, False, False, False]]


def test_a_person_wears_the_same_glasses_in_every_clip() -> None:
    worn = {n: clip(Variation(glasses=0.5), identity=n).stage.props for n in range(12)}
    assert 2 < sum(bool(p) for p in worn.values()) < 10
    some = next(n for n, p in worn.items() if p)
    again = clip(Variation(glasses=0.9), 77, identity=some).stage.props[0]
    assert np.array_equal(worn[some][0].points, again.points)
    bare, glazed = clip(PLAIN, identity=some), clip(Variation(glasses=0.5), identity=some)
    assert np.array_equal(bare.labels(np.array([0]))["visible"], glazed.labels(np.array([0]))["visible"])
    assert (np.abs(np.log(bare.luminance(0) / glazed.luminance(0))) > 0.1).sum() > 8


def test_points_of_wflw_are_those_of_ibug_and_lie_between_them() -> None:
    c = clip(PLAIN, au=12)
    labels = c.labels(np.array([0, apex_time(c)]))
    few, many = labels["landmarks"], labels["landmarks98"]
    assert np.isfinite(many).all()
    assert many[:, 0:33:2] == pytest.approx(few[:, :17])
    assert many[:, 76:96] == pytest.approx(few[:, 48:68])
    assert many[:, [60, 64, 68, 72]] == pytest.approx(few[:, [36, 39, 42, 45]])
    # Upper lids lie over lower ones, brows' upper edges over their lower ones, and pupils between.
    assert (many[:, 62, 1] < many[:, 66, 1]).all()
    assert (many[:, [34, 45], 1] < many[:, [40, 48], 1]).all()
    for pupil, lids in ((96, slice(60, 68)), (97, slice(68, 76))):
        assert (many[:, pupil, 0] > many[:, lids, 0].min(1)).all()
        assert (many[:, pupil, 0] < many[:, lids, 0].max(1)).all()
    seen, seen98 = labels["visible"], labels["visible98"]
    assert np.array_equal(seen98[:, [*range(38, 42), *range(47, 51)]], seen[:, [21, 20, 19, 18, 22, 23, 24, 25]])
    assert np.array_equal(seen98[:, 76:96], seen[:, 48:68])
    mirror = np.array(LANDMARK_MIRROR_98)
    assert np.array_equal(mirror[mirror], np.arange(98))
    assert [mirror[k] for k in LANDMARKS_5_OF_98] == [97, 96, 54, 82, 76]
    rng = np.random.default_rng(0)
    straight = wflw(rng.normal(size=(68, 2)), rng.normal(size=(8, 2)), rng.normal(size=(2, 2)))
    assert straight.shape == (98, 2)
    assert wflw(np.ones((68, 1)), np.ones((8, 1)), np.ones((2, 1))) == pytest.approx(np.ones((98, 1)))


def test_pupils_follow_the_gaze_and_hide_behind_lids() -> None:
    c = clip(PLAIN)
    c.motion.saccades.clear()
    places = []
    for x in (-10.0, 10.0):
        c.motion.rest_gaze[:] = x, 0
        places.append(c.labels(np.array([0]))["landmarks98"][0, [96, 97], 0])
    # To the subject's left, which is right in the picture.
    assert (places[1] - places[0] > 0.5).all()
    shut = clip(PLAIN, au=43)
    visible = shut.labels(np.array([0, apex_time(shut)]))["visible98"]
    assert visible[0, 96:].all()
    assert not visible[1, 96:].any()

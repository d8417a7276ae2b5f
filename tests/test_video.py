"""Films to events: times, light, scaling, slow motion."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from films import CODECS, HEIGHT, UNEVEN, WIDTH, film, folder, picture, simulated
from PIL import Image

from snnface import io
from snnface.converters.sensors import sensor
from snnface.converters.video import Settings, convert_video
from snnface.converters.video_file import Video
from snnface.converters.video_light import Changes, Light, linear
from snnface.converters.video_pictures import Folder, time_in_name
from snnface.errors import InputError


@pytest.mark.parametrize("suffix", CODECS)
def test_every_container_gives_its_pictures_at_their_times(suffix: str, tmp_path: Path) -> None:
    path = film(tmp_path / f"a.{suffix}")
    shown = list(Video(path, None, repair=False))
    assert [p.t_us for p in shown] == [40_000 * n for n in range(10)]
    worst = {"mkv": 0, "mov": 0, "gif": 20}.get(suffix, 8)
    for number, (_, rgb) in enumerate(shown):
        assert np.abs(rgb[:, :, 1].astype(int) - picture(number)[:, :, 1]).mean() <= worst
        assert worst or np.array_equal(rgb, picture(number))
    told = convert_video(path, tmp_path / "a.h5", Settings(sensor="clean"))
    assert (told["pictures"], told["seconds"], told["width"], told["height"]) == (10, 0.36, WIDTH, HEIGHT)
    assert told["events_in"] == told["events_out"] > 1000
    assert told["dropped"] == {}


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", times_ms=[500 + t for t in UNEVEN])
    told = convert_video(path, tmp_path / "a.h5", Settings(seed=3))
    assert told["t0_us"] == 500_000
    assert io.read(tmp_path / "a.h5")[0].events.tolist() == simulated("davis346", [1000 * t for t in UNEVEN], seed=3)


def test_fps_overrules_the_container(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", times_ms=UNEVEN)
    told = convert_video(path, tmp_path / "a.raw", Settings(sensor="clean", fps=250), encoding="evt2")
    recording, report = io.read(tmp_path / "a.raw")
    assert report.format == "evt2"
    assert recording.events.tolist() == simulated("clean", [4000 * n for n in range(10)])
    assert told["seconds"] == 0.036
    assert Settings(fps=29.97).rate == Fraction(30_000, 1001)
    assert Settings(fps=30).rate == 30
    assert Settings(fps=12.5).rate == Fraction(25, 2)


def test_phones_hold_the_camera_upright(tmp_path: Path) -> None:
    upright = Video(film(tmp_path / "a.mov", turn=90), None, repair=False)
    assert (upright.width, upright.height) == (HEIGHT, WIDTH)
    turned = next(iter(upright)).rgb
    assert np.array_equal(turned, np.rot90(picture(0), 1))


@pytest.mark.parametrize(
    ("stem", "time"),
    [
        ("frame_0001", None),
        ("portrait", None),
        ("0.0333", Fraction(33_300)),
        ("left-12.5s", Fraction(12_500_000)),
        ("a_33ms", Fraction(33_000)),
        ("a_33us", Fraction(33)),
        ("a_33µs", Fraction(33)),
        ("1605537493718345", Fraction(1_605_537_493_718_345)),
        ("1605537493718345000", Fraction(1_605_537_493_718_345)),
        ("1605537493718", Fraction(1_605_537_493_718_000)),
    ],
)
def test_times_in_names(stem: str, time: Fraction | None) -> None:
    assert time_in_name(stem) == time


def test_folders_by_times_in_names_or_by_number(tmp_path: Path) -> None:
    timed = folder(tmp_path / "timed", [f"{t}ms.png" for t in UNEVEN])
    counted = folder(tmp_path / "counted", [f"shot {n}.png" for n in range(10)] + ["shot 10.png", "shot 11.png"])
    told = convert_video(timed, tmp_path / "a.h5", Settings(sensor="clean"))
    assert io.read(tmp_path / "a.h5")[0].events.tolist() == simulated("clean", [1000 * t for t in UNEVEN])
    assert told["pictures"] == 10
    with pytest.raises(InputError, match=r"the name shot 0\.png carries no time\. .*--fps"):
        convert_video(counted, tmp_path / "b.h5")
    convert_video(counted, tmp_path / "b.h5", Settings(sensor="clean", fps=100))
    assert io.read(tmp_path / "b.h5")[0].events.tolist() == simulated("clean", [10_000 * n for n in range(12)])


def test_grey_of_16_bits_is_scaled(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    for number in range(2):
        Image.fromarray((picture(number)[:, :, 0].astype(np.uint16) << 8) + 7).save(tmp_path / "f" / f"{number}.png")
    shown = list(Folder(tmp_path / "f", Fraction(10), repair=False))
    assert np.array_equal(shown[1].rgb[:, :, 2], picture(1)[:, :, 0])


def test_light_is_linear_and_weighted() -> None:
    code = np.array([0, 10, 128, 255])
    wanted = [0, 10 / 255 / 12.92, ((128 / 255 + 0.055) / 1.055) ** 2.4, 1]
    assert np.allclose(linear(code / 255), wanted)
    rgb = np.zeros((1, 4, 3), np.uint8)
    rgb[0, [0, 1, 2], [0, 1, 2]] = 255
    rgb[0, 3] = 255
    assert np.allclose(Light(4, 1, (4, 1))(rgb), [[0.2126, 0.7152, 0.0722, 1]])


@pytest.mark.parametrize("size", [(32, 24), (27, 19), (10, 10), (100, 75), (64, 48)])
def test_scaling_takes_means_over_areas(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    full = Light(WIDTH, HEIGHT, (WIDTH, HEIGHT))(rgb).astype(np.float64)
    small = Light(WIDTH, HEIGHT, size)(rgb)
    assert small.shape == (size[1], size[0])
    assert small.dtype == np.float32
    # Each pixel of the sensor against a sum over pixels that are cut to 50 by 50 pieces.
    box = min(WIDTH, HEIGHT * size[0] / size[1]), min(HEIGHT, WIDTH * size[1] / size[0])
    x0, y0 = (WIDTH - box[0]) / 2, (HEIGHT - box[1]) / 2
    x = x0 + (np.arange(50 * size[0]) + 0.5) * box[0] / (50 * size[0])
    y = y0 + (np.arange(50 * size[1]) + 0.5) * box[1] / (50 * size[1])
    fine = full[np.ix_(y.astype(int), x.astype(int))]
    assert np.abs(small - fine.reshape(size[1], 50, size[0], 50).mean((1, 3))).max() < 0.03
    if size != (10, 10):  # the aspect is the film's, or nearly: nothing is cut away
        assert small.mean() == pytest.approx(full.mean(), rel=0.01)


def test_a_smaller_sensor_sees_the_smaller_picture(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv")
    told = convert_video(path, tmp_path / "a.h5", Settings(size=(32, 20), sensor="clean"))
    assert (told["width"], told["height"]) == (32, 20)
    wanted = simulated("clean", [40_000 * n for n in range(10)], size=(32, 20))
    assert io.read(tmp_path / "a.h5")[0].events.tolist() == wanted


def test_what_a_film_cannot_show_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    told = convert_video(film(tmp_path / "a.mkv"), tmp_path / "a.h5", Settings(sensor="clean"))
    light = Light(WIDTH, HEIGHT, (WIDTH, HEIGHT))
    change = np.abs(np.log((light(picture(1)) + 0.01) / (light(picture(0)) + 0.01))) / 0.2
    assert told["largest_change"]["thresholds"] == pytest.approx(change.max(), abs=0.01)
    assert told["largest_change"]["jumping"] == pytest.approx((change > 3).mean(), abs=1e-6)
    said = capfd.readouterr().err
    assert "warning: 3.6% of the pixels change by more than 3 thresholds between" in " ".join(said.split())
    calm = Changes()
    calm.add(light(picture(0)), light(picture(0)) * 1.01, (0, 1), sensor("clean"))
    assert calm.warning() is None


def test_slow_motion_is_nearer_to_the_truth(tmp_path: Path) -> None:
    """A bar seen 16 times as often, or guessed from each 16th picture: when does its edge pass each pixel?"""

    def shot(position: float) -> Image.Image:
        x = np.arange(128)
        cover = (np.minimum(x + 1, position + 40) - np.maximum(x, position)).clip(0, 1)
        grey = np.round(60 + 140 * cover).astype(np.uint8)
        return Image.fromarray(np.repeat(np.repeat(grey[None, :, None], 96, 0), 3, 2))

    for name, step, count in (("true", 0.5, 81), ("sparse", 8.0, 6)):
        (tmp_path / name).mkdir()
        for number in range(count):
            shot(10 + step * number).save(tmp_path / name / f"{number:03}.png")
    first: dict[str, np.ndarray] = {}
    for name, settings in {
        "true": Settings(sensor="clean", fps=480),
        "sparse": Settings(sensor="clean", fps=30),
        "slow": Settings(sensor="clean", fps=30, slow=16),
    }.items():
        source = tmp_path / ("true" if name == "true" else "sparse")
        told = convert_video(source, tmp_path / f"{name}.h5", settings)
        events = io.read(tmp_path / f"{name}.h5")[0].events
        assert told["seconds"] == pytest.approx(5 / 30, abs=1e-5)
        on = events[events["p"] & (events["y"] == 48)]
        first[name] = np.array([on["t"][on["x"] == x].min(initial=10**9) for x in range(60, 85)])
    off = {name: np.abs(first[name] - first["true"]).mean() for name in ("sparse", "slow")}
    assert off["slow"] < 0.5 * off["sparse"]

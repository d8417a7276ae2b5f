"""Films to events: times, light, scaling, damage, and runs that stop and go on."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from snnface import io
from snnface.converters import video, video_parts
from snnface.converters.sensors import sensor
from snnface.converters.simulator import EventSimulator
from snnface.converters.video import Settings, convert_video
from snnface.converters.video_file import Video
from snnface.converters.video_light import Changes, Light, linear
from snnface.converters.video_pictures import Folder, time_in_name
from snnface.converters.video_state import load_state, save_state
from snnface.errors import InputError

WIDTH, HEIGHT = 64, 48
CODECS = {
    "mp4": ("libx264", "yuv420p", {"crf": "10"}),
    "mkv": ("ffv1", "bgr0", {}),
    "avi": ("mpeg4", "yuv420p", {"qscale": "2"}),
    "mov": ("png", "rgb24", {}),
    "webm": ("libvpx", "yuv420p", {"deadline": "realtime", "crf": "4", "b": "4M"}),
    "gif": ("gif", "rgb8", {}),
}
#: Uneven times of pictures, ms.
UNEVEN = [0, 40, 50, 130, 140, 200, 290, 300, 340, 420]


def picture(number: int) -> np.ndarray:
    """A bright bar on grey that moves by two pixels a picture."""
    rgb = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    rgb[10:38, 4 + 2 * number : 14 + 2 * number] = (220, 200, 180)
    return rgb


def film(
    path: Path,
    pictures: int = 10,
    times_ms: list[int] | None = None,
    turn: int = 0,
    layout: dict[str, str] | None = None,
) -> Path:
    """A film of :func:`picture`, 25 a second or at the given times; ``layout``: options of the container."""
    codec, pixels, options = CODECS[path.suffix[1:]]
    with av.open(str(path), "w", options=layout or {}) as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        if path.suffix != ".avi":  # which has no uneven times
            stream.codec_context.time_base = Fraction(1, 1000)
        if turn:
            stream.set_display_rotation(turn)
        for number in range(pictures):
            frame = av.VideoFrame.from_ndarray(picture(number), "rgb24")
            frame.pts = times_ms[number] if times_ms else 40 * number
            frame.time_base = Fraction(1, 1000)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def folder(path: Path, names: list[str]) -> Path:
    path.mkdir()
    for number, name in enumerate(names):
        Image.fromarray(picture(number)).save(path / name)
    return path


def simulated(name: str, times_us: list[int], seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> list:
    """What the simulator makes of the pictures, without a film."""
    simulator, light = EventSimulator(*size, sensor(name), seed), Light(WIDTH, HEIGHT, size)
    made = [simulator.step(light(picture(n)), t) for n, t in enumerate(times_us)]
    return np.concatenate([*made, simulator.flush()]).tolist()


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


@pytest.mark.parametrize("name", ["davis346", "clean", "evk4"])
def test_a_run_that_stops_goes_on_to_the_same_events(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "PICTURES_A_PART", 3)
    path, settings = film(tmp_path / "a.mkv", 11), Settings(sensor=name)
    whole = convert_video(path, tmp_path / "whole.h5", settings)
    steps = 0

    class Stopped(EventSimulator):
        def step(self, luminance: np.ndarray, t_us: int) -> np.ndarray:
            nonlocal steps
            steps += 1
            if steps in (8, 13):
                raise KeyboardInterrupt
            return super().step(luminance, t_us)

    monkeypatch.setattr(video, "EventSimulator", Stopped)
    target = tmp_path / "b.h5"
    for resume in (False, True):
        with pytest.raises(KeyboardInterrupt):
            convert_video(path, target, settings, resume=resume)
        assert not target.exists()
        assert (tmp_path / "b.h5.parts" / "state.npz").is_file()
    with pytest.raises(InputError, match=r"unfinished run\. Add --resume"):
        convert_video(path, target, settings)
    with pytest.raises(InputError, match="another film, settings or code"):
        convert_video(path, target, Settings(sensor=name, seed=1), resume=True)
    assert convert_video(path, target, settings, resume=True) == whole
    assert steps == 7 + 1 + 5 + 2  # pictures of finished parts are not simulated again
    assert io.read(target)[0].events.tolist() == io.read(tmp_path / "whole.h5")[0].events.tolist()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mkv", "b.h5", "whole.h5"]


def test_state_of_any_sensor_survives_a_file(tmp_path: Path) -> None:
    light = Light(WIDTH, HEIGHT, (WIDTH, HEIGHT))
    for name in ("davis346", "evk4"):
        first, second = (EventSimulator(WIDTH, HEIGHT, sensor(name), 0) for _ in range(2))
        for number in range(3):
            first.step(light(picture(number)), 10_000 * number)
        save_state(tmp_path / "state.npz", first, note={"a": 1})
        assert load_state(tmp_path / "state.npz", second) == {"note": {"a": 1}}
        for number in range(3, 6):
            events = [s.step(light(picture(number)), 10_000 * number).tolist() for s in (first, second)]
            assert events[0] == events[1] != []

    class Odd:
        def __init__(self) -> None:
            self.file = open  # no state that a file can hold

    with pytest.raises(TypeError, match="file is a builtin"):
        save_state(tmp_path / "odd.npz", Odd())
    assert not (tmp_path / "odd.npz").exists()


def test_memory_holds_no_more_than_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "EVENTS_A_PART", 1000)
    kept: list[int] = []
    add = video_parts.Parts.add

    def counting(self: Any, events: list[np.ndarray], *rest: Any) -> None:
        kept.append(sum(map(len, events)))
        add(self, events, *rest)

    monkeypatch.setattr(video_parts.Parts, "add", counting)
    told = convert_video(film(tmp_path / "a.mkv", 16), tmp_path / "a.h5", Settings(sensor="clean"))
    assert sum(kept) == told["events_out"]
    assert len(kept) > 3
    assert max(kept) < 2000


def broken(tmp_path: Path, name: str) -> Path:
    """Films that cannot be shown as they are."""
    suffix = name.split()[0]
    path = film(tmp_path / f"bad.{suffix}", 20, layout={"movflags": "faststart"} if "index" in name else {})
    content = bytearray(path.read_bytes())
    match name.split(" ", 1)[1]:
        case "of text":
            content = bytearray(b"not a film\n" * 99)
        case "cut":
            del content[len(content) * 6 // 10 :]
        case "cut late":
            del content[len(content) * 9 // 10 :]
        case "with its index first, cut":
            del content[len(content) * 8 // 10 :]
        case "garbled":
            start, end = content.index(b"mdat"), content.index(b"moov") - 8
            for at in range(start + (end - start) // 2, end, 3):
                content[at] ^= 0x5A
        case "empty":
            content = bytearray()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "says", "dropped"),
    [
        ("mp4 of text", "cannot be opened as a video", None),
        ("mp4 empty", "is empty", None),
        ("mp4 cut", "cannot be opened as a video|holds no video stream", None),
        ("mov with its index first, cut", "are missing|decoded|is cut off", "missing_pictures"),
        ("mov garbled", "cannot be decoded|damaged", ""),
        ("mkv cut", "are missing", "missing_pictures"),
        ("avi cut late", "is cut off or garbled|damaged", "missing_pictures"),
        ("gif cut", "is cut off: its end is missing", "truncated_bytes"),
    ],
)
def test_broken_films_are_refused_or_repaired(name: str, says: str, dropped: str | None, tmp_path: Path) -> None:
    path = broken(tmp_path, name)
    with pytest.raises(InputError, match=says) as found:
        convert_video(path, tmp_path / "a.h5", Settings(sensor="clean"))
    assert found.value.where == str(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if dropped is None:
        with pytest.raises(InputError, match=says):
            convert_video(path, tmp_path / "a.h5", Settings(sensor="clean"), repair=True)
        return
    told = convert_video(path, tmp_path / "a.h5", Settings(sensor="clean"), repair=True)
    assert sum(told["dropped"].values()) >= 1
    assert dropped == "" or dropped in told["dropped"]
    assert 2 <= told["pictures"] < 20
    assert len(io.read(tmp_path / "a.h5")[0]) == told["events_out"] > 0


def test_films_without_pictures_or_change(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream: Any = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    with pytest.raises(InputError, match="holds no video stream"):
        convert_video(tmp_path / "sound.mp4", tmp_path / "a.h5")
    with pytest.raises(InputError, match="holds 1 pictures; events need two"):
        convert_video(film(tmp_path / "one.mkv", 1), tmp_path / "a.h5")
    (tmp_path / "still").mkdir()
    for number in range(3):
        Image.fromarray(picture(0)).save(tmp_path / "still" / f"{number}.png")
    with pytest.raises(InputError, match="shows no change"):
        convert_video(tmp_path / "still", tmp_path / "a.h5", Settings(sensor="clean", fps=30))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.mkv", "sound.mp4", "still"]


def test_pictures_that_do_not_fit_in(tmp_path: Path) -> None:
    path = folder(tmp_path / "f", [f"{n}ms.png" for n in (0, 10, 20, 30, 40)])
    (path / "15ms.png").write_bytes(b"no picture")
    Image.fromarray(picture(0)[:20]).save(path / "25ms.png")
    Image.fromarray(picture(0)).save(path / "a30ms.png")
    for reason in ("15ms.png cannot be read", "25ms.png is 64x20, not 64x48", "time does not go on at picture 4"):
        with pytest.raises(InputError, match=reason):
            convert_video(path, tmp_path / "a.h5", Settings(sensor="clean"))
        name = reason.split()[0]
        if name.endswith("png"):
            (path / name).rename(tmp_path / name)
    for name in ("15ms.png", "25ms.png"):
        (tmp_path / name).rename(path / name)
    told = convert_video(path, tmp_path / "a.h5", Settings(sensor="clean"), repair=True)
    assert told["dropped"] == {"undecodable_pictures": 1, "resized_pictures": 1, "backwards_pictures": 1}
    assert io.read(tmp_path / "a.h5")[0].events.tolist() == simulated("clean", [0, 10_000, 20_000, 30_000, 40_000])


def test_a_full_disk_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "PICTURES_A_PART", 3)
    path = film(tmp_path / "a.mkv", 11)
    whole = convert_video(path, tmp_path / "whole.h5", Settings(sensor="clean"))
    save, saved = np.save, 0

    def full(*arguments: Any, **options: Any) -> None:
        nonlocal saved
        saved += 1
        if saved == 3:
            raise OSError(28, "No space left on device")
        save(*arguments, **options)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(InputError, match="the disk is full"):
        convert_video(path, tmp_path / "b.h5", Settings(sensor="clean"))
    assert not (tmp_path / "b.h5").exists()
    assert convert_video(path, tmp_path / "b.h5", Settings(sensor="clean"), resume=True) == whole


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sensor": "eye"}, "--sensor eye"),
        ({"fps": 0.0}, "--fps 0"),
        ({"slow": 0}, "--slow 0"),
        ({"slow": 100}, "--slow 100"),
        ({"seed": -1}, "--seed"),
        ({"size": (3000, 2000)}, "at most 2048x2048"),
    ],
)
def test_bad_settings(options: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = folder(tmp_path / "f", ["0ms.png", "10ms.png"])
    with pytest.raises(InputError, match=says):
        convert_video(path, tmp_path / "a.raw", Settings(**options))
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_answers_are_json(tmp_path: Path) -> None:
    told = convert_video(film(tmp_path / "a.gif"), tmp_path / "a.dat", Settings(sensor="evk4", size=(40, 30)))
    assert json.loads(json.dumps(told)) == told


def test_a_film_can_be_shown_twice(tmp_path: Path) -> None:
    shown = Video(film(tmp_path / "a.mkv"), None, repair=False)
    assert [p.t_us for p in shown] == [p.t_us for p in shown]

"""Conversions of films that stop and go on, in constant memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import HEIGHT, WIDTH, film, folder, picture

from snnface import io
from snnface.converters import video, video_parts
from snnface.converters.sensors import sensor
from snnface.converters.simulator import EventSimulator
from snnface.converters.video import Settings, convert_video
from snnface.converters.video_file import Video
from snnface.converters.video_light import Light
from snnface.converters.video_state import load_state, save_state
from snnface.errors import InputError


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

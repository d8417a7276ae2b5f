"""Films that are broken, empty or uneven: one clear error, or their good part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from films import film, folder, picture, simulated
from PIL import Image

from snnface import io
from snnface.converters.video import Settings, convert_video
from snnface.errors import InputError


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
